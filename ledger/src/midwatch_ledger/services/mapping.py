"""Records to rows: what one span, or one event, says by itself.

What depends on a span's place in its trace is `services.derivation`'s. Row ids are made from what
identifies the record, so that the same record always becomes the same row.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from midwatch.registry import events
from midwatch.registry.records import record_id

from midwatch_ledger.models import EventRecord, ResourceRecord, SpanRecord
from midwatch_ledger.services import conventions as names
from midwatch_ledger.services import reading
from midwatch_ledger.services.columns import EXECUTION, LLM_CALL, SPAN

Row = dict[str, Any]
STATUSES = frozenset({"started", "completed", "failed", "cancelled"})
"""S4's words for how far an execution is, or how it ended."""

# Asked for a span's own row, and again for each of its children.
row_id = lru_cache(maxsize=16_384)(record_id)

_TURN_SIGNS = (*names.ENTRY_AGENT, *names.TURN_OUTCOME)
_OUTCOMES = (*names.TURN_OUTCOME, *names.RUN_OUTCOME)
_TRANSITIONS = {
    events.ROUTE_SELECTED.name: ("route", None, "selected_agent", "detail"),
    events.HANDOFF.name: ("handoff", "from_agent", "to_agent", "detail"),
    events.HANDOFF_LOOP.name: ("handoff_loop", "from_agent", "to_agent", "repeats"),
    events.STATE_CHANGED.name: ("state_change", "agent", "agent", "detail"),
}


def role_of(span: SpanRecord) -> str | None:
    """Return whether the span is a model call, an execution, or neither."""
    operation = span.attributes.get(names.OPERATION)
    if operation in names.MODEL_CALLS:
        return names.LLM_CALL_ROLE
    if operation in names.EXECUTIONS or _is_turn(span):
        return names.EXECUTION_ROLE
    return None


def span_row(span: SpanRecord) -> Row:
    """Return the row of `spans`, its derived columns still empty."""
    found = span.attributes
    row = SPAN.read(found)
    project = row["project"]
    row.update(_emitter(span.resource))
    row["project"] = project or row["project"]
    row["trace_id"] = span.trace_id
    row["span_id"] = span.span_id
    row["parent_span_id"] = span.parent_span_id
    row["name"] = span.name
    row["kind"] = span.kind
    row["start_unix_nanoseconds"] = span.start_unix_nanoseconds
    row["end_unix_nanoseconds"] = span.end_unix_nanoseconds
    row["status"] = span.status
    row["status_message"] = span.status_message
    row["role"] = role_of(span)
    row["attributes"] = _without_content(found)
    row["events"] = span.events
    row["links"] = span.links
    row["nearest_agent"] = None
    row["execution_span_id"] = None
    return row


def execution_row(span: SpanRecord, row: Row, now: datetime) -> Row:
    """Return the row of `execution_logs` for a workflow, agent, tool, retrieval or turn.

    `row` is the span's own, which doesn't keep its attributes any more if they are all kept here.
    """
    made = _with_common(EXECUTION.read(span.attributes), span, row, now)
    made["execution_id"] = made["execution_id"] or span.trace_id
    made["agent_type"] = made["agent_type"] or span.name
    made["execution_step"] = made["execution_step"] or names.TURN_STEP
    made["parent_execution_log_id"] = None
    return made


def llm_call_row(span: SpanRecord, row: Row, now: datetime) -> Row:
    """Return the row of `llm_call_logs` for a call of a model.

    `row` is the span's own, which doesn't keep its attributes any more if they are all kept here.
    """
    made = _with_common(LLM_CALL.read(span.attributes), span, row, now)
    input_tokens, output_tokens = row["input_tokens"], row["output_tokens"]
    known = [tokens for tokens in (input_tokens, output_tokens) if tokens is not None]
    first_chunk = made["time_to_first_token_ms"]
    streaming = bool(made["is_streaming"]) or made["chunks_count"] is not None
    made["execution_log_id"] = None
    made["provider"] = row["provider"] or "unknown"
    made["model_id"] = row["model"] or "unknown"
    made["call_type"] = "inference_stream" if streaming else "inference"
    made["input_tokens"] = input_tokens
    made["output_tokens"] = output_tokens
    made["total_tokens"] = sum(known) if known else None
    made["total_cost"] = row["cost"]
    made["is_streaming"] = streaming
    made["time_to_first_token_ms"] = None if first_chunk is None else first_chunk * 1000
    made["agent"] = row["agent"]
    return made


def event_row(event: EventRecord) -> Row:
    """Return the row of `events`."""
    return {
        **_event_common(event),
        "name": event.name,
        "severity": event.severity,
        "body": event.body,
    }


