"""OTLP in: request bodies to records, and for each record that is bad, why."""

from __future__ import annotations

import hashlib
import math
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import orjson
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from midwatch_ledger.models import EventRecord, ResourceRecord, SpanRecord
from midwatch_ledger.services import otlp_json
from midwatch_ledger.services.otlp_json import LOGS, TRACES

Record = TypeVar("Record", SpanRecord, EventRecord)
_LARGEST_INTEGER = 2**63 - 1
_NO_STATUS = Status()
_STATUS = {
    Status.STATUS_CODE_UNSET: "unset",
    Status.STATUS_CODE_OK: "ok",
    Status.STATUS_CODE_ERROR: "error",
}


_KINDS = {number: name.removeprefix("SPAN_KIND_").lower() for name, number in Span.SpanKind.items()}


class MalformedBodyError(Exception):
    """The body as a whole isn't the OTLP request that its content type promises."""


class RejectedRecordError(Exception):
    """One record can't be kept; the message is the reason, a short code."""


@dataclass(frozen=True)
class Refused:
    """What is no record: why, and as JSON the request that has nothing but it."""

    reason: str
    body: bytes


@dataclass
class Decoded(Generic[Record]):
    """The records of one request, and what of it is none.

    `ignored` counts log records without an event name: the ledger keeps events, not logs.
    """

    records: list[Record] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    ignored: int = 0

    def refuse(self, reason: str, document: otlp_json.Document) -> None:
        """Note what is no record."""
        body = orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
        self.refused.append(Refused(reason, body))


def decode_traces(body: bytes, *, is_json: bool) -> Decoded[SpanRecord]:
    """Decode an ExportTraceServiceRequest.

    Raises:
        MalformedBodyError: nothing of the body can be read.
    """
    decoded: Decoded[SpanRecord] = Decoded()
    for resource, emitter, scope, span in _trace_items(body, is_json, decoded.refuse):
        try:
            decoded.records.append(_span_record(emitter, scope, span))
        except RejectedRecordError as error:
            decoded.refuse(str(error), otlp_json.alone_as_came(TRACES, resource, scope, span))
    return decoded


def decode_logs(body: bytes, *, is_json: bool) -> Decoded[EventRecord]:
    """Decode an ExportLogsServiceRequest.

    Raises:
        MalformedBodyError: nothing of the body can be read.
    """
    decoded: Decoded[EventRecord] = Decoded()
    for resource, emitter, log_record in _log_items(body, is_json, decoded.refuse):
        try:
            record = _event_record(emitter, log_record)
        except RejectedRecordError as error:
            decoded.refuse(str(error), otlp_json.alone_as_came(LOGS, resource, "", log_record))
            continue
        if record is None:
            decoded.ignored += 1
        else:
            decoded.records.append(record)
    return decoded


def _trace_items(
    body: bytes, is_json: bool, refuse: otlp_json.Refuse
) -> Iterator[tuple[Resource, ResourceRecord, str, Span]]:
    if is_json:
        document = _parse_json(body)
        for resource, scope, span in otlp_json.spans(document, refuse):
            yield resource, _resource_record(resource), scope, span
        return
    request = _parse(ExportTraceServiceRequest, body)
    for resource_spans in request.resource_spans:
        record = _resource_record(resource_spans.resource)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield resource_spans.resource, record, scope_spans.scope.name, span


def _log_items(
    body: bytes, is_json: bool, refuse: otlp_json.Refuse
) -> Iterator[tuple[Resource, ResourceRecord, LogRecord]]:
    if is_json:
        document = _parse_json(body)
        for resource, log_record in otlp_json.log_records(document, refuse):
            yield resource, _resource_record(resource), log_record
        return
    request = _parse(ExportLogsServiceRequest, body)
    for resource_logs in request.resource_logs:
        record = _resource_record(resource_logs.resource)
        for scope_logs in resource_logs.scope_logs:
            for log_record in scope_logs.log_records:
                yield resource_logs.resource, record, log_record


_Request = TypeVar("_Request", bound=Message)


