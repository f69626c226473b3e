"""The audit log, written in the transaction of the change itself.

While somebody's request writes, each row that a statement touches is noted with what it was before
the first touch. At the end of the transaction the same rows are read again: what differs is one
entry, with digests of both. A change that isn't in the log isn't in the database either.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Select, Table, insert, select, tuple_
from sqlalchemy.sql.dml import Delete, Insert, Update

from midwatch_ledger.models import AuditEntry
from midwatch_ledger.models.boundary import Boundary, Origin, current_boundary, within

# What is worked out of other rows, who is logged in, and the log itself.
_LEFT_OUT = frozenset(
    {
        "audit_log",
        "cost_details",
        "daily_reports",
        "live_changes",
        "login_attempts",
        "login_sessions",
        "performance_metrics",
        "resources",
        "stale_details",
        "stale_minutes",
    }
)
_KEYS_PER_QUERY = 300
_Key = tuple[Any, ...]
_Parameters = Mapping[str, Any]


@dataclass
class ChangeLog:
    """What one transaction touches: for each row its digest before, None if it wasn't there."""

    touched: dict[Table, dict[_Key, str | None]] = field(default_factory=dict)

    def note(
        self,
        connection: Connection,
        statement: Insert | Update | Delete,
        parameters: Sequence[_Parameters],
    ) -> None:
        """Note the rows that a statement is about to touch."""
        table = statement.table
        if not isinstance(table, Table) or table.name in _LEFT_OUT:
            return
        known = self.touched.setdefault(table, {})
        for key, digest in self._before(connection, table, statement, parameters):
            known.setdefault(key, digest)

    def write(self, connection: Connection, origin: Origin, now: datetime) -> None:
        """Write the entry, if anything is different now."""
        changed: dict[str, int] = {}
        before, after = [], []
        for table, rows in self.touched.items():
            left = dict(_rows_of(connection, table, list(rows)))
            different = [key for key, digest in rows.items() if left.get(key) != digest]
            if different:
                changed[table.name] = len(different)
                before += [digest for key in different if (digest := rows[key])]
                after += [digest for key in different if (digest := left.get(key))]
        if changed:
            record(connection, origin, now, changed, before=before, after=after)

    def _before(
        self,
        connection: Connection,
        table: Table,
        statement: Insert | Update | Delete,
        parameters: Sequence[_Parameters],
    ) -> Iterator[tuple[_Key, str | None]]:
        if isinstance(statement, Insert):
            keys = [_key_of(table, row) for row in parameters]
            found = dict(_rows_of(connection, table, keys))
            yield from ((key, found.get(key)) for key in keys)
            return
        query = select(table)
        if statement.whereclause is not None:
            query = query.where(statement.whereclause)
        for given in parameters or ({},):
            yield from _digests(connection, table, query, given)


def record(
    connection: Connection,
    origin: Origin,
    now: datetime,
    changed: Mapping[str, int],
    *,
    before: Iterable[str] = (),
    after: Iterable[str] = (),
) -> None:
    """Write one entry: how many rows of each table are different, and digests of them."""
    entry = {
        "id": uuid.uuid4(),
        "occurred_at": now,
        "actor": origin.actor,
        "action": origin.action,
        "subject": origin.subject,
        "changed": dict(changed),
        "before_digest": _joined(before),
        "after_digest": _joined(after),
        "request_id": origin.request_id,
        "address": origin.address,
    }
    connection.execute(insert(AuditEntry), [entry])


def subject_digest(value: str) -> str:
    """Return what the log says of a subject that itself must be forgotten."""
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def audited(connection: Connection, now: Callable[[], datetime], log: ChangeLog) -> None:
    """Write what the log has noted, for the boundary of the work in hand."""
    boundary = current_boundary()
    if boundary is not None and boundary.origin is not None:
        with _everything():
            log.write(connection, boundary.origin, now())


def _rows_of(
    connection: Connection, table: Table, keys: Sequence[_Key]
) -> Iterator[tuple[_Key, str]]:
    columns = list(table.primary_key.columns)
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        chunk = keys[start : start + _KEYS_PER_QUERY]
        wanted = (
            columns[0].in_([key[0] for key in chunk])
            if len(columns) == 1
            else tuple_(*columns).in_(chunk)
        )
        yield from _digests(connection, table, select(table).where(wanted), {})


def _digests(
    connection: Connection, table: Table, query: Select[Any], parameters: _Parameters
) -> Iterator[tuple[_Key, str]]:
    with _everything():
        rows = connection.execute(query, dict(parameters)).mappings().all()
    for row in rows:
        body = orjson.dumps(
            {column.name: row[column] for column in table.columns},
            default=str,
            option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS,
        )
        key = tuple(row[column] for column in table.primary_key.columns)
        yield key, hashlib.sha256(body).hexdigest()


def _key_of(table: Table, row: _Parameters) -> _Key:
    return tuple(row[column.key] for column in table.primary_key.columns)


def _everything() -> Any:
    """Digests are made of what there is, not of what this request may see."""
    return within(Boundary(projects=None, content=True))


def _joined(digests: Iterable[str]) -> str | None:
    ordered = sorted(digests)
    if not ordered:
        return None
    return f"sha256:{hashlib.sha256(''.join(ordered).encode()).hexdigest()}"
