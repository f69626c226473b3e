"""A store on loopback that keeps what the collector sends it."""

from __future__ import annotations

import gzip
import http.server
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

METRICS = metrics_service_pb2.ExportMetricsServiceRequest
TRACES = trace_service_pb2.ExportTraceServiceRequest


class Store(http.server.ThreadingHTTPServer):
    """A loopback OTLP/HTTP store that keeps what it gets, and a page of metrics to scrape."""

    def __init__(self, metrics_page: str = "", port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.received: list[tuple[str, bytes]] = []
        self.authorizations: set[str | None] = set()
        self.headers: list[dict[str, str]] = []
        self.metrics_page = metrics_page
        self.url = f"http://127.0.0.1:{self.server_port}"

    def take(self, path: str, body: bytes) -> None:
        """Keep what came; a store that counts does so instead."""
        self.received.append((path, body))

    def spans(self) -> list[dict[str, Any]]:
        return [
            span | {"attributes": _attributes(span), "resource": _attributes(resource["resource"])}
            for resource in self._resources("traces", TRACES, "resourceSpans")
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    def metric_names(self) -> set[str]:
        return {
            metric["name"]
            for resource in self._resources("metrics", METRICS, "resourceMetrics")
            for scope in resource["scopeMetrics"]
            for metric in scope["metrics"]
        }

    def _resources(self, signal: str, message: Any, field: str) -> list[dict[str, Any]]:
        bodies = [body for path, body in list(self.received) if path.endswith(f"/v1/{signal}")]
        parsed = (MessageToDict(message.FromString(body)) for body in bodies)
        return [resource for one in parsed for resource in one.get(field, [])]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Store

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.take(self.path, body)
        self.server.authorizations.add(self.headers["Authorization"])
        self._keep_headers()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self._keep_headers()
        page = self.server.metrics_page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def _keep_headers(self) -> None:
        self.server.headers.append({key.lower(): value for key, value in self.headers.items()})

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests read what was received."""


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in holder.get("attributes", [])}
