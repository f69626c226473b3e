"""OTLP over gRPC: encoded bytes in one unary call; grpc is imported when the first one is made.

Payloads that were kept as JSON, by a process that had another protocol, are turned into protobuf.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from midwatch.pipeline.payloads import (
    Misconfigured,
    Outcome,
    Payload,
    Refused,
    Sent,
    Signal,
    Unavailable,
)
from midwatch.pipeline.transport_outcomes import without
from midwatch.pipeline.transport_parts import Tls

if TYPE_CHECKING:
    import grpc  # type: ignore[import-untyped]

_METHODS: dict[Signal, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
_RETRYABLE = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
_OF_THE_SENDER = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"})
_RETRY_INFO = "google.rpc.retryinfo-bin"
_STATUS_DETAILS = "grpc-status-details-bin"
_MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True)
class GrpcTarget:
    """Where to send, and how: `host:port`, metadata, `gzip` or `none`, TLS unless `insecure`."""

    address: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    compression: str = "none"
    insecure: bool = False
    tls: Tls = field(default_factory=Tls)


class GrpcTransport:
    """Calls the `Export` method of one receiver.

    The channel is made by the process that uses it: gRPC's do not survive a fork.
    """

    def __init__(self, target: GrpcTarget, destination: str) -> None:
        self.destination = destination
        self._target = target
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._process = 0

    def send(self, payload: Payload, timeout_seconds: float) -> Outcome:
        """Try once, within the time."""
        try:
            import grpc
        except ImportError:
            return Unavailable("grpc is not installed; install midwatch[grpc]")
        try:
            body = _protobuf_of(payload)
        except Exception as error:
            return Refused(f"cannot be turned into protobuf ({type(error).__name__}: {error})")
        try:
            answer = self._method(payload.signal)(
                body,
                timeout=timeout_seconds,
                metadata=tuple((k.lower(), v) for k, v in self._target.headers.items()),
            )
        except grpc.RpcError as error:
            return _outcome_of(error, self._target.headers.values())
        except Exception as error:
            told = without(self._target.headers.values(), str(error))
            return Unavailable(f"{type(error).__name__}: {told}")
        return _sent(payload.signal, answer)

    def close(self) -> None:
        """Let go of the channel."""
        channel, self._channel = self._channel, None
        if channel is not None and self._process == os.getpid():
            channel.close()

    def _method(self, signal: Signal) -> Callable[..., bytes]:
        if self._process != os.getpid():
            self._lock, self._channel = threading.Lock(), None
            self._process = os.getpid()
        with self._lock:
            if self._channel is None:
                self._channel = _open(self._target)
            call: Callable[..., bytes] = self._channel.unary_unary(_METHODS[signal])
            return call


def _open(target: GrpcTarget) -> grpc.Channel:
    import grpc

    compression = grpc.Compression.Gzip if target.compression == "gzip" else None
    options = [
        ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
        # Channels share connections otherwise: that of a child would be its parent's.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if target.insecure:
        return grpc.insecure_channel(target.address, options, compression)
    tls = target.tls
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_content(tls.certificate),
        private_key=_content(tls.client_key),
        certificate_chain=_content(tls.client_certificate),
    )
    return grpc.secure_channel(target.address, credentials, options, compression)


def _content(path: str) -> bytes | None:
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()


def _protobuf_of(payload: Payload) -> bytes:
    if payload.content_type != "application/json":
        return payload.body
    from midwatch.pipeline.otlp_protobuf import from_json

    return from_json(payload).body


def _sent(signal: Signal, answer: bytes) -> Sent:
    from midwatch.pipeline.otlp_protobuf import rejected_of

    try:
        return Sent(*rejected_of(signal, answer)) if answer else Sent()
    except Exception:
        return Sent()


def _outcome_of(error: Any, secrets: Iterable[str]) -> Outcome:
    """The outcome of a failed call.

    A receiver that has had too much (RESOURCE_EXHAUSTED) takes the batch later only if it says
    when.
    """
    code = error.code().name
    wait = _asked_to_wait(error.trailing_metadata() or ())
    reason = f"gRPC {code}: {without(secrets, error.details() or '')}".removesuffix(": ")
    if code in _RETRYABLE or (code == "RESOURCE_EXHAUSTED" and wait is not None):
        return Unavailable(reason, wait)
    return Misconfigured(reason) if code in _OF_THE_SENDER else Refused(reason)


def _asked_to_wait(metadata: Iterable[tuple[str, Any]]) -> float | None:
    from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
    from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

    for key, value in metadata:
        info = RetryInfo()
        if key == _RETRY_INFO:
            info.ParseFromString(value)
        elif key == _STATUS_DETAILS:
            if not any(detail.Unpack(info) for detail in Status.FromString(value).details):
                continue
        else:
            continue
        return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    return None
