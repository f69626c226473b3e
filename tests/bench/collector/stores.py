"""Stores on loopback that count, can go away and come back."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from typing import Protocol

from tests.bench.collector.telemetry import SAMPLE
from tests.render.stores import METRICS, TRACES, Store


class Counts:
    """How often each span and each sample arrived, by number; and the traces of the spans."""

    def __init__(self) -> None:
        self.spans: Counter[int] = Counter()
        self.samples: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take_traces(self, body: bytes) -> None:
        """Count the spans of a request."""
        found = [
            int.from_bytes(span.span_id, "big")
            for resource in TRACES.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self.spans.update(found)

    def take_metrics(self, body: bytes) -> None:
        """Count the samples of a request; metrics that the collector made are passed over."""
        found = [
            point.as_int
            for resource in METRICS.FromString(body).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == SAMPLE
            for point in metric.gauge.data_points
        ]
        with self._lock:
            self.samples.update(found)


class Place(Protocol):
    """Where a store is or is not: its address stays."""

    counts: Counts

    def come(self) -> None:
        """Take what is sent."""

    def go(self) -> None:
        """Refuse connections."""

    def end(self) -> None:
        """Go for good, and give the port up."""


class _CountingStore(Store):
    def __init__(self, port: int, counts: Counts) -> None:
        super().__init__(port=port)
        self._counts = counts

    def take(self, path: str, body: bytes) -> None:
        if path.endswith("/v1/traces"):
            self._counts.take_traces(body)
        elif path.endswith("/v1/metrics"):
            self._counts.take_metrics(body)


class HttpPlace:
    """A place for OTLP over HTTP."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._held = _held_port()
        self._port = self._held.getsockname()[1]
        self._store: Store | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def come(self) -> None:
        """Take what is sent."""
        self._store = _CountingStore(self._port, self.counts)
        threading.Thread(target=self._store.serve_forever, args=(0.05,), daemon=True).start()

    def end(self) -> None:
        """Go for good, and give the port up."""
        self.go()
        self._held.close()

    def go(self) -> None:
        """Refuse connections."""
        if self._store is not None:
            self._store.shutdown()
            self._store.server_close()
            self._store = None


def _held_port() -> socket.socket:
    """A socket that keeps a port for a store that is away; who connects to it is refused."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    return held
