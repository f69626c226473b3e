"""A period by what it is read from: sums by hour, sums by minute beside them, and rows.

So an answer is about exactly the period that is asked for, wherever it begins and ends, and about
what has come in but isn't summed up yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, false, or_, select

from midwatch_ledger.models import StaleMinute
from midwatch_ledger.store.rollups import HOUR, MINUTE, start_of

Stretch = tuple[datetime, datetime]
"""From a time up to but not including another."""


@dataclass(frozen=True)
class Parts:
    """The stretches of a period; together they are the period, and none overlaps another."""

    hours: tuple[Stretch, ...] = ()
    minutes: tuple[Stretch, ...] = ()
    rows: tuple[Stretch, ...] = ()


def divide(start: datetime, end: datetime, stale: Iterable[datetime] = ()) -> Parts:
    """Return the parts of a period of which these minutes aren't summed up."""
    first, last = _end_of(start, MINUTE), start_of(end, MINUTE)
    if first >= last:
        return Parts(rows=_joined([(start, end)]))
    rows = [(start, first), (last, end)]
    begin, until = _end_of(first, HOUR), start_of(last, HOUR)
    hours = [(begin, until)] if begin < until else []
    minutes = [(first, begin), (until, last)] if hours else [(first, last)]
    whole = sorted(minute for minute in set(stale) if first <= minute < last)
    for hour in sorted({start_of(minute, HOUR) for minute in whole}):
        if any(one <= hour < other for one, other in hours):
            hours = _without(hours, (hour, hour + HOUR))
            minutes.append((hour, hour + HOUR))
    for minute in whole:
        minutes = _without(minutes, (minute, minute + MINUTE))
        rows.append((minute, minute + MINUTE))
    return Parts(_joined(hours), _joined(minutes), _joined(rows))


def stale_between(
    connection: Connection, start: datetime, end: datetime, limit: int
) -> list[datetime]:
    """Return minutes that are stale and lie, also in part, in the period."""
    query = select(StaleMinute.minute).distinct().order_by(StaleMinute.minute).limit(limit)
    period = (StaleMinute.minute >= start_of(start, MINUTE), StaleMinute.minute < end)
    return list(connection.execute(query.where(*period)).scalars())


def within(time: Any, stretches: Iterable[Stretch]) -> ColumnElement[bool]:
    """Return that a time lies in one of the stretches."""
    return or_(false(), *(and_(time >= start, time < end) for start, end in stretches))


def _end_of(moment: datetime, length: Any) -> datetime:
    """Return the first full minute or hour that isn't before the moment."""
    begin = start_of(moment, length)
    return begin if begin == moment else begin + length


def _without(stretches: Iterable[Stretch], hole: Stretch) -> list[Stretch]:
    left: list[Stretch] = []
    for start, end in stretches:
        left += [(start, min(end, hole[0])), (max(start, hole[1]), end)]
    return [(start, end) for start, end in left if start < end]


def _joined(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Return the stretches in order, those that touch as one."""
    joined: list[Stretch] = []
    for start, end in sorted(stretches):
        if start >= end:
            continue
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)
