"""Records to rows: what one span, or one event, says by itself.

What depends on a span's place in its trace is `services.derivation`'s. Row ids are made from what
identifies the record, so that the same record always becomes the same row.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from midwatch.registry import events
from midwatch.registry.records import record_id

from midwatch_ledger.models import EventRecord, SpanRecord
from midwatch_ledger.services import conventions as names
from midwatch_ledger.services import reading

Row = dict[str, Any]
STATUSES = frozenset({"started", "completed", "failed", "cancelled"})
"""S4's words for how far an execution is, or how it ended."""

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
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "resource_id": span.resource.id,
        "service": span.resource.service,
        "service_version": reading.text(span.resource.attributes, names.SERVICE_VERSION),
        "name": span.name,
        "kind": span.kind,
        "start_unix_nanoseconds": span.start_unix_nanoseconds,
        "end_unix_nanoseconds": span.end_unix_nanoseconds,
        "status": span.status,
        "status_message": span.status_message,
        "error_type": _error_type(span),
        "role": role_of(span),
        "operation": reading.text(found, (names.OPERATION,)),
        "entry_agent": reading.text(found, names.ENTRY_AGENT),
        "agent": reading.text(found, names.AGENT),
        "tool": reading.text(found, names.TOOL),
        "provider": reading.text(found, names.PROVIDER),
        "model": reading.text(found, names.MODEL),
        "session_id": reading.text(found, names.SESSION),
        "call_id": reading.text(found, names.CALL_ID),
        "user_hash": reading.text(found, names.USER_HASH),
        "project": _project(found, span.resource.attributes),
        "outcome": reading.text(found, names.TURN_OUTCOME),
        "input_tokens": reading.count(found, names.INPUT_TOKENS),
        "output_tokens": reading.count(found, names.OUTPUT_TOKENS),
        "cost": reading.amount(found, names.COST),
        "attributes": _without_content(found),
        "events": span.events,
        "links": span.links,
        "nearest_agent": None,
        "execution_span_id": None,
    }


def execution_row(span: SpanRecord, row: Row, now: datetime) -> Row:
    """Return the row of `execution_logs` for a workflow, agent, tool, retrieval or turn.

    `row` is the span's own, which doesn't keep its attributes any more if they are all kept here.
    """
    found = span.attributes
    return {
        **_common(span, row, now),
        "execution_id": reading.text(found, names.EXECUTION_ID) or span.trace_id,
        "agent_type": reading.text(found, (*names.AGENT, *names.WORKFLOW)) or span.name,
        "execution_step": reading.text(found, names.EXECUTION_STEP)
        or reading.text(found, (names.OPERATION,))
        or names.TURN_STEP,
        "action_type": reading.text(found, names.ACTION_TYPE) or reading.text(found, names.TOOL),
        "input_data": reading.document(found, names.INPUT_DATA),
        "output_data": reading.document(found, names.OUTPUT_DATA),
        "widget_id": reading.identifier(found, names.WIDGET_ID),
        "step_id": reading.identifier(found, names.STEP_ID),
        "external_platform": reading.text(found, names.EXTERNAL_PLATFORM),
        "external_user_id": reading.text(found, names.EXTERNAL_USER_ID),
        "parent_execution_log_id": None,
    }


