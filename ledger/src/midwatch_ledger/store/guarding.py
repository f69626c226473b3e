"""Has every statement of a connection keep to the boundary of the work in hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.dml import Delete, Insert, Update

from midwatch_ledger.models.boundary import current_boundary
from midwatch_ledger.store.auditing import ChangeLog, audited
from midwatch_ledger.store.limits import check_insert, limited

_LOG = "midwatch_ledger_changes"


def guard(engine: Engine) -> None:
    """Limit and note all that is executed on the engine's connections."""
    event.listen(engine, "before_execute", _before_execute, retval=True)


@contextmanager
def noted_changes(connection: Connection) -> Iterator[None]:
    """Write what the block changes into the audit log, if somebody's request does it."""
    boundary = current_boundary()
    if boundary is None or boundary.origin is None:
        yield
        return
    log = ChangeLog()
    connection.info[_LOG] = log
    try:
        yield
        audited(connection, lambda: datetime.now(UTC), log)
    finally:
        connection.info.pop(_LOG, None)


def _before_execute(
    connection: Connection,
    statement: Executable,
    many: Sequence[Mapping[str, Any]],
    one: Mapping[str, Any],
    _options: Mapping[str, Any],
) -> tuple[Executable, Sequence[Mapping[str, Any]], Mapping[str, Any]]:
    boundary = current_boundary()
    if boundary is None:
        return statement, many, one
    rows = list(many) or ([one] if one else [])
    if boundary.projects is not None:
        statement = limited(statement, boundary.projects)
    if isinstance(statement, Insert | Update | Delete):
        if isinstance(statement, Insert):
            rows = rows or [statement.compile().params]
            if boundary.projects is not None:
                check_insert(statement, rows, boundary.projects)
        log: ChangeLog | None = connection.info.get(_LOG)
        if log is not None:
            log.note(connection, statement, rows)
    return statement, many, one
