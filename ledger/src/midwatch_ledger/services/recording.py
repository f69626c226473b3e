"""Records into the database: one transaction, the same result however often and in what order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from midwatch.registry.events import FEEDBACK_RECORDED
from sqlalchemy import Connection

from midwatch_ledger.models import (
    AgentTransition,
    Event,
    EventRecord,
    ExecutionLog,
    Feedback,
    GuardrailDecision,
    LlmCallLog,
    Resource,
    Span,
    SpanRecord,
)
from midwatch_ledger.services import conventions as names
from midwatch_ledger.services import derivation, mapping, reading
from midwatch_ledger.services.derivation import Placement, SpanFacts
from midwatch_ledger.services.execution_links import link_in
from midwatch_ledger.store import bulk, details, live, writing
from midwatch_ledger.store.detail_sources import COUNTED_EVENTS
from midwatch_ledger.store.extents import Extent
from midwatch_ledger.store.rollups import mark_stale

MAX_SPANS_OF_A_TRACE = 20_000
"""A trace is summed up from all its spans: one that never ends must not take all memory."""

_facts_of = itemgetter(*SpanFacts._fields)
_MINUTE_NANOSECONDS = 60_000_000_000
_AROUND_NANOSECONDS = 86_400_000_000_000
_Traces = dict[str, dict[str, SpanFacts]]


def record_spans(
    connection: Connection, spans: Sequence[SpanRecord], now: datetime
) -> list[SpanRecord]:
    """Write spans, what they become, and what follows for their traces.

    Returns:
        The spans that were left out because their trace has `MAX_SPANS_OF_A_TRACE` already.
    """
    if not spans:
        return []
    trace_ids = {span.trace_id for span in spans}
    known = writing.lock_traces(connection, trace_ids, now)
    traces = _load(connection, trace_ids, _times(spans, known))
    fresh, left_out = _fresh(spans, traces)
    if not fresh:
        return left_out
    began = {trace_id: _start(spans) for trace_id, spans in traces.items() if spans}
    rows = {key: mapping.span_row(span) for key, span in fresh.items()}
    for (trace_id, span_id), row in rows.items():
        traces[trace_id][span_id] = SpanFacts._make(_facts_of(row))
    touched = {trace_id for trace_id, _ in fresh}
    placed = {trace_id: derivation.placements(traces[trace_id]) for trace_id in touched}
    _insert(connection, fresh, rows, placed, now)
    moved = _move(connection, fresh, traces, placed, now)
    writing.write_traces(
        connection,
        [
            {"trace_id": trace_id, **derivation.workflow(traces[trace_id])}
            for trace_id in sorted(touched)
        ],
        now,
    )
    changed = [row["start_unix_nanoseconds"] for row in rows.values()]
    changed += [traces[trace_id][span_id].start_unix_nanoseconds for trace_id, span_id in moved]
    changed += [time for trace_id in touched for time in _starts(trace_id, began, traces)]
    opinions = details.times_of_opinions(connection, touched - began.keys())
    mark_stale(connection, [*_minutes(changed), *opinions])
    live.announce(connection, "spans", sorted(touched), now)
    return left_out


def record_events(connection: Connection, events: Sequence[EventRecord], now: datetime) -> None:
    """Write events, and what is kept besides of those that are more."""
    ordered = [record for _, record in sorted({event.id: event for event in events}.items())]
    writing.insert_new(connection, Resource, _resource_rows(ordered))
    bulk.insert(connection, Event, [mapping.event_row(event) for event in ordered])
    for table, row_of in (
        (AgentTransition, mapping.transition_row),
        (GuardrailDecision, mapping.guardrail_row),
        (Feedback, mapping.feedback_row),
    ):
        rows = [row_of(event) for event in ordered]
        writing.insert_new(connection, table, [row for row in rows if row])
    counted = [event for event in ordered if event.name in COUNTED_EVENTS]
    turns = {event.trace_id for event in counted if event.trace_id is not None}
    times = [reading.moment(event.unix_nanoseconds) for event in counted]
    mark_stale(connection, [*times, *details.times_of_turns(connection, turns)])
    live.announce(connection, "events", [event.id for event in ordered], now)
    opinions = [event.id for event in ordered if event.name == FEEDBACK_RECORDED.name]
    live.announce(connection, "feedback", opinions, now)


_Key = tuple[str, str]


def _load(connection: Connection, trace_ids: set[str], times: tuple[int, int]) -> _Traces:
    traces: _Traces = defaultdict(dict)
    for row in writing.spans_of(connection, trace_ids, SpanFacts._fields, times):
        facts = SpanFacts._make(row[1:])
        traces[row[0]][facts.span_id] = facts
    return traces


def _times(spans: Sequence[SpanRecord], known: Extent | None) -> tuple[int, int]:
    """Return between when spans of these traces can have begun.

    What the ledger has of them began within what it says of the traces. It may have spans of a
    trace of which it says nothing, as each table has a retention of its own: those are looked for
    around the times of the new ones.
    """
    starts = [span.start_unix_nanoseconds for span in spans]
    earliest, latest = min(starts) - _AROUND_NANOSECONDS, max(starts) + _AROUND_NANOSECONDS
    if known is None:
        return earliest, latest
    return (
        min(earliest, reading.nanoseconds(known.start)),
        max(latest, reading.nanoseconds(known.end) + 1_000),
    )


def _minutes(starts: Iterable[int]) -> Iterator[datetime]:
    for minute in {start // _MINUTE_NANOSECONDS for start in starts}:
        yield reading.moment(minute * _MINUTE_NANOSECONDS)


def _fresh(
    spans: Sequence[SpanRecord], traces: _Traces
) -> tuple[dict[_Key, SpanRecord], list[SpanRecord]]:
    """Return the spans to write, each once (the first to come stays), and those left out."""
    fresh: dict[_Key, SpanRecord] = {}
    left_out: list[SpanRecord] = []
    added: Counter[str] = Counter()
    for span in spans:
        key = (span.trace_id, span.span_id)
        present = traces[span.trace_id]
        if span.span_id in present or key in fresh:
            continue
        if len(present) + added[span.trace_id] >= MAX_SPANS_OF_A_TRACE:
            left_out.append(span)
            continue
        added[span.trace_id] += 1
        fresh[key] = span
    return fresh, left_out


def _insert(
    connection: Connection,
    fresh: Mapping[_Key, SpanRecord],
    rows: Mapping[_Key, dict[str, Any]],
    placed: Mapping[str, Mapping[str, Placement]],
    now: datetime,
) -> None:
    executions: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for (trace_id, span_id), span in fresh.items():
        row = rows[trace_id, span_id]
        place = placed[trace_id][span_id]
        row["nearest_agent"] = place.nearest_agent
        row["execution_span_id"] = place.execution_span_id
        if row["role"] == names.LLM_CALL_ROLE:
            call = link_in(mapping.llm_call_row(span, row, now), span.attributes)
            call["execution_log_id"] = call["execution_log_id"] or _execution_log_id(
                trace_id, place
            )
            call["agent"] = place.nearest_agent
            calls.append(call)
        elif row["role"] == names.EXECUTION_ROLE:
            execution = mapping.execution_row(span, row, now)
            execution["parent_execution_log_id"] = _execution_log_id(trace_id, place)
            doer = _agent_type(row["operation"], row["name"], place)
            execution["agent_type"] = doer or execution["agent_type"]
            executions.append(execution)
    writing.insert_new(connection, Resource, _resource_rows(list(fresh.values())))
    bulk.insert(connection, Span, list(rows.values()))
    bulk.insert(connection, ExecutionLog, executions)
    bulk.insert(connection, LlmCallLog, calls)


def _move(
    connection: Connection,
    fresh: Mapping[_Key, SpanRecord],
    traces: _Traces,
    placed: Mapping[str, Mapping[str, Placement]],
    now: datetime,
) -> list[_Key]:
    """Correct the spans that were here before and whose ancestors came only now; return them."""
    moved = []
    for trace_id, places in placed.items():
        for span_id, place in places.items():
            facts = traces[trace_id][span_id]
            if (trace_id, span_id) in fresh or place == Placement(
                facts.nearest_agent, facts.execution_span_id
            ):
                continue
            moved.append(
                {
                    "trace_id": trace_id,
                    "span_id": span_id,
                    "start_unix_nanoseconds": facts.start_unix_nanoseconds,
                    "start_time": reading.moment(facts.start_unix_nanoseconds),
                    "nearest_agent": place.nearest_agent,
                    "execution_span_id": place.execution_span_id,
                    "execution_log_id": _execution_log_id(trace_id, place),
                    "agent_type": _agent_type(facts.operation, facts.name, place),
                }
            )
    writing.update_placements(connection, moved, now)
    return [(row["trace_id"], row["span_id"]) for row in moved]


def _start(spans: Mapping[str, SpanFacts]) -> int:
    return min(span.start_unix_nanoseconds for span in spans.values())


def _starts(trace_id: str, before: Mapping[str, int], traces: _Traces) -> Iterator[int]:
    """Give when the trace began, as was known before and as is known now."""
    if trace_id in before:
        yield before[trace_id]
    yield _start(traces[trace_id])


def _agent_type(operation: str | None, name: str, place: Placement) -> str | None:
    """Return who did what an agent does; None for what is an agent or a workflow itself."""
    return (place.nearest_agent or name) if operation in names.DONE_BY_AGENT else None


def _execution_log_id(trace_id: str, place: Placement) -> Any:
    if place.execution_span_id is None:
        return None
    return mapping.row_id(trace_id, place.execution_span_id)


def _resource_rows(records: Sequence[SpanRecord | EventRecord]) -> list[dict[str, Any]]:
    resources = {record.resource.id: record.resource.attributes for record in records}
    return [{"id": key, "attributes": resources[key]} for key in sorted(resources)]
