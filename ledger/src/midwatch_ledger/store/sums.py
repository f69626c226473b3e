"""Reading the sums by minute and hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, case, func, select

from midwatch_ledger.models.rollups import SUMS
from midwatch_ledger.store.rollups import SUMMED

Record = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """Which sums are asked for.

    Attributes:
        kind: trace, execution or llm_call.
        start: the first bucket.
        end: after the last bucket.
        resolution: minute or hour.
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
    grouped = [SUMMED[name] for name in question.group_by]
    if question.over_time:
        grouped.insert(0, SUMMED.bucket)
    failed = SUMMED.status == "failed"
    measures = [
        *(func.sum(SUMMED[name]).label(name) for name in sorted({"count", *question.columns})),
        func.max(SUMMED.slowest_ms).label("slowest_ms"),
        func.sum(case((failed, SUMMED["count"]), else_=0)).label("failed"),
    ]
    if "cost" in question.columns:
        failed_cost = func.sum(case((failed, SUMMED.cost), else_=Decimal(0)))
        measures.append(failed_cost.label("failed_cost"))
    query = (
        select(*grouped, *measures)
        .where(
            SUMMED.resolution == question.resolution,
            SUMMED.bucket >= question.start,
            SUMMED.bucket < question.end,
            SUMMED.kind == question.kind,
            *(SUMMED[name] == value for name, value in question.equal.items() if value is not None),
        )
        .group_by(*grouped)
        .order_by(*grouped)
    )
    rows = connection.execute(query).mappings()
    # Without groups there is one row, which has nothing in it if there is nothing to sum up.
    return [dict(row) for row in rows if row["count"]]
