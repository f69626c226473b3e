"""Samples of raw rows: bounded in number, spread over a period as its traffic is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from midwatch.registry import events
from sqlalchemy import ColumnElement, Connection, Select, Text, and_, func, select, type_coerce

from midwatch_ledger.models import (
    AgentTransition,
    Event,
    ExecutionLog,
    LlmCallLog,
    Span,
    WorkflowTrace,
)
from midwatch_ledger.models.types import JsonDocument
from midwatch_ledger.store.sums import Question

Record = dict[str, Any]

PLACES = 20
"""At how many places of a period rows are taken."""

_MOST_SPANS_OF_A_TRACE = 1_000


def places(
    counts: Sequence[tuple[datetime, int]], length: timedelta, number: int = PLACES
) -> list[datetime]:
    """Return times that divide the traffic of a period evenly, from how much each bucket had."""
    total = sum(count for _, count in counts)
    if not total:
        return []
    found: list[datetime] = []
    passed, buckets = 0, iter(counts)
    start, count = next(buckets)
    for place in range(number):
        wanted = total * place / number
        while passed + count <= wanted:
            passed += count
            start, count = next(buckets)
        found.append(start + length * ((wanted - passed) / count))
    return found


def traces(
    connection: Connection,
    begins: Sequence[datetime],
    end: datetime,
    equal: Mapping[str, str | None],
    most: int,
) -> list[str]:
    """Return the ids of traces that began at or after these times, each once."""
    columns = {
        "service": WorkflowTrace.service,
        "service_version": WorkflowTrace.service_version,
        "project": WorkflowTrace.project,
        "agent": WorkflowTrace.entry_agent,
    }
    query = select(WorkflowTrace.trace_id).where(
        WorkflowTrace.span_count <= _MOST_SPANS_OF_A_TRACE,
        *(columns[name] == value for name, value in equal.items() if value is not None),
    )
    return [
        str(row["trace_id"])
        for row in _spread(connection, query, WorkflowTrace.start_time, begins, end, most)
    ]


def spans(connection: Connection, trace_ids: Sequence[str], most: int) -> list[Record]:
    """Return what time went by in the traces' spans; whole traces only, if there are too many."""
    columns: list[Any] = [
        Span.trace_id,
        Span.span_id,
        Span.parent_span_id,
        Span.name,
        Span.kind,
        Span.role,
        Span.operation,
        Span.start_unix_nanoseconds,
        Span.end_unix_nanoseconds,
        Span.model,
        Span.tool,
        Span.agent,
        Span.nearest_agent,
        func.coalesce(_address(Span), _address(ExecutionLog)).label("address"),
    ]
    query = (
        select(*columns)
        .outerjoin(
            ExecutionLog,
            and_(ExecutionLog.trace_id == Span.trace_id, ExecutionLog.span_id == Span.span_id),
        )
        .where(Span.trace_id.in_(trace_ids))
        .order_by(Span.trace_id, Span.start_unix_nanoseconds, Span.span_id)
        .limit(most + 1)
    )
    rows = _all(connection, query)
    if len(rows) > most:
        cut = rows[-1]["trace_id"]
        rows = [row for row in rows if row["trace_id"] != cut]
    return rows


def _address(table: type[Span | ExecutionLog]) -> Any:
    return type_coerce(table.attributes, JsonDocument)["server.address"].as_string()


def calls(
    connection: Connection,
    begins: Sequence[datetime],
    end: datetime,
    equal: Mapping[str, str | None],
    most: int,
) -> list[Record]:
    """Return model calls that have a cost, with what they took but without content."""
    columns: list[Any] = [
        LlmCallLog.provider,
        LlmCallLog.model_id.label("model"),
        LlmCallLog.agent,
        LlmCallLog.input_tokens,
        LlmCallLog.output_tokens,
        LlmCallLog.input_cost,
        LlmCallLog.output_cost,
        LlmCallLog.total_cost.label("cost"),
    ]
    query = select(*columns).where(
        LlmCallLog.total_cost.is_not(None),
        LlmCallLog.status == "completed",
        *_matching(LlmCallLog, equal),
    )
    return list(_spread(connection, query, LlmCallLog.start_time, begins, end, most))


def prompts(connection: Connection, question: Question, most: int) -> list[Record]:
    """Return the newest model calls with their prompts, whoever asks: only digests may leave."""
    columns: list[Any] = [
        LlmCallLog.model_id.label("model"),
        LlmCallLog.agent,
        type_coerce(LlmCallLog.prompt, Text).label("prompt"),
        LlmCallLog.input_tokens,
        LlmCallLog.total_cost.label("cost"),
    ]
    query = (
        select(*columns)
        .where(
            LlmCallLog.start_time >= question.start,
            LlmCallLog.start_time < question.end,
            LlmCallLog.status == "completed",
            *_matching(LlmCallLog, question.equal),
        )
        .order_by(LlmCallLog.start_time.desc())
        .limit(most)
    )
    return _all(connection, query)


def looping_turns(connection: Connection, question: Question, most: int) -> list[Record]:
    """Return the newest turns that repeated a handoff, with what they cost, each once."""
    ids = (
        select(AgentTransition.trace_id)
        .where(
            AgentTransition.kind == "handoff_loop",
            AgentTransition.occurred_at >= question.start,
            AgentTransition.occurred_at < question.end,
            *_matching(AgentTransition, question.equal),
        )
        .order_by(AgentTransition.occurred_at.desc())
        .limit(most)
        .subquery()
    )
    columns: list[Any] = [
        WorkflowTrace.trace_id,
        WorkflowTrace.entry_agent.label("agent"),
        WorkflowTrace.total_cost.label("cost"),
    ]
    return _all(connection, select(*columns).where(WorkflowTrace.trace_id.in_(select(ids))))


def collaborations(connection: Connection, question: Question, most: int) -> list[Record]:
    """Return the newest collaborations that ended: who took part, and whether they ended well."""
    said = type_coerce(Event.attributes, JsonDocument)
    query = (
        select(said["participants"].label("participants"), said["outcome"].as_string())
        .where(
            Event.name == events.COLLABORATION_FINISHED.name,
            Event.occurred_at >= question.start,
            Event.occurred_at < question.end,
            *_matching(Event, question.equal),
        )
        .order_by(Event.occurred_at.desc())
        .limit(most)
    )
    return [
        {"participants": took_part, "ended_well": outcome == "ok"}
        for took_part, outcome in connection.execute(query)
        if isinstance(took_part, list)
    ]


def _matching(
    table: type[LlmCallLog | AgentTransition | Event], equal: Mapping[str, str | None]
) -> Iterator[ColumnElement[bool]]:
    for name in ("service", "project"):
        if equal.get(name) is not None:
            yield getattr(table, name) == equal[name]


def _spread(
    connection: Connection,
    query: Select[Any],
    time: Any,
    begins: Sequence[datetime],
    end: datetime,
    most: int,
) -> Iterator[Record]:
    """Give rows from each of the places up to the next, as many from each."""
    if not begins:
        return
    share = -(-most // len(begins))
    for begin, until in zip(begins, [*begins[1:], end], strict=True):
        chunk = query.where(time >= begin, time < until).order_by(time).limit(share)
        yield from _all(connection, chunk)


def _all(connection: Connection, query: Select[Any]) -> list[Record]:
    return [dict(row) for row in connection.execute(query).mappings()]
