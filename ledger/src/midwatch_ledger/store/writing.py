"""Writing: inserts that a repeated record leaves alone, and updates of derived columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from midwatch_ledger.models import (
    AgentTransition,
    Base,
    Event,
    ExecutionLog,
    Feedback,
    FeedbackReview,
    GuardrailDecision,
    LlmCallLog,
    Span,
    WorkflowTrace,
)
from midwatch_ledger.store.rollups import mark_stale

_IDS_PER_QUERY = 500
_OF_A_TRACE = (
    ExecutionLog,
    LlmCallLog,
    AgentTransition,
    GuardrailDecision,
    Feedback,
    Event,
    Span,
    WorkflowTrace,
)


def insert_new(connection: Connection, table: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows whose key isn't there yet; keep what is there."""
    if not rows:
        return
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(insert(table).on_conflict_do_nothing(), list(rows))


def lock_traces(connection: Connection, trace_ids: Iterable[str], now: datetime) -> None:
    """Make the traces' rows and hold them until the transaction ends.

    Whoever writes spans of a trace holds its row, so that two writers never sum up a trace without
    each other's spans. All lock in the same order, so that none waits in a circle.
    """
    ordered = sorted(trace_ids)
    insert_new(
        connection,
        WorkflowTrace,
        [
            {"trace_id": trace_id, "status": "started", "created_at": now, "updated_at": now}
            for trace_id in ordered
        ],
    )
    if connection.dialect.name == "sqlite":
        return  # The transaction holds the only write lock.
    for chunk in _chunks(ordered):
        connection.execute(
            select(WorkflowTrace.trace_id)
            .where(WorkflowTrace.trace_id.in_(chunk))
            .order_by(WorkflowTrace.trace_id)
            .with_for_update()
        )


def spans_of(
    connection: Connection, trace_ids: Iterable[str], columns: Sequence[str]
) -> list[Row[Any]]:
    """Return the trace id and the named columns of all spans of the traces."""
    selected = [Span.trace_id, *(getattr(Span, column) for column in columns)]
    rows: list[Row[Any]] = []
    for chunk in _chunks(sorted(trace_ids)):
        rows.extend(connection.execute(select(*selected).where(Span.trace_id.in_(chunk))))
    return rows


def update_traces(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write the summed-up columns of traces that exist."""
    if rows:
        connection.execute(
            update(WorkflowTrace).where(WorkflowTrace.trace_id == bindparam("key_trace_id")),
            [_keyed(row, "trace_id") for row in rows],
        )


def update_placements(
    connection: Connection, rows: Sequence[dict[str, Any]], now: datetime
) -> None:
    """Move spans that were written before, with their executions and calls, to their place.

    Each row has `trace_id`, `span_id`, `nearest_agent`, `execution_span_id`, `execution_log_id`
    and `agent_type` (None: as it is).
    """
    if not rows:
        return
    keyed = [
        {**{f"key_{name}": value for name, value in row.items()}, "key_now": now} for row in rows
    ]
    place: dict[str, Any] = {
        "nearest_agent": bindparam("key_nearest_agent"),
        "execution_span_id": bindparam("key_execution_span_id"),
    }
    call: dict[str, Any] = {
        "execution_log_id": bindparam("key_execution_log_id"),
        "agent": bindparam("key_nearest_agent"),
        "updated_at": bindparam("key_now"),
    }
    execution: dict[str, Any] = {
        "parent_execution_log_id": bindparam("key_execution_log_id"),
        "agent_type": func.coalesce(bindparam("key_agent_type"), ExecutionLog.agent_type),
        "updated_at": bindparam("key_now"),
    }
    for table, values in ((Span, place), (LlmCallLog, call), (ExecutionLog, execution)):
        connection.execute(
            update(table)
            .where(
                table.trace_id == bindparam("key_trace_id"),
                table.span_id == bindparam("key_span_id"),
            )
            .values(values),
            keyed,
        )


def delete_trace(connection: Connection, trace_id: str) -> dict[str, int]:
    """Delete all that is kept of a trace; return the number of rows by table."""
    mark_stale(connection, _times_of(connection, trace_id))
    reviewed = select(Feedback.id).where(Feedback.trace_id == trace_id)
    reviews = delete(FeedbackReview).where(FeedbackReview.feedback_id.in_(reviewed))
    return {
        str(FeedbackReview.__tablename__): connection.execute(reviews).rowcount,
        **{
            str(table.__tablename__): connection.execute(
                delete(table).where(table.trace_id == trace_id)
            ).rowcount
            for table in _OF_A_TRACE
        },
    }


def _times_of(connection: Connection, trace_id: str) -> list[datetime]:
    """Return when the trace, its executions and its model calls began, and its events were."""
    times = (
        WorkflowTrace.start_time,
        ExecutionLog.start_time,
        LlmCallLog.start_time,
        AgentTransition.occurred_at,
        Event.occurred_at,
        Feedback.given_at,
    )
    return [
        moment
        for time in times
        for moment in connection.execute(
            select(time).where(time.class_.trace_id == trace_id)
        ).scalars()
        if moment is not None
    ]


def _keyed(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {f"key_{key}" if name == key else name: value for name, value in row.items()}


def _chunks(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (
        values[start : start + _IDS_PER_QUERY] for start in range(0, len(values), _IDS_PER_QUERY)
    )
