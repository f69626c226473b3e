"""Langfuse and LangSmith get traces as they want them, without a collector."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from midwatch.config import load_settings
from midwatch.pipeline import otlp_protobuf
from midwatch.pipeline.destinations import Destinations, destinations_from_environment
from midwatch.pipeline.direct_mapping import MappedEncoder, TraceShare
from midwatch.pipeline.payloads import Misconfigured, Payload, Sent, Unavailable
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

SECRET = "sk-lf-0123456789"
LANGFUSE_KEYS = {"LANGFUSE_PUBLIC_KEY": "pk-lf-1", "LANGFUSE_SECRET_KEY": SECRET}
RESOURCE = Resource(
    {
        "service.name": "night",
        "service.version": "1.2.3",
        "deployment.environment.name": "Production",
    }
)
TURN = SpanContext(5, 1, False, TraceFlags(1))
ALONE = {"OTEL_TRACES_EXPORTER": "none"}


class Service:
    """A service that checks who calls as the real one does, and keeps what it gets."""

    def __init__(self, path: str, authorized: dict[str, str]) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: dict[str, str] = {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.answer(*service.take(path, authorized, self.path, self.headers, body))

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def take(self, path, authorized, asked, headers, body) -> tuple[int, bytes]:
        if asked != path:
            return 404, b"{}"
        if any(headers.get(name) != value for name, value in authorized.items()):
            # The worst that a service can do: to repeat the credentials.
            told = " ".join(str(headers.get(name)) for name in authorized)
            return 401, json.dumps({"message": f"no such key: {told} {SECRET}"}).encode()
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if headers["content-type"] == "application/json":
            payload = Payload("traces", "application/json", body, 1)
            body = otlp_protobuf.from_json(payload).body
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        return 200, b"{}"

    def spans(self) -> list[dict[str, Any]]:
        """The attributes of each span, in order."""
        return [
            {pair.key: plain(pair.value) for pair in span.attributes}
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def plain(value) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind)


@pytest.fixture
def langfuse() -> Iterator[Service]:
    pair = base64.b64encode(f"pk-lf-1:{SECRET}".encode()).decode()
    service = Service("/api/public/otel/v1/traces", {"authorization": f"Basic {pair}"})
    yield service
    service.close()


@pytest.fixture
def langsmith() -> Iterator[Service]:
    authorized = {"x-api-key": "lsv2-key", "langsmith-project": "night watch"}
    service = Service("/otel/v1/traces", authorized)
    yield service
    service.close()


def a_turn() -> list[ReadableSpan]:
    """A turn with a model call in it, as the shim records them."""
    chat = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.response.model": "gpt-5-2026-08",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 40,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.reasoning.output_tokens": 15,
        "gen_ai.response.time_to_first_chunk": 0.25,
        "session.id": "s1",
        "midwatch.llm.input_cost_usd": 0.01,
        "midwatch.llm.output_cost_usd": 0.02,
        "midwatch.llm.cost_usd": 0.03,
        "midwatch.prompt.name": "triage",
        "midwatch.prompt.version": "7",
    }
    turn = {
        "session.id": "s1",
        "user.hash": "u-abc",
        "midwatch.turn.entry_agent": "triage",
        "midwatch.turn.outcome": "ok",
        "midwatch.input": "question",
        "midwatch.output": "answer",
    }
    return [
        span("agent.turn", TURN, None, turn),
        span("chat gpt-5", SpanContext(5, 2, False), TURN, chat),
    ]


def span(name, context=TURN, parent=None, attributes=None, status=None) -> ReadableSpan:
    return ReadableSpan(
        name,
        context,
        parent,
        RESOURCE,
        attributes or {},
        status=status or Status(),
        start_time=1_790_000_000_000_000_000,
        end_time=1_790_000_001_000_000_000,
    )


def found(**environ: str) -> Destinations:
    return destinations_from_environment(load_settings(environ), environ)


def send(destinations: Destinations, batch) -> Any:
    (destination,) = destinations.spans
    outcome = destination.transport.send(destination.encode(batch), 5.0)
    destination.transport.close()
    return outcome


def test_langfuse_takes_a_turn_with_its_keys(langfuse):
    assert send(found(**LANGFUSE_KEYS, **ALONE, LANGFUSE_HOST=langfuse.url), a_turn()) == Sent()
    assert len(langfuse.spans()) == 2


def test_langfuse_shows_session_user_environment_release_and_tags(langfuse):
    send(found(**LANGFUSE_KEYS, **ALONE, LANGFUSE_HOST=langfuse.url), a_turn())
    turn, chat = langfuse.spans()
    for attributes in (turn, chat):
        assert attributes["langfuse.session.id"] == "s1"
        assert attributes["langfuse.environment"] == "production"
        assert attributes["langfuse.release"] == "1.2.3"
    assert turn["langfuse.user.id"] == "u-abc"
    assert turn["langfuse.trace.name"] == "agent.turn"
    assert turn["langfuse.trace.tags"] == ["triage", "ok"]
    assert turn["langfuse.observation.input"] == "question"
    assert turn["langfuse.observation.output"] == "answer"
    assert "langfuse.trace.name" not in chat


def test_langfuse_shows_model_usage_and_cost_with_each_token_in_one_kind(langfuse):
    send(found(**LANGFUSE_KEYS, **ALONE, LANGFUSE_HOST=langfuse.url), a_turn())
    chat = langfuse.spans()[1]
    assert chat["langfuse.observation.type"] == "generation"
    assert chat["langfuse.observation.model.name"] == "gpt-5-2026-08"
    assert json.loads(chat["langfuse.observation.model.parameters"]) == {"temperature": 0.5}
    assert json.loads(chat["langfuse.observation.usage_details"]) == {
        "input": 40,
        "output": 25,
        "input_cache_read": 60,
        "output_reasoning": 15,
        "total": 140,
    }
    assert json.loads(chat["langfuse.observation.cost_details"]) == {
        "input": 0.01,
        "output": 0.02,
        "total": 0.03,
    }
    assert chat["langfuse.observation.completion_start_time"].startswith("2026-")
    assert chat["langfuse.observation.prompt.name"] == "triage"
    assert chat["langfuse.observation.prompt.version"] == 7


@pytest.mark.parametrize(
    ("operation", "kind"),
    [("invoke_agent", "agent"), ("execute_tool", "tool"), ("retrieval", "retriever"), ("", "span")],
)
def test_langfuse_is_told_what_kind_of_work_a_span_is(langfuse, operation, kind):
    work = span("work", attributes={"gen_ai.operation.name": operation})
    send(found(**LANGFUSE_KEYS, **ALONE, LANGFUSE_HOST=langfuse.url), [work])
    assert langfuse.spans()[0]["langfuse.observation.type"] == kind


def test_langfuse_shows_errors_and_interrupts_as_what_they_are(langfuse):
    failed = span("tool", status=Status(StatusCode.ERROR, "no answer"))
    asked = span("agent", attributes={"midwatch.run.outcome": "interrupted"})
    send(found(**LANGFUSE_KEYS, **ALONE, LANGFUSE_HOST=langfuse.url), [failed, asked])
    levels = [attributes["langfuse.observation.level"] for attributes in langfuse.spans()]
    assert levels == ["ERROR", "WARNING"]


def test_langsmith_takes_a_turn_with_key_and_project(langsmith):
    destinations = found(
        **ALONE,
        LANGSMITH_TRACING="true",
        LANGSMITH_API_KEY="lsv2-key",
        LANGSMITH_PROJECT="night watch",
        LANGSMITH_ENDPOINT=langsmith.url,
        LANGSMITH_WORKSPACE_ID="w1",
    )
    assert send(destinations, a_turn()) == Sent()
    assert langsmith.headers["x-tenant-id"] == "w1"
    turn, chat = langsmith.spans()
    assert turn["langsmith.span.kind"] == "chain"
    assert turn["langsmith.metadata.session_id"] == "s1"
    assert turn["langsmith.metadata.user_id"] == "u-abc"
    assert turn["langsmith.span.tags"] == "triage"
    assert turn["gen_ai.prompt"] == "question"
    assert chat["langsmith.span.kind"] == "llm"
    assert chat["langsmith.metadata.ls_model_name"] == "gpt-5-2026-08"
    assert chat["langsmith.metadata.ls_provider"] == "openai"
    assert chat["langsmith.metadata.environment"] == "Production"
    assert json.loads(chat["langsmith.usage_metadata"]) == {
        "input_tokens": 100,
        "output_tokens": 40,
        "total_tokens": 140,
        "input_token_details": {"cache_read": 60},
        "output_token_details": {"reasoning": 15},
        "input_cost": 0.01,
        "output_cost": 0.02,
        "total_cost": 0.03,
    }


def test_both_stand_beside_otlp_and_get_traces_only():
    everything = found(**LANGFUSE_KEYS, LANGSMITH_TRACING="true", LANGSMITH_API_KEY="lsv2-key")
    assert [each.name for each in everything.spans] == ["otlp", "langfuse", "langsmith"]
    assert [each.name for each in everything.logs] == ["otlp"]
    assert [each.name for each in everything.metrics] == ["otlp"]


def test_a_wrong_key_is_refused_without_being_repeated(langfuse):
    keys = {**LANGFUSE_KEYS, "LANGFUSE_PUBLIC_KEY": "pk-wrong"}
    outcome = send(found(**keys, **ALONE, LANGFUSE_HOST=langfuse.url), a_turn())
    assert isinstance(outcome, Misconfigured)
    assert "the key is wrong or missing" in outcome.reason
    assert SECRET not in outcome.reason
    assert base64.b64encode(f"pk-wrong:{SECRET}".encode()).decode() not in outcome.reason
    assert not langfuse.requests


def test_a_dead_host_is_unavailable():
    outcome = send(found(**LANGFUSE_KEYS, **ALONE, LANGFUSE_HOST="http://127.0.0.1:9"), a_turn())
    assert isinstance(outcome, Unavailable)
    assert SECRET not in outcome.reason


def test_no_secret_is_in_what_a_destination_shows():
    everything = found(**LANGFUSE_KEYS, LANGSMITH_TRACING="true", LANGSMITH_API_KEY="lsv2-key")
    shown = repr(everything)
    assert SECRET not in shown
    assert "lsv2-key" not in shown


def test_limits_are_langfuses_own():
    destinations = found(
        **LANGFUSE_KEYS,
        **ALONE,
        LANGFUSE_FLUSH_INTERVAL="2",
        LANGFUSE_MAX_RETRIES="7",
        LANGFUSE_BUFFER_SIZE="50",
    )
    limits = destinations.spans[0].limits
    assert limits.flush_interval_seconds == 2
    assert limits.max_retries == 7
    assert limits.buffer_size == 50


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {**LANGFUSE_KEYS, "LANGFUSE_ENABLED": "false"},
        {"LANGSMITH_API_KEY": "lsv2-key"},
        {"LANGSMITH_TRACING": "false", "LANGSMITH_API_KEY": "lsv2-key"},
    ],
)
def test_nothing_is_sent_there_unless_it_is_asked_for(environ):
    destinations = found(**ALONE, **environ)
    assert not destinations.spans
    assert not destinations.problems


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"LANGFUSE_PUBLIC_KEY": "pk"}, "LANGFUSE_SECRET_KEY"),
        ({"LANGFUSE_SECRET_KEY": "sk"}, "LANGFUSE_PUBLIC_KEY"),
        ({**LANGFUSE_KEYS, "LANGFUSE_SECRET_KEY": "sk\u00e9cret"}, "LANGFUSE_SECRET_KEY"),
        ({"LANGSMITH_TRACING": "true"}, "LANGSMITH_API_KEY"),
        ({"LANGSMITH_TRACING": "true", "LANGSMITH_API_KEY": "a\nb"}, "LANGSMITH_API_KEY"),
    ],
)
def test_half_a_configuration_is_told_and_turns_that_export_off(environ, variable):
    destinations = found(**ALONE, **environ)
    assert not destinations.spans
    (problem,) = destinations.problems
    assert problem.variable == variable
    assert "cret" not in str(problem)


def test_the_sample_rate_chooses_whole_traces():
    destinations = found(**LANGFUSE_KEYS, **ALONE, LANGFUSE_SAMPLE_RATE="0.5")
    low, high = SpanContext(1, 1, False), SpanContext((1 << 64) - 1, 1, False)
    batch = [span("kept", low), span("left out", high), span("kept too", low)]
    payload = destinations.spans[0].encode(batch)
    assert payload.count == 2
    assert b"left out" not in payload.body


def test_the_sample_rate_counts_only_with_sampling_enabled():
    destinations = found(
        **LANGFUSE_KEYS, **ALONE, LANGFUSE_SAMPLE_RATE="0", LANGFUSE_ENABLE_SAMPLING="false"
    )
    assert destinations.spans[0].encode(a_turn()).count == 2


def test_a_share_of_nothing_is_an_empty_payload():
    destinations = found(**LANGFUSE_KEYS, **ALONE, LANGFUSE_SAMPLE_RATE="0")
    assert destinations.spans[0].encode(a_turn()).count == 0


def test_the_share_falls_while_a_trace_costs_too_much_and_grows_back():
    share = TraceShare(0.8, max_milliseconds=100)
    share.note(101)
    assert share.ratio == pytest.approx(0.4)
    share.note(75)
    assert share.ratio == pytest.approx(0.4)
    for _ in range(10):
        share.note(10)
    assert share.ratio == pytest.approx(0.8)
    for _ in range(100):
        share.note(1000)
    assert 0 < share.ratio < 0.02


def test_what_a_trace_costs_is_measured():
    ticks = iter([0.0, 1.0])
    share = TraceShare(1.0, max_milliseconds=100)
    as_protobuf = otlp_protobuf.encode_spans
    MappedEncoder(as_protobuf, lambda _: {}, share, lambda: next(ticks))(a_turn())
    assert share.ratio == pytest.approx(0.5)


def test_debug_logs_each_request_without_a_key(langfuse, caplog):
    caplog.set_level(logging.INFO, "midwatch")
    environ = {**LANGFUSE_KEYS, **ALONE, "LANGFUSE_HOST": langfuse.url, "LANGFUSE_DEBUG": "true"}
    send(found(**environ), a_turn())
    assert "langfuse: 2 items of traces" in caplog.text
    assert SECRET not in caplog.text


def test_the_spans_own_attributes_are_not_overwritten(langfuse):
    own = span("work", attributes={"langfuse.trace.name": "mine"})
    send(found(**LANGFUSE_KEYS, **ALONE, LANGFUSE_HOST=langfuse.url), [own])
    assert langfuse.spans()[0]["langfuse.trace.name"] == "mine"


def run_from_outside(code: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A program under `midwatch-run` that sends to nobody but those the variables name."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "MIDWATCH_", "AGENT_", "LANG", "PYTHON"))
    }
    silent = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    return subprocess.run(
        [Path(sys.executable).with_name("midwatch-run"), sys.executable, "-c", code],
        env={**kept, "HOME": str(home), **silent, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


TURN_OF_A_PROGRAM = """
import midwatch
for number in range(3):
    with midwatch.turn(f"s{number}"), midwatch.agent("monitor"): pass
