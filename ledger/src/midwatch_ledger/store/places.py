"""Places that divide a period's traffic evenly, and the rows that are found there.

So a sample is bounded in number and like the whole, however much there is and whenever it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, union_all

PLACES = 20
"""At how many places of a period rows are taken."""


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
    query: Select[Any],
    time: ColumnElement[datetime] | Any,
    begins: Sequence[datetime],
    end: datetime,
    most: int,
) -> Subquery:
    """Return rows from each of the places up to the next, as many from each.

    Args:
        query: the rows that are sampled, without an order.
        time: the column that says when a row was.
        begins: the places, at least one.
        end: until when the last place reaches.
        most: how many rows are wanted; some more are found if the places don't divide them.
    """
    share = -(-most // len(begins))
    # One statement for all: a statement for each place takes longer on its way than for its rows.
    # A part of a union has no order and limit of its own in SQLite, but a table in it has.
    parts = [
        query.where(time >= begin, time < until).order_by(time).limit(share).subquery().select()
        for begin, until in pairwise((*begins, end))
    ]
    return union_all(*parts).subquery()
