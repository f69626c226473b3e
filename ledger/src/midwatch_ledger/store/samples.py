"""Samples of raw rows: bounded in number, spread over a period as its traffic is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from midwatch.registry import events
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    cast,
    func,
    select,
    type_coerce,
)

from midwatch_ledger.models import (
    AgentTransition,
    Event,
    ExecutionLog,
    LlmCallLog,
    Span,
    WorkflowTrace,
)
from midwatch_ledger.models.types import JsonDocument
from midwatch_ledger.store.among import among
from midwatch_ledger.store.extents import began_in, extent_of
from midwatch_ledger.store.places import spread
from midwatch_ledger.store.records import records
from midwatch_ledger.store.sums import Question

Record = dict[str, Any]

_MOST_SPANS_OF_A_TRACE = 1_000
_MOST_STATEMENTS = 8


def traces(
    connection: Connection,
    begins: Sequence[datetime],
    end: datetime,
    equal: Mapping[str, str | None],
    most: int,
) -> list[Record]:
    """Return traces that began at or after these times, each once: ids, times, numbers of spans."""
    columns = {
        "service": WorkflowTrace.service,
        "service_version": WorkflowTrace.service_version,
        "project": WorkflowTrace.project,
        "agent": WorkflowTrace.entry_agent,
    }
    if not begins:
        return []
    told: list[Any] = [
        WorkflowTrace.trace_id,
        WorkflowTrace.start_time,
        WorkflowTrace.end_time,
        WorkflowTrace.span_count,
    ]
    query = select(*told).where(
        WorkflowTrace.span_count <= _MOST_SPANS_OF_A_TRACE,
        *(columns[name] == value for name, value in equal.items() if value is not None),
    )
    sampled = spread(connection, query, WorkflowTrace.start_time, begins, end, most)
    return records(connection, select(sampled))


def spans(connection: Connection, sampled: Iterable[Record], most: int) -> list[Record]:
    """Return what time went by in the traces' spans; whole traces only, if there are too many.

    They come in the order of their traces' ids, those of a trace in the order in which they began.
    """
    chosen = list(sampled)
    if sum(trace["span_count"] for trace in chosen) > most:
        chosen = _as_many(connection, chosen, most)
    rows = [
        row for of_day in _by_day(chosen) for row in records(connection, _spans(connection, of_day))
    ]
    return sorted(
        rows, key=lambda row: (row["trace_id"], row["start_unix_nanoseconds"], row["span_id"])
    )


def _as_many(connection: Connection, sampled: Sequence[Record], most: int) -> list[Record]:
    """Return the first of the traces, by their ids, that have no more spans than that together.

    Those that are kept count, which can be fewer than a trace had.
    """
    counts: dict[str, int] = {}
    for of_day in _by_day(sampled):
        query = select(Span.trace_id, func.count()).where(*_of(connection, of_day))
        counts.update(
            (one, count) for one, count in connection.execute(query.group_by(Span.trace_id))
        )
    chosen = []
    for trace in sorted(sampled, key=lambda one: str(one["trace_id"])):
        most -= counts.get(trace["trace_id"], 0)
        if most < 0:
            break
        chosen.append(trace)
    return chosen


def _by_day(sampled: Iterable[Record]) -> Iterator[list[Record]]:
    """Give the traces by a few days on which they began: each day is a table of its own."""
    ordered = sorted(sampled, key=lambda one: one["start_time"])
    days = sorted({trace["start_time"].date() for trace in ordered})
    at_once = -(-len(days) // _MOST_STATEMENTS) or 1
    part_of = {day: number // at_once for number, day in enumerate(days)}
    for _, part in groupby(ordered, key=lambda one: part_of[one["start_time"].date()]):
        yield list(part)


def _of(connection: Connection, sampled: Sequence[Record]) -> list[ColumnElement[bool]]:
    ids = [trace["trace_id"] for trace in sampled]
    return [among(connection, Span.trace_id, ids), *began_in(Span, extent_of(sampled))]


def _spans(connection: Connection, sampled: Sequence[Record]) -> Select[Any]:
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
    same = (ExecutionLog.trace_id == Span.trace_id, ExecutionLog.span_id == Span.span_id)
    return (
        select(*columns)
        .outerjoin(ExecutionLog, and_(*same, *began_in(ExecutionLog, extent_of(sampled))))
        .where(*_of(connection, sampled))
    )


def _address(table: type[Span | ExecutionLog]) -> Any:
    return type_coerce(table.attributes, JsonDocument)["server.address"].as_string()


def calls(
    connection: Connection,
    begins: Sequence[datetime],
    end: datetime,
    equal: Mapping[str, str | None],
    most: int,
    short: tuple[int, int],
) -> list[Record]:
    """Return sums of model calls that have a cost: who made them, what they took.

    Kept apart are those that are short, with no more input and output tokens than `short` says,
    and those that are itemized: what their input and their output cost is known.
    """
    if not begins:
        return []
    query = _priced(short).where(*_matching(LlmCallLog, equal))
    sampled = spread(connection, query, LlmCallLog.start_time, begins, end, most)
    return records(connection, _summed(sampled.c))


def _priced(short: tuple[int, int]) -> Select[Any]:
    inputs, outputs = (
        func.coalesce(tokens, 0) for tokens in (LlmCallLog.input_tokens, LlmCallLog.output_tokens)
    )
    itemized = and_(LlmCallLog.input_cost.is_not(None), LlmCallLog.output_cost.is_not(None))
    columns: list[Any] = [
        LlmCallLog.provider,
        LlmCallLog.model_id.label("model"),
        func.coalesce(LlmCallLog.agent, "").label("agent"),
        and_(inputs <= short[0], outputs <= short[1]).label("short"),
        itemized.label("itemized"),
        inputs.label("input_tokens"),
        outputs.label("output_tokens"),
        LlmCallLog.input_cost,
        LlmCallLog.output_cost,
        LlmCallLog.total_cost.label("cost"),
    ]
    return select(*columns).where(
        LlmCallLog.total_cost.is_not(None), LlmCallLog.status == "completed"
    )


def _summed(call: Any) -> Select[Any]:
    grouped = (call.provider, call.model, call.agent, call.short, call.itemized)
    tokens, costs = ("input_tokens", "output_tokens"), ("input_cost", "output_cost", "cost")
    sums = [
        *(cast(func.sum(call[name]), BigInteger).label(name) for name in tokens),
        *(func.sum(call[name]).label(name) for name in costs),
    ]
    return (
        select(*grouped, func.count().label("calls"), *sums).group_by(*grouped).order_by(*grouped)
    )


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
    return records(connection, select(*columns).where(WorkflowTrace.trace_id.in_(select(ids))))


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
