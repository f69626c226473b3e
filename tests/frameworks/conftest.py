"""The shim as `midwatch.init()` sets it up, recording into memory, in each framework's environment.

Each environment's tests share one process and one shim: the frameworks are imported after it, as in
an application. What was counted before a test is taken off.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

os.environ.update(
    OTEL_TRACES_EXPORTER="none",
    OTEL_METRICS_EXPORTER="none",
    OTEL_LOGS_EXPORTER="none",
    OTEL_SERVICE_NAME="tested",
    MIDWATCH_SPOOL_MODE="off",
    # A machine that is busy with other things makes tracing dear, and then some turns go untraced.
    MIDWATCH_ADAPTIVE_SAMPLING="false",
)

import midwatch
from midwatch.instrumentors.states import STATES
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.setup import Exporters
from opentelemetry import trace
from opentelemetry._logs import get_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Seen:
    """What the shim has recorded since `begin`."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self._spans = InMemorySpanExporter()
        self._events = InMemoryLogRecordExporter()
        self._before: dict[tuple[str, frozenset[tuple[str, Any]]], float] = {}
        midwatch.init(exporters=Exporters(metrics=(self._reader,)))
        tracers, loggers = trace.get_tracer_provider(), get_logger_provider()
        assert isinstance(tracers, TracerProvider)
        assert isinstance(loggers, LoggerProvider)
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self._events))

    def begin(self) -> None:
        """Forget what was recorded so far."""
        self._spans.clear()
        self._events.clear()
        self._before = self._values()

    def spans(self, name: str = "") -> list[ReadableSpan]:
        """The ended spans, those of a name or all, in the order in which they began."""
        spans = sorted(self._spans.get_finished_spans(), key=lambda span: span.start_time or 0)
        return [span for span in spans if not name or span.name == name]

    def span(self, name: str) -> ReadableSpan:
        """The one span of that name."""
        found = self.spans(name)
        assert len(found) == 1, (name, [span.name for span in self.spans()])
        return found[0]

    def tree(self, *, without: tuple[str, ...] = ("POST", "GET")) -> list[str]:
        """The spans as an indented tree, without those of HTTP."""
        spans = [span for span in self.spans() if span.name not in without]
        known = {span.context.span_id for span in spans}
        lines: list[str] = []

        def walk(parent: int | None, depth: int) -> None:
            for span in spans:
                above = span.parent.span_id if span.parent else None
                if (above if above in known else None) == parent:
                    lines.append("  " * depth + span.name)
                    walk(span.context.span_id, depth + 1)

        walk(None, 0)
        return lines

    def events(self, name: str) -> list[dict[str, Any]]:
        """The attributes of the events of that name."""
        return [
            dict(record.log_record.attributes or {})
            for record in self._events.get_finished_logs()
            if record.log_record.event_name == name
        ]

    def count(self, metric: str, **labels: Any) -> float:
        """What was added to a counter, or how many values a histogram got, with these labels."""
        return sum(
            value - self._before.get(key, 0)
            for key, value in self._values().items()
            if key[0] == metric and labels.items() <= dict(key[1]).items()
        )

    def labels(self, metric: str) -> list[dict[str, Any]]:
        """The label sets of a metric that have grown."""
        return [
            dict(key[1])
            for key, value in self._values().items()
            if key[0] == metric and value > self._before.get(key, 0)
        ]

    def present(self, metric: str) -> list[dict[str, Any]]:
        """The label sets that a gauge has now."""
        return [dict(key[1]) for key, value in self._values().items() if key[0] == metric and value]

    def metric_names(self) -> set[str]:
        """The metrics that have grown."""
        return {key[0] for key, value in self._values().items() if value > self._before.get(key, 0)}

    def _values(self) -> dict[tuple[str, frozenset[tuple[str, Any]]], float]:
        data = self._reader.get_metrics_data()
        return {
            (found.name, frozenset((point.attributes or {}).items())): float(
                getattr(point, "value", 0) or getattr(point, "count", 0)
            )
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for found in scope.metrics
            for point in found.data.data_points
        }


@pytest.fixture(scope="session")
def process_shim() -> Seen:
    """The shim of this process."""
    return Seen()


@pytest.fixture(autouse=True)
def seen(process_shim: Seen, caplog: pytest.LogCaptureFixture) -> Iterator[Seen]:
    """What the test makes the shim record; the test fails if anything fails inside of the shim."""
    before = FAILURES.counts()
    process_shim.begin()
    yield process_shim
    assert before == FAILURES.counts()
    detached = [record for record in caplog.records if "detach" in record.getMessage()]
    assert not detached, "a context was left by another than entered it"


@pytest.fixture
def states() -> dict[str, str]:
    """The state of each library that has one."""
    return dict(STATES.known())


@dataclass
class Answer:
    """What the server sends next: a document, or the lines of a stream, perhaps cut off."""

    status: int = 200
    document: Any = None
    lines: Sequence[str] = ()
    cut: bool = False
    hang: bool = False


@dataclass
class FakeServer:
    """An HTTP server of a model provider that says what it is told to."""

    url: str = ""
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def will_answer(self, document: Any, status: int = 200) -> None:
        """Answer the next request with a document."""
        self.answers.append(Answer(status, document))

    def will_stream(self, events: Sequence[Any], *, cut: bool = False) -> None:
        """Answer the next request with server-sent events; each is a document or (name, document).

        With `cut` the connection breaks after the last of them.
        """
        lines = []
        for event in events:
            name, document = event if isinstance(event, tuple) else ("", event)
            data = document if isinstance(document, str) else json.dumps(document)
            lines.append((f"event: {name}\n" if name else "") + f"data: {data}\n\n")
        self.answers.append(Answer(lines=lines, cut=cut))

    def will_hang(self) -> None:
        """Do not answer the next request at all."""
        self.answers.append(Answer(hang=True))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that stops to listen resets its connection; anything else is a defect.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return

    def do_GET(self) -> None:
        self._respond({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._respond(json.loads(body or b"{}"))

    def _respond(self, body: dict[str, Any]) -> None:
        fake = self.fake
        fake.requests.append((self.path, body))
        fake.headers.append({name.lower(): value for name, value in self.headers.items()})
        answer = fake.answers.pop(0) if fake.answers else Answer(500, {"error": "nothing scripted"})
        if answer.hang:
            fake.over.wait(30)
            self.close_connection = True
        elif answer.lines:
            self._stream(answer)
        else:
            data = json.dumps(answer.document).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self._end_headers()
            self.wfile.write(data)

    def _end_headers(self) -> None:
        # Frameworks leave their clients open: what those would keep connected is a warning when
        # garbage is collected in an unlucky order.
        self.send_header("Connection", "close")
        self.end_headers()

    def _stream(self, answer: Answer) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self._end_headers()
        for line in answer.lines:
            data = line.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
        if answer.cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A provider's server."""
    fake = FakeServer()
    handler = type("Handler", (_Handler,), {"fake": fake})
    with _Server(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        fake.url = f"http://127.0.0.1:{http.server_address[1]}"
        yield fake
        fake.over.set()
        http.shutdown()
        thread.join()