def llm_call_row(span: SpanRecord, row: Row, now: datetime) -> Row:
    """Return the row of `llm_call_logs` for a call of a model.

    `row` is the span's own, which doesn't keep its attributes any more if they are all kept here.
    """
    found = span.attributes
    input_tokens, output_tokens = row["input_tokens"], row["output_tokens"]
    known = [tokens for tokens in (input_tokens, output_tokens) if tokens is not None]
    chunks = reading.count(found, names.STREAM_CHUNKS)
    first_chunk = reading.number(found, names.TIME_TO_FIRST_CHUNK)
    streaming = bool(reading.first(found, names.STREAMING)) or chunks is not None
    return {
        **_common(span, row, now),
        "execution_log_id": None,
        "provider": row["provider"] or "unknown",
        "model_id": row["model"] or "unknown",
        "call_type": "inference_stream" if streaming else "inference",
        "prompt": reading.text(found, names.PROMPT),
        "response": reading.text(found, names.RESPONSE),
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": sum(known) if known else None,
        "cache_read_tokens": reading.count(found, names.CACHE_READ_TOKENS),
        "cache_write_tokens": reading.count(found, names.CACHE_WRITE_TOKENS),
        "reasoning_tokens": reading.count(found, names.REASONING_TOKENS),
        "input_cost": reading.amount(found, names.INPUT_COST),
        "output_cost": reading.amount(found, names.OUTPUT_COST),
        "total_cost": row["cost"],
        "price_table": reading.text(found, names.PRICE_TABLE),
        "price_version": reading.text(found, names.PRICE_VERSION),
        "price_effective_date": reading.text(found, names.PRICE_EFFECTIVE_DATE),
        "is_streaming": streaming,
        "chunks_count": chunks,
        "time_to_first_token_ms": None if first_chunk is None else first_chunk * 1000,
        "agent": row["agent"],
        "prompt_name": reading.text(found, names.PROMPT_NAME),
        "prompt_version": reading.text(found, names.PROMPT_VERSION),
        "prompt_label": reading.text(found, names.PROMPT_LABEL),
        "prompt_variant": reading.text(found, names.PROMPT_VARIANT),
    }


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


def _common(span: SpanRecord, row: Row, now: datetime) -> Row:
    found = span.attributes
    said = reading.document(found, names.EXECUTION_METADATA)
    metadata = said if isinstance(said, dict) else row["attributes"]
    if metadata is row["attributes"]:
        # Once is enough: who reads the span reads them here.
        row["attributes"] = {}
    return {
        "id": record_id(span.trace_id, span.span_id),
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "status": _status(span),
        "start_time": reading.moment(span.start_unix_nanoseconds),
        "end_time": reading.moment(span.end_unix_nanoseconds),
        "duration_ms": reading.milliseconds(span.start_unix_nanoseconds, span.end_unix_nanoseconds),
        "error_message": _error_message(span),
        "metadata": metadata,
        "report_id": reading.identifier(found, names.REPORT_ID),
        "completion_id": reading.identifier(found, names.COMPLETION_ID),
        "service": row["service"],
        "service_version": row["service_version"],
        "project": row["project"],
        "created_at": now,
        "updated_at": now,
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


def _status(span: SpanRecord) -> str:
    """Return S4's word for how the span ended; a cancellation isn't a failure.

    What the application says of an execution that it logs goes first.
    """
    said = reading.text(span.attributes, names.EXECUTION_STATUS)
    if said in STATUSES:
        return said
    error_type = _error_type(span) or ""
    outcomes = (*names.TURN_OUTCOME, *names.RUN_OUTCOME)
    cancelled = any(span.attributes.get(name) == "cancelled" for name in outcomes)
    if error_type.endswith("CancelledError") or cancelled:
        return "cancelled"
    return "failed" if span.status == "error" else "completed"


def _error_message(span: SpanRecord) -> str | None:
    if span.status != "error":
        return None
    for event in span.events:
        message = event["attributes"].get("exception.message")
        if event["name"] == "exception" and message:
            return str(message)
    return span.status_message or _error_type(span)


def _error_type(span: SpanRecord) -> str | None:
    return reading.text(span.attributes, names.ERROR_TYPE)


def _project(found: reading.Attributes, resource: reading.Attributes) -> str | None:
    return reading.text(found, names.PROJECT) or reading.text(resource, names.PROJECT)


def _is_turn(span: SpanRecord) -> bool:
    return (
        names.OPERATION not in span.attributes
        and reading.first(span.attributes, (*names.ENTRY_AGENT, *names.TURN_OUTCOME)) is not None
    )


def _without_content(found: dict[str, Any]) -> dict[str, Any]:
    if names.CONTENT.isdisjoint(found):
        return found
    return {name: value for name, value in found.items() if name not in names.CONTENT}