def transition_row(event: EventRecord) -> Row | None:
    """Return the row of `agent_transitions` if the event is a transition."""
    if event.name not in _TRANSITIONS:
        return None
    kind, source, target, reason = _TRANSITIONS[event.name]
    return {
        **_event_common(event),
        "kind": kind,
        "from_agent": reading.text(event.attributes, (source,)) if source else None,
        "to_agent": reading.text(event.attributes, (target,)),
        "reason": reading.text(event.attributes, (reason,)),
    }


def guardrail_row(event: EventRecord) -> Row | None:
    """Return the row of `guardrail_decisions` if the event is one."""
    if event.name != events.GUARDRAIL_DECIDED.name:
        return None
    return {
        **_event_common(event),
        "gate": reading.text(event.attributes, ("gate",)) or "unknown",
        "decision": reading.text(event.attributes, ("decision",)) or "unknown",
        "reason": reading.text(event.attributes, ("reason",)),
        "agent": reading.text(event.attributes, ("agent", *names.AGENT)),
    }


def feedback_row(event: EventRecord) -> Row | None:
    """Return the row of `feedback` if the event is one; nobody has looked at it yet."""
    if event.name != events.FEEDBACK_RECORDED.name:
        return None
    common = _event_common(event)
    given_at, found = common.pop("occurred_at"), common.pop("metadata")
    labels = found.get(events.FEEDBACK_LABELS.name)
    return {
        **common,
        "kind": reading.text(found, ("kind",)) or "unknown",
        "value": reading.text(found, ("value",)) or "unknown",
        "score": reading.number(found, (events.SCORE.name,)),
        "labels": labels if isinstance(labels, list) else [],
        "comment": reading.text(found, (events.COMMENT.name,)),
        "source": "application",
        "given_by": None,
        "given_at": given_at,
        "state": "new",
        "assignee": None,
        "updated_at": given_at,
    }


def _with_common(made: Row, span: SpanRecord, row: Row, now: datetime) -> Row:
    if not isinstance(made["metadata"], dict):
        # Once is enough: who reads the span reads them here.
        made["metadata"], row["attributes"] = row["attributes"], {}
    made["id"] = row_id(span.trace_id, span.span_id)
    made["trace_id"] = span.trace_id
    made["span_id"] = span.span_id
    # What the application says of an execution that it logs goes first.
    if made["status"] not in STATUSES:
        made["status"] = _status(span, row["error_type"] or "")
    made["start_time"] = reading.moment(span.start_unix_nanoseconds)
    made["end_time"] = reading.moment(span.end_unix_nanoseconds)
    made["duration_ms"] = reading.milliseconds(
        span.start_unix_nanoseconds, span.end_unix_nanoseconds
    )
    made["error_message"] = _error_message(span, row["error_type"])
    made["service"] = row["service"]
    made["service_version"] = row["service_version"]
    made["project"] = row["project"]
    made["created_at"] = made["updated_at"] = now
    return made


# Very many spans come from few emitters: what those say is read once.
@lru_cache(maxsize=64)
def _emitter(resource: ResourceRecord) -> Row:
    return {
        "resource_id": resource.id,
        "service": resource.service,
        "service_version": reading.text(resource.attributes, names.SERVICE_VERSION),
        "project": reading.text(resource.attributes, names.PROJECT),
    }


def _event_common(event: EventRecord) -> Row:
    found = event.attributes
    return {
        "id": event.id,
        "occurred_at": reading.moment(event.unix_nanoseconds),
        "trace_id": event.trace_id,
        "span_id": event.span_id,
        "session_id": reading.text(found, (*names.SESSION, "session_id")),
        "turn_id": reading.text(found, (*names.TURN, "turn_id")),
        "service": event.resource.service,
        "project": _project(found, event.resource.attributes),
        "metadata": found,
    }


def _status(span: SpanRecord, error_type: str) -> str:
    """Return S4's word for how the span ended; a cancellation isn't a failure."""
    if error_type.endswith("CancelledError"):
        return "cancelled"
    if "cancelled" in map(span.attributes.get, _OUTCOMES):
        return "cancelled"
    return "failed" if span.status == "error" else "completed"


def _error_message(span: SpanRecord, error_type: str | None) -> str | None:
    if span.status != "error":
        return None
    for event in span.events:
        message = event["attributes"].get("exception.message")
        if event["name"] == "exception" and message:
            return str(message)
    return span.status_message or error_type


def _project(found: reading.Attributes, resource: reading.Attributes) -> str | None:
    return reading.text(found, names.PROJECT) or reading.text(resource, names.PROJECT)


def _is_turn(span: SpanRecord) -> bool:
    return (
        names.OPERATION not in span.attributes
        and reading.first(span.attributes, _TURN_SIGNS) is not None
    )


def _without_content(found: dict[str, Any]) -> dict[str, Any]:
    if names.CONTENT.isdisjoint(found):
        return found
    return {name: value for name, value in found.items() if name not in names.CONTENT}
