"""The sums by minute and hour: what is stale, and making it anew from what it sums up."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    type_coerce,
)
from sqlalchemy.orm import InstrumentedAttribute

from midwatch_ledger.models import (
    AgentTransition,
    Event,
    Feedback,
    PerformanceMetric,
    StaleMinute,
)
from midwatch_ledger.models.rollups import (
    DIMENSIONS,
    DURATION_BOUNDS_MS,
    DURATION_CLASSES,
    KINDS,
    SUMS,
    TOKENS,
)
from midwatch_ledger.models.types import UtcTime
from midwatch_ledger.store.sum_sources import SOURCES, SummedTable

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
_MINUTE_MICROSECONDS = 60_000_000
_ADVISORY_LOCK = 0x6D69_6477_726F  # "midwro": PostgreSQL's advisory locks are numbers.

SUMMED = PerformanceMetric.__table__.c
"""The columns of the sums."""

Record = dict[str, Any]


def start_of(moment: datetime, length: timedelta) -> datetime:
    """Return the beginning of the minute or hour that holds the moment."""
    if length == HOUR:
        return moment.replace(minute=0, second=0, microsecond=0)
    return moment.replace(second=0, microsecond=0)


def mark_stale(connection: Connection, moments: Iterable[datetime]) -> None:
    """Have the minutes of these moments summed up anew."""
    mark = uuid.uuid4()
    minutes = sorted({start_of(moment, MINUTE) for moment in moments})
    if minutes:
        connection.execute(
            insert(StaleMinute), [{"minute": minute, "mark": mark} for minute in minutes]
        )


def take_turn(connection: Connection, *, wait: bool = False) -> bool:
    """Return whether this transaction may sum up: one of all replicas does at a time."""
    if connection.dialect.name == "sqlite":
        return True  # The transaction holds the only write lock.
    number = {"number": _ADVISORY_LOCK}
    if wait:
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), number)
        return True
    return bool(
        connection.execute(text("SELECT pg_try_advisory_xact_lock(:number)"), number).scalar_one()
    )


def take_stale(connection: Connection, limit: int) -> list[datetime]:
    """Return stale minutes, the newest first, and take away the marks that are there now."""
    chosen = select(StaleMinute.minute).distinct().order_by(StaleMinute.minute.desc()).limit(limit)
    minutes = list(connection.execute(chosen).scalars())
    if minutes:
        connection.execute(delete(StaleMinute).where(StaleMinute.minute.in_(minutes)))
    return minutes


def stale_count(connection: Connection) -> int:
    """Return how many minutes are stale."""
    counted = select(func.count(StaleMinute.minute.distinct()))
    return int(connection.execute(counted).scalar_one())


def sum_up_minute(connection: Connection, minute: datetime) -> None:
    """Sum up what began in the minute, from the rows themselves."""
    rows: dict[tuple[str, ...], Record] = {}
    for kind, query in _QUERIES.items():
        period = {"start": minute, "end": minute + MINUTE}
        for found in connection.execute(query, period).mappings():
            add_up(rows, kind, minute, found)
    replace_minute(connection, minute, list(_QUERIES), rows)


def sum_up_hour(connection: Connection, hour: datetime) -> None:
    """Sum up the minutes of the hour."""
    connection.execute(
        delete(PerformanceMetric).where(
            SUMMED.resolution == "hour", SUMMED.kind.in_(KINDS), SUMMED.bucket == hour
        )
    )
    dimensions = [SUMMED[name] for name in DIMENSIONS]
    summed = select(
        literal("hour"),
        literal(hour, UtcTime()),
        *dimensions,
        *(func.sum(SUMMED[name]) for name in SUMS),
        func.min(SUMMED.fastest_ms),
        func.max(SUMMED.slowest_ms),
    )
    within = summed.where(
        SUMMED.resolution == "minute",
        SUMMED.kind.in_(KINDS),
        SUMMED.bucket >= hour,
        SUMMED.bucket < hour + HOUR,
    )
    names = ["resolution", "bucket", *DIMENSIONS, *SUMS, "fastest_ms", "slowest_ms"]
    connection.execute(insert(PerformanceMetric).from_select(names, within.group_by(*dimensions)))


def mark_everything(connection: Connection) -> int:
    """Have all that there are rows of summed up anew; return how many minutes that is.

    The sums since the earliest row are dropped. Older ones stay: what they sum up was deleted.
    """
    minutes = _minutes_of(connection, [table.start_time for _, table, _ in SOURCES])
    told = _minutes_of(
        connection, [Event.occurred_at, AgentTransition.occurred_at, Feedback.given_at]
    )
    if minutes or told:
        first = min(minutes or told)
        minutes.update(minute for minute in told if minute >= first)
        for resolution, start in (("hour", start_of(first, HOUR)), ("minute", first)):
            connection.execute(
                delete(PerformanceMetric).where(
                    SUMMED.resolution == resolution, SUMMED.bucket >= start
                )
            )
    mark_stale(connection, minutes)
    return len(minutes)


def _minutes_of(connection: Connection, times: Iterable[Any]) -> set[datetime]:
    """Return the minutes that there are rows of."""
    minutes: set[datetime] = set()
    for time in times:
        minute: ColumnElement[Any] = func.date_trunc("minute", time, "UTC", type_=UtcTime())
        if connection.dialect.name == "sqlite":
            microseconds = type_coerce(time, BigInteger) // _MINUTE_MICROSECONDS
            minute = type_coerce(microseconds * _MINUTE_MICROSECONDS, UtcTime())
        minutes.update(
            connection.execute(select(minute).distinct().where(time.is_not(None))).scalars()
        )
    return minutes


def _grouped(table: SummedTable, dimensions: dict[str, InstrumentedAttribute[Any]]) -> Select[Any]:
    duration = func.coalesce(table.duration_ms, 0)
    duration_class = class_of(duration)
    grouped = [column.label(name) for name, column in dimensions.items()]
    return (
        select(
            *grouped,
            duration_class,
            func.count().label("count"),
            func.sum(duration).label("duration_ms"),
            func.min(duration).label("fastest_ms"),
            func.max(duration).label("slowest_ms"),
            *_measures(table),
        )
        .where(
            table.start_time >= bindparam("start", type_=UtcTime()),
            table.start_time < bindparam("end", type_=UtcTime()),
        )
        .group_by(*dimensions.values(), duration_class)
    )


def _measures(table: SummedTable) -> Iterable[ColumnElement[Any]]:
    for name in TOKENS:
        column = getattr(table, name, None)
        if column is not None:
            yield func.sum(func.coalesce(column, 0)).label(name)
    cost = getattr(table, "total_cost", None)
    if cost is not None:
        yield func.sum(cost).label("cost")
        yield func.count(cost).label("priced")


def class_of(duration: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the number of the class that a duration falls into, as `duration_class`."""
    return case(
        *((duration <= bound, literal(number)) for number, bound in enumerate(DURATION_BOUNDS_MS)),
        else_=literal(len(DURATION_BOUNDS_MS)),
    ).label("duration_class")


