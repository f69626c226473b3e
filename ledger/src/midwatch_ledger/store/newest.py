"""The newest rows of a table that has a partition for each day, without looking at all days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, Select, func, select

from midwatch_ledger.store.records import records

Record = dict[str, Any]

_DAYS = (1, 4, 16, 64)


def newest(
    connection: Connection,
    query: Select[Any],
    time: Any,
    most: int,
    start: datetime | None = None,
    end: datetime | None = None,
) -> list[Record]:
    """Return the first rows of a query that has the newest first.

    It is asked about the last day, then about the days before, until there are enough rows: what
    is older can't come before what is newer.

    Args:
        connection: what is read from.
        query: the query, with its order but without a limit.
        time: the column that says how new a row is.
        most: how many rows are wanted.
        start: since when the query asks for rows; None is always.
        end: until when it does; None is always.
    """
    rows: list[Record] = []
    for lower in _lower_bounds(connection, start, end):
        part = query.where(time >= lower).limit(most - len(rows))
        rows += records(connection, part)
        if len(rows) == most:
            return rows
        query = query.where(time < lower)
    rest = query.limit(most - len(rows))
    return rows + records(connection, rest)


def since(
    connection: Connection,
    query: Select[Any],
    time: Any,
    most: int,
    start: datetime,
    end: datetime,
) -> datetime:
    """Return when the oldest was of the rows that `newest` would return; of few the start.

    Who asks something dear about these rows need not ask it about the days before.
    """
    for lower in _lower_bounds(connection, start, end):
        wanted = query.where(time >= lower).limit(most).subquery()
        found, oldest = connection.execute(
            select(func.count(), func.min(wanted.c[time.key])).select_from(wanted)
        ).one()
        if found == most:
            return cast("datetime", oldest)
    return start


def _lower_bounds(
    connection: Connection, start: datetime | None, end: datetime | None
) -> Iterator[datetime]:
    if connection.dialect.name == "sqlite":
        return  # It has no partitions.
    # Where the search begins decides how fast it ends, and never what is found.
    last = end or datetime.now(UTC)
    for days in _DAYS:
        length = timedelta(days=days)
        if last - (start or datetime.min.replace(tzinfo=UTC)) > length:
            yield last - length
