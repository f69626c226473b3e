"""A real OTLP/HTTP receiver that can be away, slow, hang, refuse or reset, and that remembers."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.free_ports import free_port


class OtlpReceiver:
    """Listens on a port that stays the same over `stop` and `start`.

    `behave` gets the handler and the path before anything is taken; if it returns true it has
    answered itself.
    """

    def __init__(self) -> None:
        self.spans: list[str] = []
        self.span_ids: list[bytes] = []
        self.events: list[str] = []
        self.requests = 0
        self.last_body = b""
        self.metrics = 0
        self.metric_times: list[int] = []
        self.last_values: dict[str, dict[tuple[str, ...], int]] = {}
        self.all_values: list[tuple[str, dict[tuple[str, ...], int]]] = []
        self.behave: Callable[[BaseHTTPRequestHandler, str], bool] = lambda handler, path: False
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.requests += 1
                receiver.last_body = body
                if receiver.behave(self, self.path):
                    return
                receiver.take(self.path, self.headers["content-type"], body)
                answer(self, 200)

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Connections that the other side gave up are expected."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, path: str, content_type: str, body: bytes) -> None:
        """Remember the names of spans and events."""
        if path == "/v1/traces":
            if content_type == "application/json":
                for resource in json.loads(body).get("resourceSpans", []):
                    for scope in resource["scopeSpans"]:
                        self.spans += [span["name"] for span in scope["spans"]]
                        self.span_ids += [bytes.fromhex(s["spanId"]) for s in scope["spans"]]
                return
            for message in ExportTraceServiceRequest.FromString(body).resource_spans:
                for spans in message.scope_spans:
                    self.spans += [span.name for span in spans.spans]
                    self.span_ids += [span.span_id for span in spans.spans]
        elif path == "/v1/metrics" and content_type != "application/json":
            self._take_metrics(ExportMetricsServiceRequest.FromString(body))
        elif path == "/v1/logs" and content_type == "application/json":
            for logs in json.loads(body).get("resourceLogs", []):
                self.events += [
                    r.get("eventName", "")
                    for scope in logs["scopeLogs"]
                    for r in scope["logRecords"]
                ]
        elif path == "/v1/logs":
            for sent in ExportLogsServiceRequest.FromString(body).resource_logs:
                self.events += [
                    r.event_name for scope in sent.scope_logs for r in scope.log_records
                ]

    def _take_metrics(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.metrics += 1
                    points = metric.sum.data_points
                    self.last_values[metric.name] = {
                        tuple(sorted(pair.value.string_value for pair in point.attributes)): (
                            point.as_int
                        )
                        for point in points
                    }
                    self.all_values.append((metric.name, self.last_values[metric.name]))
                    if metric.name == "midwatch.spans":
                        self.metric_times.append(points[0].time_unix_nano)


def answer(handler: BaseHTTPRequestHandler, status: int, **headers: str) -> bool:
    """Answer with no body; true, as `behave` tells that it answered."""
    handler.send_response(status)
    for name, value in {"content-length": "0", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    return True


def reset(handler: BaseHTTPRequestHandler) -> bool:
    """Break the connection off without an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    # Else the handler waits on it for another request, which keeps it open.
    handler.close_connection = True
    return True


def answers_tcp(port: int) -> bool:
    """Whether something listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def receiving() -> Iterator[OtlpReceiver]:
    """A receiver that listens during the block."""
    receiver = OtlpReceiver()
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


def eventually(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("the condition did not come true in time")
        time.sleep(0.02)