def _parse(kind: Callable[[], _Request], body: bytes) -> _Request:
    request = kind()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise MalformedBodyError(
            f"the body is not a protobuf {request.DESCRIPTOR.name} ({error})"
        ) from error
    return request


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBodyError(f"the body is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise MalformedBodyError(f"the body is a JSON {type(document).__name__}, not an object")
    return document


def _span_record(resource: ResourceRecord, scope: str, span: Span) -> SpanRecord:
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    status = span.status if span.HasField("status") else _NO_STATUS
    if not 0 < start <= _LARGEST_INTEGER or end > _LARGEST_INTEGER:
        raise RejectedRecordError("bad_time")
    return SpanRecord(
        trace_id=_trace_id(span.trace_id),
        span_id=_span_id(span.span_id, "bad_span_id"),
        parent_span_id=_optional_span_id(span.parent_span_id, "bad_parent_span_id"),
        resource=resource,
        scope=_text(scope),
        name=_text(span.name),
        kind=_KINDS.get(span.kind, "unspecified"),
        start_unix_nanoseconds=start,
        # An unset or earlier end is a clock's fault; the span happened all the same.
        end_unix_nanoseconds=max(start, end),
        status=_STATUS.get(status.code, "unset"),
        status_message=_text(status.message) or None,
        attributes=_attributes(span.attributes),
        events=[_span_event(event) for event in span.events],
        links=[_link(link) for link in span.links],
    )


def _event_record(resource: ResourceRecord, record: LogRecord) -> EventRecord | None:
    attributes = _attributes(record.attributes)
    name = _text(record.event_name) or attributes.pop("event.name", None)
    if not isinstance(name, str) or not name:
        return None
    nanoseconds = record.time_unix_nano or record.observed_time_unix_nano
    if not 0 < nanoseconds <= _LARGEST_INTEGER:
        raise RejectedRecordError("bad_time")
    trace_id = _trace_id(record.trace_id) if any(record.trace_id) else None
    span_id = _optional_span_id(record.span_id, "bad_span_id")
    severity = _text(record.severity_text) or None
    body = _value(record.body)
    # A log record has no id of its own: what is the same in every word is the same event.
    digest = hashlib.sha256(
        orjson.dumps(
            [resource.id, name, nanoseconds, trace_id, span_id, severity, body, attributes],
            option=orjson.OPT_SORT_KEYS,
        )
    ).digest()
    return EventRecord(
        id=uuid.UUID(bytes=digest[:16]),
        name=name,
        resource=resource,
        unix_nanoseconds=nanoseconds,
        trace_id=trace_id,
        span_id=span_id,
        severity=severity,
        body=body,
        attributes=attributes,
    )


def _resource_record(resource: Resource) -> ResourceRecord:
    attributes = _attributes(resource.attributes)
    digest = hashlib.sha256(orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return ResourceRecord(id=digest[:32], attributes=attributes)


def _span_event(event: Span.Event) -> dict[str, Any]:
    return {
        "name": _text(event.name),
        "unix_nanoseconds": min(event.time_unix_nano, _LARGEST_INTEGER),
        "attributes": _attributes(event.attributes),
    }


def _link(link: Span.Link) -> dict[str, Any]:
    return {
        "trace_id": link.trace_id.hex(),
        "span_id": link.span_id.hex(),
        "attributes": _attributes(link.attributes),
    }


def _trace_id(raw: bytes) -> str:
    if len(raw) != 16 or not any(raw):
        raise RejectedRecordError("bad_trace_id")
    return raw.hex()


def _span_id(raw: bytes, reason: str) -> str:
    if len(raw) != 8 or not any(raw):
        raise RejectedRecordError(reason)
    return raw.hex()


def _optional_span_id(raw: bytes, reason: str) -> str | None:
    return _span_id(raw, reason) if any(raw) else None


def _text(value: str) -> str:
    # PostgreSQL keeps no NUL in text or JSON; one in a prompt must not cost the record.
    return value.replace("\x00", "\ufffd") if "\x00" in value else value


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    # The hottest loop there is: text and whole numbers, most values, are read without asking first
    # what a value is; the fields of a value exclude each other, so what isn't empty is it.
    found: dict[str, Any] = {}
    for pair in pairs:
        value = pair.value
        text = value.string_value
        if text:
            found[pair.key] = text.replace("\x00", "\ufffd") if "\x00" in text else text
        else:
            found[pair.key] = value.int_value or _value(value)
    if "\x00" in "".join(found):
        return {_text(key): value for key, value in found.items()}
    return found


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return _text(value.string_value)
    if kind == "double_value":
        # JSON has no NaN and no infinity; the text keeps what was said.
        number = value.double_value
        return number if math.isfinite(number) else str(number)
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return b64encode(value.bytes_value).decode()
    return None if kind is None else getattr(value, kind)
