"""Fixtures of the shim's tests: a recorder that can be read, and a collector that remembers."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from midwatch.instruments.recorder import Recorder
from midwatch.pipeline.events import EventRecord
from midwatch.pipeline.otlp_protobuf import from_json
from midwatch.pipeline.payloads import Payload, Signal
from midwatch.pipeline.rendering import RenderReader, local_meter_provider
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_SIGNALS: dict[str, Signal] = {
    "/v1/traces": "traces",
    "/v1/logs": "logs",
    "/v1/metrics": "metrics",
}


class MemorySink:
    """Keeps events."""

    def __init__(self) -> None:
        self.records: list[EventRecord] = []

    def write(self, record: EventRecord) -> None:
        self.records.append(record)

    def names(self) -> list[str]:
        return [record.event for record in self.records]


@dataclass
class Observed:
    """A recorder and what it recorded."""

    recorder: Recorder
    events: MemorySink
    reader: RenderReader

    def text(self) -> str:
        families = self.recorder.families("", ("agent_", "midwatch_", "chat_", "service_"))
        return "".join(family.text for family in families)

    def samples(self) -> dict[str, float]:
        lines = [line for line in self.text().splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.fixture
def observed() -> Observed:
    reader, sink = RenderReader(), MemorySink()
    recorder = Recorder(local_meter_provider(reader), [sink], service="tested", reader=reader)
    return Observed(recorder, sink, reader)


@dataclass
class Collector:
    """An OTLP/HTTP endpoint that keeps what it gets."""

    url: str
    spans: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    metrics: dict[str, object] = field(default_factory=dict)
    resources: list[dict[str, str]] = field(default_factory=list)
    instances: set[str] = field(default_factory=set)
    trace_ids: set[bytes] = field(default_factory=set)

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(_attributes(resource.resource))
                self.spans += [s.name for scope in resource.scope_spans for s in scope.spans]
                self.trace_ids |= {s.trace_id for o in resource.scope_spans for s in o.spans}
        elif path == "/v1/logs":
            for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
                self.events += [r.event_name for s in logs.scope_logs for r in s.log_records]
        else:
            for metrics in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.instances.add(_attributes(metrics.resource)["service.instance.id"])
                for scope in metrics.scope_metrics:
                    self.metrics.update({metric.name: metric for metric in scope.metrics})


def as_protobuf(path: str, content_type: str, body: bytes) -> bytes:
    """A request as protobuf, whichever of OTLP's encodings it came in."""
    if content_type != "application/json":
        return body
    return from_json(Payload(_SIGNALS[path], content_type, body, 0)).body


def _attributes(resource) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in resource.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that runs during the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collected.take(self.path, as_protobuf(self.path, self.headers["content-type"], body))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collected = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield collected
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collected:
        yield collected


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("the condition did not come true in time")
        time.sleep(0.02)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    return eventually


def clean_environment(home: Path) -> dict[str, str]:
    """The environment of a program under test, without anything of the tester's own telemetry."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "MIDWATCH_", "AGENT_", "PYTHONPATH"))
    }
    binaries = str(Path(sys.executable).parent)
    return {**kept, "PATH": f"{binaries}{os.pathsep}{kept['PATH']}", "HOME": str(home)}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a program under test."""
    return clean_environment(tmp_path)


@dataclass
class FinishedRun:
    """A program that ran under `midwatch-run` to its end, and what the collector has of it."""

    collector: Collector
    returncode: int
    errors: str


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A module that takes one turn, for all tests that only look at what arrived."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "worker").mkdir()
    (folder / "worker" / "__main__.py").write_text(
        "import midwatch\n"
        'with midwatch.turn("s1"), midwatch.agent("monitor"):\n'
        '    midwatch.route("monitor")\n'
    )
    with collecting() as collected:
        done = subprocess.run(
            ["midwatch-run", "python", "-m", "worker"],
            cwd=folder,
            env={
                **clean_environment(folder),
                "OTEL_EXPORTER_OTLP_ENDPOINT": collected.url,
                "OTEL_SERVICE_NAME": "worker",
                "OTEL_RESOURCE_ATTRIBUTES": "midwatch.project=blue",
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
    return FinishedRun(collected, done.returncode, done.stderr)


@pytest.fixture
def midwatch_run(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., object]]:
    """Starts a command under `midwatch-run`; ended at the latest with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*command: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["midwatch-run", *command],
            cwd=tmp_path,
            env={**environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
