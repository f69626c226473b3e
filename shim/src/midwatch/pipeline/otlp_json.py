"""Spans and log records as OTLP/JSON, without protobuf.

For processes that have no protobuf, or one that would be slow, and for receivers that prefer JSON.
Fields that OTLP takes as absent when they are zero or empty are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, TraceState

from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.otlp_values import (
    Groups,
    attributes_json,
    grouped,
    quote,
    resource_json,
    schema_json,
    scope_json,
    to_bytes,
    value_json,
)
from midwatch.pipeline.payloads import Payload

JSON = "application/json"

_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200

_Item = TypeVar("_Item", ReadableSpan, ReadableLogRecord)


def encode_spans(batch: Sequence[ReadableSpan]) -> Payload:
    """Spans as an `ExportTraceServiceRequest`; one that cannot be encoded is counted."""
    groups = grouped(
        (span.resource, span.instrumentation_scope, text)
        for span, text in _encoded(batch, _span_json, "encode.span")
    )
    return _payload("traces", _request("resourceSpans", "scopeSpans", "spans", groups), groups)


def encode_logs(batch: Sequence[ReadableLogRecord]) -> Payload:
    """Log records as an `ExportLogsServiceRequest`; one that cannot be encoded is counted."""
    groups = grouped(
        (record.resource, record.instrumentation_scope, text)
        for record, text in _encoded(batch, _log_json, "encode.log")
    )
    return _payload("logs", _request("resourceLogs", "scopeLogs", "logRecords", groups), groups)


def _encoded(
    batch: Sequence[_Item], encode: Callable[[_Item], str], where: str
) -> Iterable[tuple[_Item, str]]:
    for item in batch:
        try:
            yield item, encode(item)
        except Exception as error:
            FAILURES.note(where, error)


def _request(resources_name: str, scopes_name: str, items_name: str, groups: Groups[str]) -> str:
    parts = _parts(resources_name, scopes_name, items_name, groups)
    # Joined once: each copy of a whole batch is time in which no other thread runs.
    return "".join(parts)


def _parts(
    resources_name: str, scopes_name: str, items_name: str, groups: Groups[str]
) -> Iterator[str]:
    yield f'{{"{resources_name}":['
    for number, (resource, scopes) in enumerate(groups):
        yield "," if number else ""
        yield f'{{"resource":{resource_json(resource)},"{scopes_name}":['
        for place, (scope, items) in enumerate(scopes):
            yield "," if place else ""
            yield f'{{"scope":{scope_json(scope)},"{items_name}":['
            yield ",".join(items)
            yield f"]{schema_json(_schema_url(scope))}}}"
        yield f"]{schema_json(resource.schema_url)}}}"
    yield "]}"


def _payload(signal: str, request: str, groups: Groups[str]) -> Payload:
    count = sum(len(items) for _, scopes in groups for _, items in scopes)
    return Payload("traces" if signal == "traces" else "logs", JSON, to_bytes(request), count)


def _schema_url(scope: InstrumentationScope | None) -> str | None:
    return scope.schema_url if scope else None


def _span_json(span: ReadableSpan) -> str:
    context = span.get_span_context()
    if context is None:
        raise ValueError("a span without a context cannot be exported")
    parent = span.parent
    status = span.status
    parts = [
        f'{{"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}",'
        f'"flags":{_flags(parent)},"name":{quote(span.name)},"kind":{span.kind.value + 1},'
        f'"startTimeUnixNano":"{span.start_time or 0}","endTimeUnixNano":"{span.end_time or 0}",'
        f'"attributes":{attributes_json(span._attributes)},'
        f'"status":{{"code":{status.status_code.value}'
    ]
    add = parts.append
    add(f',"message":{quote(status.description)}}}' if status.description else "}")
    if parent is not None:
        add(f',"parentSpanId":"{parent.span_id:016x}"')
    if context.trace_state:
        add(f',"traceState":{_trace_state_json(context.trace_state)}')
    if span._events:
        add(f',"events":[{",".join(map(_event_json, span._events))}]')
    if span._links:
        add(f',"links":[{",".join(map(_link_json, span._links))}]')
    add(_dropped("droppedAttributesCount", span.dropped_attributes))
    add(_dropped("droppedEventsCount", span.dropped_events))
    add(_dropped("droppedLinksCount", span.dropped_links))
    add("}")
    return "".join(parts)


def _event_json(event: Event) -> str:
    return (
        f'{{"timeUnixNano":"{event.timestamp}","name":{quote(event.name)},'
        f'"attributes":{attributes_json(event.attributes)}'
        f"{_dropped('droppedAttributesCount', event.dropped_attributes)}}}"
    )


def _link_json(link: Link) -> str:
    context = link.context
    state = context.trace_state
    return (
        f'{{"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}",'
        f'"flags":{_flags(context)},"attributes":{attributes_json(link.attributes)}'
        f"{_dropped('droppedAttributesCount', link.dropped_attributes)}"
        + (f',"traceState":{_trace_state_json(state)}}}' if state else "}")
    )


def _log_json(readable: ReadableLogRecord) -> str:
    record = readable.log_record
    severity = record.severity_number
    parts = [
        f'{{"timeUnixNano":"{record.timestamp or 0}",'
        f'"observedTimeUnixNano":"{record.observed_timestamp or 0}",'
        f'"body":{_body_json(record.body)},"attributes":{attributes_json(record.attributes)}'
    ]
    add = parts.append
    if severity is not None:
        add(f',"severityNumber":{severity.value}')
    if record.severity_text:
        add(f',"severityText":{quote(record.severity_text)}')
    if record.event_name:
        add(f',"eventName":{quote(record.event_name)}')
    if record.trace_id:
        add(f',"traceId":"{record.trace_id:032x}"')
    if record.span_id:
        add(f',"spanId":"{record.span_id:016x}"')
    if record.trace_flags:
        add(f',"flags":{int(record.trace_flags)}')
    add(_dropped("droppedAttributesCount", readable.dropped_attributes))
    add("}")
    return "".join(parts)


def _body_json(body: object) -> str:
    """The body; one that OTLP cannot carry is given as text, so that the record is kept."""
    try:
        return value_json(body)
    except (TypeError, ValueError, RecursionError) as error:
        FAILURES.note("encode.attribute", error)
        return f'{{"stringValue":{quote(repr(body))}}}'


def _flags(context: SpanContext | None) -> int:
    """Whether the context came from another process, as far as OTLP's flags tell it."""
    return _HAS_IS_REMOTE | _IS_REMOTE if context and context.is_remote else _HAS_IS_REMOTE


def _trace_state_json(state: TraceState) -> str:
    return quote(",".join(f"{key}={value}" for key, value in state.items()))


def _dropped(name: str, count: int) -> str:
    return f',"{name}":{count}' if count else ""
