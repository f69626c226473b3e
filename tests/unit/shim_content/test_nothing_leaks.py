"""No planted secret, and at `off` no planted content, leaves the process by any way out."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from midwatch.pipeline.spool_records import Record, record_at

APPLICATION = Path(__file__).with_name("leaking_application.py")
ASSIGNED = "yZ4wK8rT2vQ6nB1mX3cL5pS7dF9gH0j"
MODES = ("off", "redacted", "full")

SECRETS = {
    "card": "4111 1111 1111 1111",
    "email": "alice@example.com",
    "iban": "DE89 3704 0044 0532 0130 00",
    "phone": "+49 171 1234567",
    "openai": "sk-proj-" + "aB3" * 12,
    "anthropic": "sk-ant-api03-" + "cD4" * 12,
    "aws": "AKIA" + "Q7W8" * 4,
    "github": "ghp_" + "eF5" * 12,
    "slack": "xoxb-123456789012-" + "gH6" * 8,
    "google": "AIza" + "iJ7kL" * 7,
    "stripe": "sk_live_" + "mN8" * 8,
    "npm": "npm_" + "oP9" * 12,
    "jwt": "eyJ" + "qR0" * 6 + ".eyJ" + "sT1" * 8 + "." + "uV2" * 8,
    "bearer": "Bearer " + "wX3y" * 8,
    "url": "https://bob:verysecretword@db.example.com/",
    "assigned": "client_secret=" + ASSIGNED,
    "custom": "CASE-20261121-77",
}
NEEDLES = {
    **SECRETS,
    "bearer": "wX3y" * 8,
    "url": "verysecretword",
    "assigned": ASSIGNED,
    "by name": "hunter2hunter",
}
CONTENTS = [
    "document",
    "tool_result",
    "tool_error",
    "answer",
    "call",
    "tool_argument",
    "query",
    "other_argument",
    "instructions",
    "prompt",
    "comment",
    "api_error",
    "event",
    "attribute",
    "url",
    "sql",
    "span_event",
    "exception",
    "status",
    "log",
    "view_error",
    "body",
    "query_string",
    "own_failure",
]


def word(place: str) -> str:
    return f"zebra{place.replace('_', '')}zebra"


@dataclass
class Run:
    """All bytes that left one process, by the way they took."""

    ways: dict[str, str] = field(default_factory=dict)

    def holding(self, needle: str) -> list[str]:
        """The ways that it took, as it is or as a URL writes it."""
        forms = {needle, quote(needle), quote(needle, safe=""), quote_plus(needle)}
        return [way for way, text in self.ways.items() if any(form in text for form in forms)]


@dataclass
class Receiver:
    url: str
    bodies: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The application, run in each mode at once against receivers that refuse to store."""
    finished: dict[str, Run] = {}
    with ExitStack() as stack:
        started = []
        for mode in MODES:
            folder, receiver = tmp_path_factory.mktemp(mode), stack.enter_context(receiving())
            process = stack.enter_context(_start(mode, folder, receiver.url))
            stack.callback(process.kill)
            started.append((mode, folder, receiver, process))
        for mode, folder, receiver, process in started:
            # They run beside other tests, on a machine that may be busy.
            output, errors = process.communicate(timeout=240)
            assert process.returncode == 0, errors
            finished[mode] = _run(folder, receiver, output, errors)
    return finished


