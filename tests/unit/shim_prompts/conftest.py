"""Fixtures of the prompts' tests: a folder to write into, and a ledger that speaks its protocol."""

from __future__ import annotations

import json
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from midwatch.instruments.recorder import Recorder
from midwatch.instruments.turn_state import FINISHED_TURN
from midwatch.pipeline.events import EventRecord
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.rendering import RenderReader, local_meter_provider
from midwatch.prompts.files import PromptFolder
from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span


class Folder:
    """A folder of prompts that a test writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def write(self, file: str, text: str) -> Path:
        written = self.path / file
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return written

    def read(self) -> PromptFolder:
        return PromptFolder(self.path)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "prompts")


@dataclass
class Ledger:
    """A server of the two routes that the shim asks; what it has may change at any time."""

    url: str = ""
    prompts: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    status: int = 200
    delay_seconds: float = 0.0
    raw: bytes | None = None

    def has(self, name: str, labels: dict[str, Any], **templates: str) -> None:
        """A prompt with labels, and versions (`v3="text"`) without variables."""
        versions = [
            {"version": version.removeprefix("v"), "template": text}
            for version, text in templates.items()
        ]
        self.prompts[name] = {"name": name, "labels": labels, "versions": versions}

    def answer(self, path: str) -> tuple[int, bytes]:
        parts = urlsplit(path)
        if self.status != 200:
            return self.status, b"{}"
        if self.raw is not None:
            return 200, self.raw
        if parts.path == "/prompts":
            (name,) = parse_qs(parts.query)["name"]
            found = [self.prompts[name]] if name in self.prompts else []
            return 200, json.dumps({"items": found}).encode()
        _, _, name, _, version = map(unquote, parts.path.split("/"))
        one = self.versions.get((name, version))
        return (404, b"{}") if one is None else (200, json.dumps(one).encode())


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    served = Ledger()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests.append(self.path)
            served.keys.append(self.headers["authorization"])
            time.sleep(served.delay_seconds)
            status, body = served.answer(self.path)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """The shim may have gone away."""

    server = Server(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            time.sleep(0.01)

    return wait


class Told:
    """What the shim recorded: spans, events, and the metrics as text."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")
        self.reader = RenderReader()
        self.events: list[EventRecord] = []
        self.recorder = Recorder(local_meter_provider(self.reader), [self], reader=self.reader)

    def write(self, record: EventRecord) -> None:
        self.events.append(record)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def metrics(self) -> str:
        return "".join(family.text for family in self.recorder.families("", ("agent_",)))

    @contextmanager
    def model_call(self) -> Iterator[Span]:
        """A model call as an application makes its span by hand."""
        with self.tracer.start_as_current_span(
            "chat", attributes={"gen_ai.operation.name": "chat"}
        ) as span:
            yield span

    def used(self) -> list[str]:
        """The prompt of each model call, in order."""
        return [
            "@".join(
                str((span.attributes or {}).get(f"midwatch.prompt.{part}", ""))
                for part in ("name", "version")
            )
            for span in self.spans("chat")
        ]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """The shim, recording into memory; a test fails when anything failed inside of it."""
    found = Told()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", found.provider)
    monkeypatch.setattr("midwatch.instruments.recorder._recorder", found.recorder)
    token = context.attach(context.Context())
    FINISHED_TURN.set(None)
    before = FAILURES.counts()
    yield found
    assert FAILURES.counts() == before
    context.detach(token)
