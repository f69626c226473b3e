"""A small OpenAI-compatible server, and the shim set up to record into memory."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import pytest
from midwatch.instrumentors.langchain import LangChainInstrumentor
from midwatch.instrumentors.official_clients import OpenAIInstrumentor
from midwatch.instruments.model_calls import ModelCalls
from midwatch.instruments.prices import PriceTable
from midwatch.instruments.recorder import Recorder
from midwatch.pipeline.events import EventRecord
from midwatch.pipeline.failures import FAILURES
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

MODEL = "gpt-4o-mini"


@dataclass
class ModelServer:
    """What the server was asked, and what it answers next."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    knows_usage: bool = True

    def will_say(self, text: str, **more: Any) -> None:
        """Answer the next request with a text."""
        self.answers.append({"text": text, **more})

    def will_call(self, tool: str, arguments: dict[str, Any]) -> None:
        """Answer the next request with a call of a tool."""
        self.answers.append({"text": "", "tool": tool, "arguments": arguments})

    def will_fail(self, status: int) -> None:
        """Answer the next request with an error."""
        self.answers.append({"status": status})


USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 500,
    "total_tokens": 1500,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 100},
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that stops to listen resets its connection; anything else is a defect.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: ModelServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return

    def do_POST(self) -> None:
        state = self.server_state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state.requests.append(body)
        state.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
            usage = {"prompt_tokens": 7, "total_tokens": 7}
            self._json(
                200, {"object": "list", "data": data, "model": body["model"], "usage": usage}
            )
            return
        if "stream_options" in body and not state.knows_usage:
            self._json(400, {"error": {"message": "Unknown parameter: stream_options"}})
            return
        answer = state.answers.pop(0) if state.answers else {"text": "hello there friend"}
        if "status" in answer:
            self._json(
                int(answer["status"]), {"error": {"message": "no", "type": "no", "code": "no"}}
            )
        elif body.get("stream"):
            self._stream(body, answer)
        else:
            self._json(200, _completion(body, answer))

    def _json(self, status: int, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, body: dict[str, Any], answer: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        words = answer["text"].split()
        for index, word in enumerate(words):
            if answer.get("cut_after") == index:
                self.close_connection = True
                return
            self._event(_chunk(body, {"role": "assistant", "content": word + " "}))
        self._event(_chunk(body, {}, finish="stop"))
        if body.get("stream_options", {}).get("include_usage"):
            self._event({**_chunk(body, {}), "choices": [], "usage": USAGE})
        self._send("data: [DONE]\n\n")
        self._send("")

    def _event(self, document: dict[str, Any]) -> None:
        self._send(f"data: {json.dumps(document)}\n\n")

    def _send(self, text: str) -> None:
        try:
            self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
            self.wfile.flush()
        except OSError:
            # The client may stop to listen at any time.
            self.close_connection = True


def _completion(body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer["text"]}
    if "tool" in answer:
        function = {"name": answer["tool"], "arguments": json.dumps(answer["arguments"])}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "tool_calls" if "tool" in answer else "stop",
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{body['model']}-2024-07-18",
        "choices": [choice],
        "usage": USAGE,
    }


def _chunk(
    body: dict[str, Any], delta: dict[str, Any], finish: str | None = None
) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": f"{body['model']}-2024-07-18",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


_servers = count()


@pytest.fixture
def server() -> Iterator[ModelServer]:
    state = ModelServer()
    handler = type("Handler", (_Handler,), {"server_state": state})
    with _Server(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        # The shim remembers what servers can by their addresses, and ports come back.
        state.url = f"http://127.0.0.1:{http.server_address[1]}/{next(_servers)}/v1"
        yield state
        http.shutdown()
        thread.join()


class Shim:
    """The shim, recording into memory."""

    def __init__(self, sampler: Sampler = ALWAYS_ON, prices: PriceTable | None = None) -> None:
        self.events: list[EventRecord] = []
        self.exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self._reader])
        self.recorder = Recorder(self.meter_provider, [self], service="test")
        self.calls = ModelCalls(self.recorder, prices or PriceTable())
        self.tracer_provider = TracerProvider(sampler=sampler)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.tracer_provider.get_tracer("test")

    def write(self, record: EventRecord) -> None:
        """Take an event."""
        self.events.append(record)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """The ended spans by name; of several of one name the last."""
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def spans_named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def tree(self) -> list[str]:
        """The spans as an indented tree, in the order in which they began."""
        spans = sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
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

    def events_named(self, name: str) -> list[EventRecord]:
        return [event for event in self.events if event.event == name]

    def count(self, metric: str, **labels: str) -> float:
        """The sum of a counter, or the number of values of a histogram, with these labels."""
        return sum(
            float(getattr(point, "value", 0) or getattr(point, "count", 0))
            for point in self._points(metric)
            if labels.items() <= dict(point.attributes).items()
        )

    def label_sets(self, metric: str) -> list[dict[str, str]]:
        """The label sets of a metric that are above zero."""
        return [
            dict(point.attributes)
            for point in self._points(metric)
            if getattr(point, "value", None) or getattr(point, "count", 0)
        ]

    def _points(self, metric: str) -> list[Any]:
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
        ]


@pytest.fixture
def make_shim() -> Iterator[Any]:
    """Makes the instrumented shim; a test fails when anything failed inside of it."""
    instrumentors: list[Any] = []
    before = FAILURES.counts()

    def make(**given: Any) -> Shim:
        shim = Shim(**given)
        langchain, openai = LangChainInstrumentor(), OpenAIInstrumentor()
        own = {"recorder": shim.recorder, "calls": shim.calls}
        langchain.instrument(tracer_provider=shim.tracer_provider, skip_dep_check=True, **own)
        openai.instrument(
            tracer_provider=shim.tracer_provider,
            meter_provider=shim.meter_provider,
            skip_dep_check=True,
            **own,
        )
        threads, requests = ThreadingInstrumentor(), HTTPX2ClientInstrumentor()
        threads.instrument(skip_dep_check=True)
        requests.instrument(tracer_provider=shim.tracer_provider, skip_dep_check=True)
        instrumentors.extend((langchain, openai, threads, requests))
        return shim

    yield make
    for instrumentor in instrumentors:
        instrumentor.uninstrument()
    assert FAILURES.counts() == before


@pytest.fixture
def shim(make_shim: Any) -> Shim:
    return make_shim()
