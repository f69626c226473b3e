"""Writing: inserts that a repeated record leaves alone, and updates of derived columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from midwatch.registry.span_attributes import EXECUTION_LOG_ID
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Uuid,
    bindparam,
    case,
    delete,
    func,
    select,
    text,
    type_coerce,
    update,
)
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
from midwatch_ledger.models.types import JsonDocument
from midwatch_ledger.store import bulk
from midwatch_ledger.store.among import among
from midwatch_ledger.store.extents import Extent
from midwatch_ledger.store.rollups import mark_stale

_PLACEHOLDERS = text(
    "INSERT INTO workflow_traces (trace_id, status, complete, span_count, error_count, llm_calls, "
    "tool_calls, input_tokens, output_tokens, total_tokens, created_at, updated_at) "
    "SELECT trace_id, 'started', false, 0, 0, 0, 0, 0, 0, 0, :now, :now "
    "FROM unnest(CAST(:trace_ids AS text[])) AS trace_id ORDER BY trace_id "
    "ON CONFLICT DO NOTHING RETURNING trace_id"
)
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


def lock_traces(connection: Connection, trace_ids: Iterable[str], now: datetime) -> Extent | None:
    """Hold the traces' rows until the transaction ends; return when those that were there went on.

    Whoever writes spans of a trace holds its row, so that two writers never sum up a trace without
    each other's spans. All lock in the same order, so that none waits in a circle.
    """
    ordered = sorted(trace_ids)
    if connection.dialect.name == "sqlite":
        # The transaction holds the only write lock.
        return _extent(connection, among(connection, WorkflowTrace.trace_id, ordered))
    made = connection.execute(_PLACEHOLDERS, {"trace_ids": ordered, "now": now}).scalars()
    there = sorted(set(ordered) - set(made))
    if not there:
        return None
    wanted = among(connection, WorkflowTrace.trace_id, there)
    connection.execute(
        select(WorkflowTrace.trace_id)
        .where(wanted)
        .order_by(WorkflowTrace.trace_id)
        .with_for_update()
    )
    # Only now: who held a row may just have written what the trace's times are.
    return _extent(connection, wanted)


def spans_of(
    connection: Connection,
    trace_ids: Iterable[str],
    columns: Sequence[str],
    times: tuple[int, int],
) -> list[Row[Any]]:
    """Return the trace id and the named columns of the traces' spans that began in the time."""
    selected = [Span.trace_id, *(getattr(Span, column) for column in columns)]
    query = select(*selected).where(
        among(connection, Span.trace_id, sorted(trace_ids)),
        Span.start_unix_nanoseconds.between(*times),
    )
    return list(connection.execute(query))


def write_traces(connection: Connection, rows: Sequence[dict[str, Any]], now: datetime) -> None:
    """Write the summed-up traces, each whole."""
    added = {"created_at": now, "updated_at": now}
    bulk.upsert(connection, WorkflowTrace, [{**row, **added} for row in rows], keep=("created_at",))


def update_placements(
    connection: Connection, rows: Sequence[dict[str, Any]], now: datetime
) -> None:
    """Move spans that were written before, with their executions and calls, to their place.

    Each row has `trace_id`, `span_id`, `start_unix_nanoseconds`, `start_time`, `nearest_agent`,
    `execution_span_id`, `execution_log_id` and `agent_type` (None: as it is).
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
    said = type_coerce(LlmCallLog.attributes, JsonDocument)
    call: dict[str, Any] = {
        # What the application has linked stays so.
        "execution_log_id": case(
            (
                said[EXECUTION_LOG_ID.name].as_string().is_(None),
                bindparam("key_execution_log_id", type_=Uuid()),
            ),
            else_=LlmCallLog.execution_log_id,
        ),
        "agent": bindparam("key_nearest_agent"),
        "updated_at": bindparam("key_now"),
    }
    execution: dict[str, Any] = {
        "parent_execution_log_id": bindparam("key_execution_log_id"),
        "agent_type": func.coalesce(bindparam("key_agent_type"), ExecutionLog.agent_type),
        "updated_at": bindparam("key_now"),
    }
    # The time finds the day's partition.
    spans_time, calls_time, executions_time = (
        Span.start_unix_nanoseconds == bindparam("key_start_unix_nanoseconds"),
        LlmCallLog.start_time == bindparam("key_start_time"),
        ExecutionLog.start_time == bindparam("key_start_time"),
    )
    for table, time, values in (
        (Span, spans_time, place),
        (LlmCallLog, calls_time, call),
        (ExecutionLog, executions_time, execution),
    ):
        connection.execute(
            update(table)
            .where(
                table.trace_id == bindparam("key_trace_id"),
                table.span_id == bindparam("key_span_id"),
                time,
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


def _extent(connection: Connection, wanted: ColumnElement[bool]) -> Extent | None:
    times = select(func.min(WorkflowTrace.start_time), func.max(WorkflowTrace.end_time))
    start, end = connection.execute(times.where(wanted)).one()
    return None if start is None or end is None else Extent(start, end)
