"""OTLP's own JSON: protobuf's JSON mapping, but with trace and span ids in hexadecimal.

Each record is parsed by itself, so that one bad record costs only itself.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_IDS = ("traceId", "spanId", "parentSpanId")
_Parsed = TypeVar("_Parsed", bound=Message)

Document = dict[str, Any]
Path = tuple[str, str, str]
Refuse = Callable[[str, Document], None]
"""Is told why something is no record, and the request that has nothing but it."""
Around = Callable[[object], Document]

TRACES: Path = ("resourceSpans", "scopeSpans", "spans")
LOGS: Path = ("resourceLogs", "scopeLogs", "logRecords")


def spans(document: Document, refuse: Refuse) -> Iterator[tuple[Resource, str, Span]]:
    """Give each span of an ExportTraceServiceRequest; `refuse` is told of what is none."""
    for item in _items(document, TRACES, refuse):
        span = _parsed(item.raw, Span())
        if span is None:
            refuse("malformed", item.alone())
        else:
            yield item.resource, item.scope, span


def log_records(document: Document, refuse: Refuse) -> Iterator[tuple[Resource, LogRecord]]:
    """Give each record of an ExportLogsServiceRequest; `refuse` is told of what is none."""
    for item in _items(document, LOGS, refuse):
        record = _parsed(item.raw, LogRecord())
        if record is None:
            refuse("malformed", item.alone())
        else:
            yield item.resource, record


def alone_as_came(path: Path, resource: Resource, scope: str, record: Span | LogRecord) -> Document:
    """Return the request that has nothing but this record."""
    return _alone(path, _written(resource), {"name": scope}, _written(record))


@dataclass(frozen=True)
class _Item:
    """One record as it came, and what is around it."""

    path: Path
    resource: Resource
    scope: str
    raw: Document
    around: tuple[object, object]

    def alone(self) -> Document:
        return _alone(self.path, *self.around, self.raw)


def _items(document: Document, path: Path, refuse: Refuse) -> Iterator[_Item]:
    by_resource, by_scope, leaves = path
    for group in _objects(document.get(by_resource), lambda bad: {by_resource: bad}, refuse):
        around = group.get("resource") or {}
        resource = _parsed(around, Resource())

        def of_group(bad: object, around: object = around) -> Document:
            return {by_resource: [{"resource": around, by_scope: bad}]}

        for scoped in _objects(group.get(by_scope), of_group, refuse):
            scope = scoped.get("scope")
            name = scope.get("name", "") if isinstance(scope, dict) else ""

            def of_scope(
                bad: object, of_group: Around = of_group, scope: object = scope
            ) -> Document:
                return of_group([{"scope": scope, leaves: bad}])

            for item in _objects(scoped.get(leaves), of_scope, refuse):
                if resource is None:
                    refuse("bad_resource", of_scope([item]))
                else:
                    yield _Item(path, resource, str(name), item, (around, scope))


def _alone(path: Path, resource: object, scope: object, record: object) -> Document:
    by_resource, by_scope, leaves = path
    scoped = [{"scope": scope, leaves: [record]}]
    return {by_resource: [{"resource": resource, by_scope: scoped}]}


def _written(message: Message) -> Document:
    document: Document = json_format.MessageToDict(message)
    for part in (document, *document.get("links", ())):
        for name in _IDS:
            if name in part:
                part[name] = b64decode(part[name]).hex()
    return document


def _objects(value: object, around: Around, refuse: Refuse) -> Iterator[Document]:
    if value is None:
        return
    if not isinstance(value, list):
        refuse("malformed", around(value))
        return
    for item in value:
        if isinstance(item, dict):
            yield item
        else:
            refuse("malformed", around([item]))


def _parsed(item: object, message: _Parsed) -> _Parsed | None:
    try:
        return json_format.ParseDict(_with_raw_ids(item), message, ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _with_raw_ids(item: object) -> Document:
    if not isinstance(item, dict):
        raise TypeError(f"expected an object, got {item!r}")
    converted = dict(item)
    links = converted.get("links")
    if isinstance(links, list):
        converted["links"] = [_with_raw_ids(link) for link in links]
    for name in _IDS:
        value = converted.get(name)
        if value:
            try:
                converted[name] = b64encode(binascii.unhexlify(value)).decode()
            except (binascii.Error, TypeError) as error:
                raise ValueError(f"{name} {value!r} is not hexadecimal") from error
    return converted
