"""Which encoder a protocol asks for; nothing of protobuf is imported before the first batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar

from midwatch.pipeline.payloads import Encoder, Payload

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

Item = TypeVar("Item")

_logger = logging.getLogger("midwatch")


def span_encoder(protocol: str) -> Encoder[ReadableSpan]:
    """The encoder of spans for a protocol."""

    def choose() -> Encoder[ReadableSpan]:
        if _as_json(protocol):
            from midwatch.pipeline.otlp_json import encode_spans as as_json

            return as_json
        from midwatch.pipeline.otlp_protobuf import encode_spans as as_protobuf

        return as_protobuf

    return _ChosenWhenUsed(choose)


def log_encoder(protocol: str) -> Encoder[ReadableLogRecord]:
    """The encoder of log records for a protocol."""

    def choose() -> Encoder[ReadableLogRecord]:
        if _as_json(protocol):
            from midwatch.pipeline.otlp_json import encode_logs as as_json

            return as_json
        from midwatch.pipeline.otlp_protobuf import encode_logs as as_protobuf

        return as_protobuf

    return _ChosenWhenUsed(choose)


def metric_encoder(protocol: str) -> Encoder[MetricsData]:
    """The encoder of metrics for a protocol."""

    def choose() -> Encoder[MetricsData]:
        if _as_json(protocol):
            from midwatch.pipeline.otlp_json_metrics import encode_metrics as as_json

            return as_json
        from midwatch.pipeline.otlp_protobuf import encode_metrics as as_protobuf

        return as_protobuf

    return _ChosenWhenUsed(choose)


class _ChosenWhenUsed(Generic[Item]):
    def __init__(self, choose: Callable[[], Encoder[Item]]) -> None:
        self._choose = choose
        self._encode: Encoder[Item] | None = None

    def __call__(self, batch: Sequence[Item]) -> Payload:
        if self._encode is None:
            self._encode = self._choose()
        return self._encode(batch)


@cache
def _as_json(protocol: str) -> bool:
    """Whether batches for a protocol are encoded as JSON; says it, once, when that is a surprise.

    For gRPC they are so only where nothing else is left: what waits as JSON is sent when gRPC is
    installed.
    """
    if protocol == "http/json":
        return True
    from midwatch.pipeline.otlp_protobuf import can_be_imported, is_slow

    if can_be_imported():
        if protocol == "grpc" or not is_slow():
            return False
        reason = "protobuf has only its slow pure Python form here"
    else:
        reason = "protobuf is not installed (midwatch[protobuf] brings it)"
    if protocol == "grpc":
        return True
    _logger.warning(
        "midwatch: %s; OTLP is sent as JSON instead, which every OTLP/HTTP receiver takes "
        "(OTEL_EXPORTER_OTLP_PROTOCOL=http/json asks for that without this line)",
        reason,
    )
    return True
