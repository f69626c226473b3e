"""Sessions as a list and as a whole: from the sums of traces, and from the rows of a few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, or_, select

from midwatch_ledger.models import ExecutionLog, LlmCallLog, WorkflowTrace
from midwatch_ledger.store.extents import began_in, extent_of
from midwatch_ledger.store.reading import Criteria, Record

_MOST_ROWS = 2_000


@dataclass(frozen=True)
class TraceMark:
    """A trace's place in the list of traces that has the newest first."""

    time: Any
    trace_id: str


def traces(
    connection: Connection, criteria: Criteria, limit: int, after: TraceMark | None
) -> list[Record]:
    """Return traces, the newest first."""
    time, key = WorkflowTrace.start_time, WorkflowTrace.trace_id
    query = select(WorkflowTrace).where(time.is_not(None), *_conditions(criteria))
    if after is not None:
        query = query.where(time <= after.time, or_(time < after.time, key > after.trace_id))
    rows = connection.execute(query.order_by(time.desc(), key).limit(limit)).mappings()
    return [dict(row) for row in rows]


def sums(
    connection: Connection, criteria: Criteria, session_ids: Sequence[str]
) -> dict[str, Record]:
    """Return what the matching traces of each session come to."""
    if not session_ids:
        return {}
    failed = case((WorkflowTrace.status == "failed", 1), else_=0)
    query = (
        select(
            WorkflowTrace.session_id,
            func.count().label("turns"),
            func.sum(failed).label("failed"),
            func.min(WorkflowTrace.start_time).label("first_time"),
            func.max(WorkflowTrace.start_time).label("last_time"),
            func.sum(WorkflowTrace.llm_calls).label("llm_calls"),
            func.sum(WorkflowTrace.tool_calls).label("tool_calls"),
            func.sum(WorkflowTrace.total_tokens).label("total_tokens"),
            func.sum(WorkflowTrace.total_cost).label("total_cost"),
        )
        .where(WorkflowTrace.session_id.in_(session_ids), *_conditions(criteria))
        .group_by(WorkflowTrace.session_id)
    )
    return {row["session_id"]: dict(row) for row in connection.execute(query).mappings()}


def rows_of(connection: Connection, trace: Record) -> tuple[list[Record], list[Record]]:
    """Return the executions and the model calls of a trace, in order of time."""
    extent = extent_of([trace])
    found = [
        [
            dict(row)
            for row in connection.execute(
                select(table)
                .where(table.trace_id == trace["trace_id"], *began_in(table, extent))
                .order_by(table.start_time, table.id)
                .limit(_MOST_ROWS)
            ).mappings()
        ]
        for table in (ExecutionLog, LlmCallLog)
    ]
    return found[0], found[1]


def _conditions(criteria: Criteria) -> list[ColumnElement[bool]]:
    period = criteria.period
    found = [
        getattr(WorkflowTrace, name) == value
        for name, value in criteria.equal.items()
        if value is not None
    ]
    if period.start is not None:
        found.append(WorkflowTrace.start_time >= period.start)
    if period.end is not None:
        found.append(WorkflowTrace.start_time < period.end)
    return found
