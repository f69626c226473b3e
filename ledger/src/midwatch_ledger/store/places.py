"""Places that divide a period's traffic evenly, and the rows that are found there.

So a sample is bounded in number and like the whole, however much there is and whenever it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    Connection,
    DateTime,
    FromClause,
    Select,
    bindparam,
    column,
    func,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute

from midwatch_ledger.models.types import UtcTime

PLACES = 20
"""At how many places of a period rows are taken."""

_TIMES = ARRAY(DateTime(timezone=True))


def places(
    traffic: Sequence[tuple[datetime, datetime, int]], number: int = PLACES
) -> list[datetime]:
    """Return times that divide traffic evenly, from when to when and how much there was of it."""
    total = sum(count for _, _, count in traffic)
    if not total:
        return []
    found: list[datetime] = []
    passed, stretches = 0, iter(traffic)
    start, end, count = next(stretches)
    for place in range(number):
        wanted = total * place / number
        while passed + count <= wanted:
            passed += count
            start, end, count = next(stretches)
        found.append(start + (end - start) * ((wanted - passed) / count))
    return found


def spread(
    connection: Connection,
    query: Select[Any],
    time: InstrumentedAttribute[Any],
    begins: Sequence[datetime],
    end: datetime,
    most: int,
) -> FromClause:
    """Return rows from each of the places up to the next, as many from each.

    A statement for each place would take longer on its way than for its rows.

    Args:
        connection: where the rows are going to be read from.
        query: the rows that are sampled, without an order.
        time: the column that says when a row was.
        begins: the places, at least one.
        end: until when the last place reaches.
        most: how many rows are wanted; some more are found if the places don't divide them.
    """
    share = -(-most // len(begins))
    parts = list(pairwise((*begins, end)))
    # The ends of the whole say which partitions there are to look at.
    found = query.where(time >= begins[0], time < end).order_by(time).limit(share)
    if connection.dialect.name == "sqlite":
        # A part of a union has no order and limit of its own in SQLite, but a table in it has.
        tables = (found.where(time >= begin, time < until).subquery() for begin, until in parts)
        return union_all(*(table.select() for table in tables)).subquery()
    # Also written as a union, PostgreSQL would take a tenth of a second to plan it for good.
    starts, ends = (bindparam(None, list(times), _TIMES) for times in zip(*parts, strict=True))
    stretch = func.unnest(starts, ends).table_valued(
        column("begin", UtcTime()), column("until", UtcTime())
    )
    stretch = stretch.render_derived()
    inner = found.where(time >= stretch.c.begin, time < stretch.c.until).lateral()
    return select(inner).select_from(stretch.join(inner, true())).subquery()
