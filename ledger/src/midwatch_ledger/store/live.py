"""The list of what was written lately: adding to it, following it, cutting it off."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeVar

from sqlalchemy import BigInteger, Connection, Select, Text, cast, delete, func, insert, select
from sqlalchemy.sql.elements import ColumnElement

from midwatch_ledger.models import LiveChange

Kind = Literal["spans", "events", "feedback", "alerts"]
"""What ids are of: of traces that got spans, else of the rows themselves."""

_ID_BYTES: Final = 16
_IDS_PER_ROW: Final = 500
_Query = TypeVar("_Query", bound=Select[*tuple[Any, ...]])


class Position(NamedTuple):
    """How far somebody has read; what is greater is still to come."""

    xact: int
    id: int


START: Final = Position(0, 0)


@dataclass(frozen=True)
class Change:
    """What one transaction wrote of one kind."""

    position: Position
    kind: str
    ids: tuple[uuid.UUID, ...]
    written_at: datetime


def announce(
    connection: Connection, kind: Kind, ids: Iterable[str | uuid.UUID], now: datetime
) -> None:
    """Note what this transaction has written, with the `created_at` of its rows."""
    found = [uuid.UUID(one).bytes if isinstance(one, str) else one.bytes for one in ids]
    if not found:
        return
    xact: Any = 0
    if connection.dialect.name != "sqlite":
        xact = _number(func.pg_current_xact_id())
    for start in range(0, len(found), _IDS_PER_ROW):
        joined = b"".join(found[start : start + _IDS_PER_ROW])
        connection.execute(
            insert(LiveChange).values(kind=kind, ids=joined, written_at=now, xact=xact)
        )


def changes_after(connection: Connection, position: Position, limit: int) -> list[Change]:
    """Return what was committed after a position, in an order that never changes.

    What a transaction wrote is given when no older one can commit any more.
    """
    query = (
        _settled(connection, select(LiveChange))
        .where(
            (LiveChange.xact > position.xact)
            | ((LiveChange.xact == position.xact) & (LiveChange.id > position.id))
        )
        .order_by(LiveChange.xact, LiveChange.id)
        .limit(limit)
    )
    return [
        Change(Position(row["xact"], row["id"]), row["kind"], _split(row["ids"]), row["written_at"])
        for row in connection.execute(query).mappings()
    ]


def newest(connection: Connection) -> Position:
    """Return the position after all that is settled."""
    query = _settled(connection, select(LiveChange.xact, LiveChange.id))
    row = connection.execute(
        query.order_by(LiveChange.xact.desc(), LiveChange.id.desc()).limit(1)
    ).first()
    return START if row is None else Position(*row)


def is_whole_after(connection: Connection, position: Position) -> bool:
    """Return whether all that came after a position is still there."""
    if position == START:
        return (connection.scalar(select(func.min(LiveChange.id))) or 1) == 1
    kept = select(LiveChange.id).where(
        LiveChange.xact == position.xact, LiveChange.id == position.id
    )
    return connection.scalar(kept) is not None


def outdated(connection: Connection, before: datetime) -> int:
    """Return the greatest id of what was written before then, 0 if there is none.

    The newest of all is never among it: whoever has read that far has missed nothing.
    """
    last = select(func.max(LiveChange.id)).scalar_subquery()
    query = select(func.max(LiveChange.id)).where(
        LiveChange.written_at < before, LiveChange.id < last
    )
    return connection.scalar(query) or 0


def forget(connection: Connection, until: int) -> None:
    """Delete what has an id up to this one."""
    connection.execute(delete(LiveChange).where(LiveChange.id <= until))


def _settled(connection: Connection, query: _Query) -> _Query:
    if connection.dialect.name == "sqlite":
        return query
    running = _number(func.pg_snapshot_xmin(func.pg_current_snapshot()))
    return query.where(LiveChange.xact < running)


def _number(xact: ColumnElement[Any]) -> ColumnElement[int]:
    # A transaction's full number converts to text only.
    return cast(cast(xact, Text), BigInteger)


def _split(joined: bytes) -> tuple[uuid.UUID, ...]:
    starts: Sequence[int] = range(0, len(joined), _ID_BYTES)
    return tuple(uuid.UUID(bytes=joined[start : start + _ID_BYTES]) for start in starts)
