"""OTLP's own JSON: protobuf's JSON mapping, but with trace and span ids in hexadecimal.

Each record is parsed by itself, so that one bad record costs only itself.
"""

from __future__ import annotations

import binascii
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_IDS = ("traceId", "spanId", "parentSpanId")
_Parsed = TypeVar("_Parsed", bound=Message)


def spans(document: dict[str, Any], rejected: Counter[str]) -> Iterator[tuple[Resource, str, Span]]:
    """Give each span of an ExportTraceServiceRequest; count in `rejected` those that are none."""
    for resource, scope, item in _items(
        document, ("resourceSpans", "scopeSpans", "spans"), rejected
    ):
        links = item.get("links")
        if isinstance(links, list):
            item["links"] = [_with_raw_ids(link) for link in links]
        span = _parsed(item, Span(), rejected)
        if span is not None:
            yield resource, scope, span


def log_records(
    document: dict[str, Any], rejected: Counter[str]
) -> Iterator[tuple[Resource, LogRecord]]:
    """Give each record of an ExportLogsServiceRequest; count in `rejected` those that are none."""
    names = ("resourceLogs", "scopeLogs", "logRecords")
    for resource, _scope, item in _items(document, names, rejected):
        record = _parsed(item, LogRecord(), rejected)
        if record is not None:
            yield resource, record


def _items(
    document: dict[str, Any], names: tuple[str, str, str], rejected: Counter[str]
) -> Iterator[tuple[Resource, str, dict[str, Any]]]:
    by_resource, by_scope, leaves = names
    for group in _objects(document.get(by_resource), rejected):
        resource = _parsed(group.get("resource") or {}, Resource(), rejected)
        for scoped in _objects(group.get(by_scope), rejected):
            scope = scoped.get("scope")
            name = scope.get("name", "") if isinstance(scope, dict) else ""
            for item in _objects(scoped.get(leaves), rejected):
                if resource is None:
                    rejected["bad_resource"] += 1
                else:
                    yield resource, str(name), item


def _objects(value: object, rejected: Counter[str]) -> Iterator[dict[str, Any]]:
    if value is None:
        return
    if not isinstance(value, list):
        rejected["malformed"] += 1
        return
    for item in value:
        if isinstance(item, dict):
            yield item
        else:
            rejected["malformed"] += 1


def _parsed(item: object, message: _Parsed, rejected: Counter[str]) -> _Parsed | None:
    try:
        return json_format.ParseDict(_with_raw_ids(item), message, ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError):
        rejected["malformed"] += 1
        return None


def _with_raw_ids(item: object) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise TypeError(f"expected an object, got {item!r}")
    converted = dict(item)
    for name in _IDS:
        value = converted.get(name)
        if value:
            try:
                converted[name] = b64encode(binascii.unhexlify(value)).decode()
            except (binascii.Error, TypeError) as error:
                raise ValueError(f"{name} {value!r} is not hexadecimal") from error
    return converted