print("done")
"""


def test_a_program_without_a_collector_sends_its_turns_to_both(langfuse, langsmith, tmp_path):
    done = run_from_outside(
        TURN_OF_A_PROGRAM,
        tmp_path,
        **LANGFUSE_KEYS,
        LANGFUSE_HOST=langfuse.url,
        LANGSMITH_TRACING="true",
        LANGSMITH_API_KEY="lsv2-key",
        LANGSMITH_PROJECT="night watch",
        LANGSMITH_ENDPOINT=langsmith.url,
    )
    assert done.stdout == "done\n", done.stderr
    for service in (langfuse, langsmith):
        assert len(service.spans()) == 6
    turns = [span for span in langfuse.spans() if "langfuse.trace.name" in span]
    assert [turn["langfuse.session.id"] for turn in turns] == ["s0", "s1", "s2"]


def test_a_wrong_key_harms_nothing_and_is_said_once_without_the_secret(langfuse, tmp_path):
    done = run_from_outside(
        TURN_OF_A_PROGRAM,
        tmp_path,
        **{**LANGFUSE_KEYS, "LANGFUSE_PUBLIC_KEY": "pk-wrong"},
        LANGFUSE_HOST=langfuse.url,
        MIDWATCH_FLUSH_INTERVAL="100ms",
        LANGFUSE_FLUSH_INTERVAL="100ms",
    )
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr.count("the key is wrong or missing") == 1, done.stderr
    assert SECRET not in done.stderr


def test_langchains_own_tracer_does_not_send_the_same_a_second_time(langsmith, tmp_path):
    done = run_from_outside(
        "from langchain_core.runnables import RunnableLambda\n"
        "RunnableLambda(lambda x: x).invoke(1)\n"
        "from langsmith.utils import tracing_is_enabled\n"
        "print(tracing_is_enabled())",
        tmp_path,
        LANGSMITH_TRACING="true",
        LANGSMITH_API_KEY="lsv2-key",
        LANGSMITH_PROJECT="night watch",
        LANGSMITH_ENDPOINT=langsmith.url,
    )
    assert done.stdout == "False\n", done.stderr
    assert done.stderr.count("each run is there once") == 1