def _start(mode: str, folder: Path, url: str) -> subprocess.Popen[str]:
    plants = folder / "plants.json"
    places = {place.replace("_", " "): word(place) for place in CONTENTS}
    text = " | ".join(SECRETS.values())
    plants.write_text(json.dumps({"secrets": text, "contents": places}))
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "MIDWATCH_", "AGENT_"))
    }
    return subprocess.Popen(
        [sys.executable, str(APPLICATION), str(plants), str(folder / "metrics.txt")],
        cwd=folder,
        env={
            **kept,
            "HOME": str(folder),
            "AGENT_TRACE_JSONL_PATH": str(folder / "events.jsonl"),
            "MIDWATCH_CONTENT": mode,
            "MIDWATCH_REDACT_PATTERNS": r"CASE-\d{8}-\d\d",
            "MIDWATCH_SPOOL_DIR": str(folder / "spool"),
            "MIDWATCH_SPOOL_MODE": "write-ahead",
            "MIDWATCH_FLUSH_INTERVAL": "200ms",
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
            "OTEL_SERVICE_NAME": "leaking",
            "OTEL_RESOURCE_ATTRIBUTES": f"app.owner={SECRETS['email']}",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_and_event",
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": ".*",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(folder: Path, receiver: Receiver, output: str, errors: str) -> Run:
    run = Run({"stdout": output, "stderr": errors})
    for path, body in receiver.bodies:
        run.ways[path] = run.ways.get(path, "") + body
    run.ways["events.jsonl"] = (folder / "events.jsonl").read_text(encoding="utf-8")
    run.ways["metrics"] = (folder / "metrics.txt").read_text(encoding="utf-8")
    run.ways["spool"] = "".join(
        _spooled(path) for path in sorted((folder / "spool").rglob("*")) if path.is_file()
    )
    return run


def _spooled(path: Path) -> str:
    """A file of the spool: its name, its bytes, and the payloads that are packed in them."""
    texts = [str(path), path.read_bytes().decode("utf-8", "replace")]
    descriptor, offset = os.open(path, os.O_RDONLY), 0
    while (found := record_at(descriptor, offset, "traces")) is not None:
        offset = found.next_offset
        if isinstance(found, Record):
            texts.append(found.payload.body.decode())
    os.close(descriptor)
    return "".join(texts)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that keeps what it gets and says that it did not take it."""
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            headers = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
            receiver.bodies.append((self.path, headers + body.decode("utf-8", "replace")))
            self.send_response(503)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _every_way_was_taken(runs: dict[str, Run]) -> None:
    ways = {"stderr", "/v1/traces", "/v1/logs", "/v1/metrics", "events.jsonl", "metrics", "spool"}
    for mode in MODES:
        assert ways <= {way for way, text in runs[mode].ways.items() if text}


@pytest.mark.parametrize("secret", NEEDLES)
@pytest.mark.parametrize("mode", ["off", "redacted"])
def test_no_secret_leaves_unless_all_content_may(runs, mode, secret):
    assert runs[mode].holding(NEEDLES[secret]) == []


@pytest.mark.parametrize("place", CONTENTS)
def test_no_content_leaves_at_off(runs, place):
    assert runs["off"].holding(word(place)) == []


@pytest.mark.parametrize("secret", NEEDLES)
def test_the_secrets_were_really_said(runs, secret):
    assert runs["full"].holding(NEEDLES[secret]) != []


CAPTURED = [place for place in CONTENTS if place != "body"]
"""Nothing captures the bodies of requests, in any mode."""


@pytest.mark.parametrize("place", CAPTURED)
def test_content_leaves_at_full(runs, place):
    assert runs["full"].holding(word(place)) != []


# Percent-encoded, the word in the query is one with the address beside it, and goes with it.
@pytest.mark.parametrize("place", [place for place in CAPTURED if place != "query_string"])
def test_content_leaves_at_redacted(runs, place):
    assert runs["redacted"].holding(word(place)) != []


def test_all_ways_have_secrets_at_full_so_that_the_other_modes_prove_something(runs):
    ways = runs["full"].holding(SECRETS["email"])
    assert {"stderr", "/v1/traces", "/v1/logs", "/v1/metrics", "events.jsonl"} <= set(ways)
    assert {"metrics", "spool"} <= set(ways)


def test_what_was_redacted_is_counted_by_kind(runs):
    for mode in ("off", "redacted"):
        lines = runs[mode].ways["metrics"].splitlines()
        found = [line for line in lines if line.startswith("midwatch_redactions_total{")]
        counts = {line.partition('"')[2].partition('"')[0]: line.split()[-1] for line in found}
        assert int(counts["email"]) > 0
        assert int(counts["custom"]) > 0
