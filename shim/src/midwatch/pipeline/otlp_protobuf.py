"""Batches as OTLP protobuf, by OpenTelemetry's own encoder, which is imported when first used."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.metrics_data import with_metrics
from midwatch.pipeline.payloads import Payload, Signal
from midwatch.pipeline.politeness import Unhurried

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import Metric, MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

PROTOBUF = "application/x-protobuf"

_Item = TypeVar("_Item")

_AT_ONCE = 32
"""How many items make a message: while one is put together and written no other thread runs."""

_IDS = frozenset({"traceId", "spanId", "parentSpanId"})


def encode_spans(batch: Sequence[ReadableSpan]) -> Payload:
    """Spans as an `ExportTraceServiceRequest`; one that cannot be encoded is counted."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as encode

    _quieten()
    return _encoded("traces", batch, encode, "encode.span", lambda _: 1)


def encode_logs(batch: Sequence[ReadableLogRecord]) -> Payload:
    """Log records as an `ExportLogsServiceRequest`; one that cannot be encoded is counted."""
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs as encode

    _quieten()
    return _encoded("logs", batch, encode, "encode.log", lambda _: 1)


def encode_metrics(batch: Sequence[MetricsData]) -> Payload:
    """Metrics as an `ExportMetricsServiceRequest`; one that cannot be encoded is counted."""
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics as encode

    def encode_one(single: Sequence[MetricsData]) -> Message:
        return encode(_unhurried_metrics(single[0]))

    _quieten()
    return _encoded("metrics", batch, encode_one, "encode.metric", _points, at_once=1)


def rejected_of(signal: Signal, body: bytes) -> tuple[int, str]:
    """How many items the receiver refused for good, and why, from a protobuf response.

    Raises:
        Exception: the body is no such response.
    """
    partial: Any = _message(signal, "Response").FromString(body).partial_success
    names = {"traces": "spans", "logs": "log_records", "metrics": "data_points"}
    return int(getattr(partial, f"rejected_{names[signal]}")), str(partial.error_message)


def from_json(payload: Payload) -> Payload:
    """An OTLP/JSON payload as protobuf, for a receiver that takes nothing else.

    Raises:
        ValueError: the payload is no OTLP/JSON.
    """
    from google.protobuf import json_format

    request = json.loads(payload.body)
    _decode_ids(request)
    message = json_format.ParseDict(request, _message(payload.signal, "Request")())
    return Payload(payload.signal, PROTOBUF, message.SerializeToString(), payload.count)


def can_be_imported() -> bool:
    """Whether there is a protobuf at all, and OpenTelemetry's encoder for it."""
    try:
        import opentelemetry.exporter.otlp.proto.common._internal  # noqa: F401
    except ImportError:
        return False
    return True


def is_slow() -> bool:
    """Whether protobuf is in its pure Python form, which takes 20 times as long."""
    from google.protobuf.internal import api_implementation

    return bool(api_implementation.Type() == "python")


def _encoded(
    signal: Signal,
    batch: Sequence[_Item],
    encode: Callable[[Sequence[_Item]], Message],
    where: str,
    count_of: Callable[[_Item], int],
    at_once: int = _AT_ONCE,
) -> Payload:
    pieces: list[bytes] = []
    count = 0
    for start in range(0, len(batch), at_once):
        piece = batch[start : start + at_once]
        try:
            pieces.append(encode(piece).SerializeToString())
        except Exception:
            # One item spoils them all: find out which, once, and send the others.
            piece = [item for item in piece if _can_be_encoded(item, encode, where)]
            pieces.append(encode(piece).SerializeToString() if piece else b"")
        count += sum(map(count_of, piece))
    # Requests one after the other are one request with all that is in them.
    return Payload(signal, PROTOBUF, b"".join(pieces), count)


def _can_be_encoded(item: _Item, encode: Callable[[Sequence[_Item]], Message], where: str) -> bool:
    try:
        encode([item])
    except Exception as error:
        FAILURES.note(where, error)
        return False
    return True


def _unhurried_metrics(data: MetricsData) -> MetricsData:
    """The same data; who goes through its metrics gives way to other threads."""
    return with_metrics(
        data, lambda metrics: Unhurried([_unhurried_points(one) for one in metrics])
    )


def _unhurried_points(metric: Metric) -> Metric:
    points = metric.data.data_points
    if len(points) <= _AT_ONCE:
        return metric
    return replace(metric, data=replace(metric.data, data_points=Unhurried(points)))  # type: ignore[arg-type]


def _points(data: MetricsData) -> int:
    return sum(
        len(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


@cache
def _message(signal: Signal, kind: str) -> Any:
    """The class of the request or the response of a signal."""
    from importlib import import_module

    name = {"traces": "trace", "logs": "logs", "metrics": "metrics"}[signal]
    module = import_module(f"opentelemetry.proto.collector.{name}.v1.{name}_service_pb2")
    return getattr(module, f"Export{name.capitalize()}Service{kind}")


def _decode_ids(node: Any) -> None:
    """Write ids as protobuf's JSON has bytes (base64), where OTLP/JSON has them in hexadecimal."""
    if isinstance(node, list):
        for item in node:
            _decode_ids(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in _IDS and isinstance(value, str):
                node[key] = base64.b64encode(bytes.fromhex(value)).decode("ascii")
            else:
                _decode_ids(value)


@cache
def _quieten() -> None:
    """The encoder logs each attribute it cannot encode, with a traceback: once is enough."""
    logging.getLogger("opentelemetry.exporter.otlp.proto.common._internal").addFilter(_Counted())


class _Counted(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Count the attribute that was left out, in place of logging it."""
        error = record.exc_info[1] if record.exc_info else None
        FAILURES.note("encode.attribute", error or ValueError(record.getMessage()))
        return False