# Putting a query together costs more than running it on a minute: once is enough.
_QUERIES = {kind: _grouped(table, dimensions) for kind, table, dimensions in SOURCES}


def add_up(rows: dict[tuple[str, ...], Record], kind: str, minute: datetime, found: Any) -> None:
    """Add what a query found for one group and class of durations to the rows of a minute."""
    key = (kind, *(found.get(name) or "" for name in DIMENSIONS[1:]))
    row = rows.setdefault(key, _empty(key, minute))
    row[DURATION_CLASSES[found["duration_class"]]] += found["count"]
    for name in SUMS:
        value = found.get(name)
        if value is not None:
            row[name] += value if name == "cost" else int(value)
    fastest = int(found["fastest_ms"])
    row["fastest_ms"] = fastest if row["fastest_ms"] is None else min(row["fastest_ms"], fastest)
    row["slowest_ms"] = max(row["slowest_ms"], int(found["slowest_ms"]))


def replace_minute(
    connection: Connection,
    minute: datetime,
    kinds: Sequence[str],
    rows: Mapping[tuple[str, ...], Record],
) -> None:
    """Have the minute's sums of these kinds be these rows."""
    connection.execute(
        delete(PerformanceMetric).where(
            SUMMED.resolution == "minute", SUMMED.bucket == minute, SUMMED.kind.in_(kinds)
        )
    )
    if rows:
        connection.execute(insert(PerformanceMetric), list(rows.values()))


def _empty(key: Sequence[str], minute: datetime) -> Record:
    return {
        "resolution": "minute",
        "bucket": minute,
        **dict(zip(DIMENSIONS, key, strict=True)),
        **dict.fromkeys(SUMS, 0),
        "cost": Decimal(0),
        "fastest_ms": None,
        "slowest_ms": 0,
    }
