"""How long a turn takes while the collector is away, in every way in which it can be."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.processes import ContestantError, Entry, Process

SLOW_SECONDS = 2.0
MODES = ("healthy", "dead", "slow", "hanging", "refusing", "full disk")
PROMISED_MS = 1.0
_BLOCK = 50


class _Collector(ThreadingHTTPServer):
    daemon_threads = True
    wait_seconds = 0.0
    status = 200

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A contestant may give up at any time."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Collector

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        time.sleep(self.server.wait_seconds)
        self.send_response(self.server.status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@contextmanager
def collector(mode: str) -> Iterator[str]:
    """The address of a collector that behaves so during the block."""
    if mode in ("dead", "hanging", "full disk"):
        # A port that nobody listens on, or one whose connections nobody accepts.
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            port = listener.getsockname()[1]
            if mode != "hanging":
                listener.close()
            yield f"http://127.0.0.1:{port}"
        return
    server = _Collector(("127.0.0.1", 0), _Handler)
    server.wait_seconds = SLOW_SECONDS if mode == "slow" else 0.0
    server.status = 503 if mode == "refusing" else 200
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def watch_outages(turns: int, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """The latencies of turns in each mode: plain, with the official package, and with ours.

    The three take turns in blocks, so that the load of the machine meets all of them.
    """
    rows: list[dict[str, Any]] = []
    for mode in MODES:
        progress(f"collector {mode}: {turns} turns each")
        with TemporaryDirectory(prefix="midwatch-bench-") as folder, collector(mode) as address:
            rows.append(_mode(mode, address, Path(folder), turns))
    return rows


def _mode(mode: str, address: str, folder: Path, turns: int) -> dict[str, Any]:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "MIDWATCH_SPOOL_DIR": str(folder),
        "MIDWATCH_FLUSH_INTERVAL": "200ms",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "BENCH_EXPORTS": "1",
        "BENCH_FULL_DISK": "1" if mode == "full disk" else "",
    }
    processes = {
        name: Process(Entry(name), variables) for name in ("bare", "opentelemetry", "midwatch")
    }
    taken: dict[str, list[float]] = {name: [] for name in processes}
    try:
        for _ in range(max(1, turns // _BLOCK)):
            for name, process in processes.items():
                taken[name] += process.order(latency=True, runs=_BLOCK, bytes=2048)["ms"]
    except ContestantError as error:
        return {"mode": mode, "failed": str(error)}
    finally:
        for process in processes.values():
            process.close()
    row: dict[str, Any] = {"mode": mode, "turns": len(taken["bare"])}
    for name, latencies in taken.items():
        hundredths = statistics.quantiles(latencies, n=100)
        row[name] = {"p50_ms": hundredths[49], "p99_ms": hundredths[98], "max_ms": max(latencies)}
    row["beyond_official_p99_ms"] = row["midwatch"]["p99_ms"] - row["opentelemetry"]["p99_ms"]
    row["beyond_bare_p99_ms"] = row["midwatch"]["p99_ms"] - row["bare"]["p99_ms"]
    row["promised_ms"] = PROMISED_MS
    return row
