"""Details beside the sums, worked out once their minute has settled.

They cost more than the sums to work out: a minute is read again some while after its last change
instead of after each.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Integer, and_, delete, func, literal, select

from midwatch_ledger.models import Event, Feedback, StaleDetail, WorkflowTrace
from midwatch_ledger.models.rollups import DIMENSIONS, TOKENS
from midwatch_ledger.store.detail_sources import END, OUTCOME, SINCE, START, Rows, sources
from midwatch_ledger.store.extents import nanoseconds
from midwatch_ledger.store.rollups import MINUTE, Record, add_up, class_of, replace_minute
from midwatch_ledger.store.writing import insert_new

What = Literal["minute", "day"]

_IDS_PER_QUERY = 500


def mark(connection: Connection, minutes: Iterable[datetime], now: datetime) -> None:
    """Have the details of these minutes, and of their days, worked out anew."""
    ordered = sorted(set(minutes))
    days = sorted({day_of(minute) for minute in ordered})
    insert_new(
        connection,
        StaleDetail,
        [{"what": "minute", "start": minute, "since": now} for minute in ordered]
        + [{"what": "day", "start": day, "since": now} for day in days],
    )


def take(connection: Connection, what: What, before: datetime, limit: int) -> list[datetime]:
    """Return what has been stale since before that time, and take the marks away."""
    query = (
        select(StaleDetail.start)
        .where(StaleDetail.what == what, StaleDetail.since <= before)
        .order_by(StaleDetail.start.desc())
        .limit(limit)
    )
    found = list(connection.execute(query).scalars())
    if found:
        connection.execute(
            delete(StaleDetail).where(StaleDetail.what == what, StaleDetail.start.in_(found))
        )
    return found


def waiting(connection: Connection, before: datetime) -> bool:
    """Return whether anything has been stale since before that time."""
    query = select(literal(1)).where(StaleDetail.since <= before).limit(1)
    return connection.execute(query).first() is not None


def work_out_minute(connection: Connection, minute: datetime) -> None:
    """Sum up the details of what began in the minute."""
    rows: dict[tuple[str, ...], Record] = {}
    period = {START.key: minute, END.key: minute + MINUTE, SINCE.key: nanoseconds(minute)}
    for kind, queries in _QUERIES.items():
        for query in queries:
            for group in connection.execute(query, period).mappings():
                add_up(rows, kind, minute, group)
    replace_minute(connection, minute, list(_QUERIES), rows)


def times_of_turns(connection: Connection, trace_ids: Iterable[str]) -> list[datetime]:
    """Return when the turns began, of those that are kept."""
    times: list[datetime] = []
    for chunk in _chunks(trace_ids):
        query = select(WorkflowTrace.start_time).where(WorkflowTrace.trace_id.in_(chunk))
        times.extend(time for time in connection.execute(query).scalars() if time is not None)
    return times


def times_of_opinions(connection: Connection, trace_ids: Iterable[str]) -> list[datetime]:
    """Return when outcomes and feedback came that were there before their turn was."""
    times: list[datetime] = []
    for chunk in _chunks(trace_ids):
        outcomes = select(Event.occurred_at).where(
            and_(Event.trace_id.in_(chunk), Event.name == OUTCOME)
        )
        feedback = select(Feedback.given_at).where(Feedback.trace_id.in_(chunk))
        for query in (outcomes, feedback):
            times.extend(connection.execute(query).scalars())
    return times


def day_of(moment: datetime) -> datetime:
    """Return the beginning of the day (UTC) that holds the moment."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


DAY = timedelta(days=1)


def _grouped(rows: Rows) -> Any:
    table = rows.subquery()
    dimensions = [table.c[name] for name in DIMENSIONS if name in table.c]
    duration = (
        func.coalesce(table.c.duration_ms, 0) if "duration_ms" in table.c else literal(0, Integer)
    )
    duration_class = class_of(duration)
    measures = [
        func.sum(func.coalesce(table.c[name], 0)).label(name) for name in TOKENS if name in table.c
    ]
    if "cost" in table.c:
        measures += [
            func.sum(table.c.cost).label("cost"),
            func.count(table.c.cost).label("priced"),
        ]
    return select(
        *dimensions,
        duration_class,
        func.count().label("count"),
        func.sum(duration).label("duration_ms"),
        func.min(duration).label("fastest_ms"),
        func.max(duration).label("slowest_ms"),
        *measures,
    ).group_by(*dimensions, duration_class)


_QUERIES = {kind: [_grouped(rows) for rows in queries] for kind, queries in sources().items()}


def _chunks(values: Iterable[str]) -> Iterable[list[str]]:
    ordered = sorted(set(values))
    return (
        ordered[start : start + _IDS_PER_QUERY] for start in range(0, len(ordered), _IDS_PER_QUERY)
    )
