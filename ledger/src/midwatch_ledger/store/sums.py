"""Reading the sums by minute and hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
)

from midwatch_ledger.models.rollups import SUMS
from midwatch_ledger.models.types import Money, UtcTime
from midwatch_ledger.store.records import records
from midwatch_ledger.store.rollups import HOUR, SUMMED, start_of
from midwatch_ledger.store.windows import Parts, divide, within

Record = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """Which sums are asked for.

    Attributes:
        kind: trace, execution or llm_call.
        start: the first bucket, or within hours that are asked for, any minute.
        end: after the last bucket, or any minute as well.
        resolution: minute or hour. Hours that are only in part asked for are told by their minutes.
        equal: values that dimensions must have; None is any.
        group_by: the dimensions that are kept apart.
        over_time: whether buckets are kept apart as well.
        columns: the sums that are wanted beside `count`, `failed` and `slowest_ms`; fewer are
            faster.
    """

    kind: str
    start: datetime
    end: datetime
    resolution: str
    equal: Mapping[str, str | None] = field(default_factory=dict)
    group_by: tuple[str, ...] = ()
    over_time: bool = False
    columns: tuple[str, ...] = SUMS


def sums(connection: Connection, question: Question) -> list[Record]:
    """Return the sums in order of time and of the dimensions; `failed_cost` beside `cost`."""
    grouped: list[ColumnElement[Any]] = [SUMMED[name] for name in question.group_by]
    if question.over_time:
        grouped.insert(0, _bucket(question))
    query = (
        select(*grouped, *_measures(question.columns))
        .where(
            of_kind(question.kind, _parts(question)),
            *(SUMMED[name] == value for name, value in question.equal.items() if value is not None),
        )
        .group_by(*grouped)
        .order_by(*grouped)
    )
    # Without groups there is one row, which has nothing in it if there is nothing to sum up.
    return [row for row in records(connection, query) if row["count"]]


# Making them takes longer than many a small answer, and few sets of columns are ever asked for.
@lru_cache(maxsize=64)
def _measures(columns: tuple[str, ...]) -> tuple[ColumnElement[Any], ...]:
    failed = SUMMED.status == "failed"
    measures = [
        *(_added(SUMMED[name]).label(name) for name in sorted({"count", *columns})),
        func.max(SUMMED.slowest_ms).label("slowest_ms"),
        _added(case((failed, SUMMED["count"]), else_=0)).label("failed"),
    ]
    if "cost" in columns:
        failed_cost = func.sum(case((failed, SUMMED.cost), else_=Decimal(0)))
        measures.append(failed_cost.label("failed_cost"))
    return tuple(measures)


def of_kind(kind: str, parts: Parts) -> ColumnElement[bool]:
    """Return that sums are of a kind, and those by hour and by minute that a period is made of."""
    # Each says all that the key begins with, so that each finds its place in it.
    return or_(
        false(),
        *(
            and_(
                SUMMED.resolution == resolution,
                SUMMED.kind == kind,
                within(SUMMED.bucket, stretches),
            )
            for resolution, stretches in (("hour", parts.hours), ("minute", parts.minutes))
            if stretches
        ),
    )


def _added(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the sum of a column, as a whole number if it is one.

    PostgreSQL sums whole numbers to decimals, which are slow to read by thousands.
    """
    total = func.sum(column)
    return total if isinstance(column.type, Money) else cast(total, BigInteger)


def _parts(question: Question) -> Parts:
    if question.resolution == "minute":
        return Parts(minutes=((question.start, question.end),))
    return divide(question.start, question.end)


def _bucket(question: Question) -> ColumnElement[datetime]:
    """Return the minute, or the hour also where minutes tell of it."""
    first, last = start_of(question.start, HOUR), start_of(question.end, HOUR)
    bucket: ColumnElement[datetime] = SUMMED.bucket
    if question.resolution == "minute" or (first, last) == (question.start, question.end):
        return bucket
    return case(
        (bucket < first + HOUR, literal(first, UtcTime())),
        (bucket >= last, literal(last, UtcTime())),
        else_=bucket,
    ).label("bucket")
