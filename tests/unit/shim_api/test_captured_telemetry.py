"""`midwatch.testing`: what users test their agents with."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import midwatch
import pytest
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.turn_state import current_turn
from midwatch.testing import captured_telemetry
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF


def one_turn() -> None:
    with midwatch.turn("s1"), midwatch.agent("billing"):
        midwatch.route("billing")
        with midwatch.tool("lookup"):
            pass


def test_spans_metrics_and_events_of_a_block_are_captured():
    with captured_telemetry() as telemetry:
        one_turn()
    assert telemetry.tree() == ("agent.turn\n  invoke_agent billing\n    execute_tool lookup")
    assert telemetry.metric("agent_route_total", selected_agent="billing") == 1
    assert telemetry.metric("agent.tool.calls", tool="lookup", status="ok") == 1
    assert telemetry.metric("agent_turn_latency_seconds") == 1
    assert [event.event for event in telemetry.events()] == [
        "turn.started",
        "route.selected",
        "tool.started",
        "tool.finished",
        "turn.finished",
    ]
    assert telemetry.event("route.selected").session_id == "s1"
    assert telemetry.failures == {}


def test_time_passes_only_when_it_is_told_to():
    with captured_telemetry() as telemetry, midwatch.turn(), midwatch.tool("lookup"):
        telemetry.clock.advance(1.5)
    span = telemetry.span("execute_tool lookup")
    assert (span.end_time or 0) - (span.start_time or 0) == 1_500_000_000
    assert telemetry.metric_sum("agent_tool_latency_seconds", tool="lookup") == 1.5
    assert telemetry.metric_sum("agent_turn_latency_seconds") == 1.5
    assert telemetry.event("turn.started").ts == datetime(2026, 1, 1, tzinfo=UTC)
    assert telemetry.event("tool.finished").metadata["seconds"] == 1.5
    with pytest.raises(ValueError, match="forward only"):
        telemetry.clock.advance(-1)


def test_each_block_makes_the_same_ids():
    def captured() -> list[object]:
        with captured_telemetry() as telemetry:
            one_turn()
        return [
            *((span.context.trace_id, span.context.span_id) for span in telemetry.spans),
            *(event.turn_id for event in telemetry.events()),
        ]

    first = captured()
    assert first == captured()
    assert first[0] == (1, 1)


def test_nothing_of_one_block_is_in_the_next_and_nothing_from_around_it():
    with midwatch.turn("outside"), midwatch.agent("outside"):
        with captured_telemetry() as first:
            one_turn()
        turn = current_turn()
        assert turn is not None
        assert turn.session_id == "outside"
        with captured_telemetry() as second:
            midwatch.route("search")
    assert len(first.spans) == 3
    assert second.spans == []
    assert [event.event for event in second.events()] == ["route.selected"]
    assert second.event("route.selected").session_id == ""
    assert second.metric("agent_route_total", selected_agent="billing") == 0


def test_what_is_recorded_outside_goes_where_it_went_before():
    recorder = get_recorder()
    before = dict(vars(recorder))
    with captured_telemetry() as telemetry:
        assert get_recorder() is recorder
    assert vars(recorder) == before
    midwatch.route("search")
    assert telemetry.events() == []


def test_a_block_within_a_block_has_its_own():
    with captured_telemetry() as outer:
        with captured_telemetry() as inner:
            one_turn()
        midwatch.route("search")
        with midwatch.agent("search"):
            pass
    assert len(inner.spans) == 3
    assert outer.tree() == "invoke_agent search"


@pytest.fixture
def installed(monkeypatch):
    """A tracer provider of the process that samples nothing and exports."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return provider, exporter


def test_the_tracers_of_a_process_that_is_set_up_are_captured_and_nothing_is_exported(installed):
    provider, exporter = installed
    library = provider.get_tracer("library")
    with captured_telemetry() as telemetry, library.start_as_current_span("request"):
        one_turn()
    assert telemetry.tree().splitlines()[:2] == ["request", "  invoke_agent billing"]
    assert exporter.get_finished_spans() == ()
    with library.start_as_current_span("later") as span:
        assert not span.is_recording()
    assert span.get_span_context().trace_id > 2**32, "ids are made as before"


def test_a_tracer_that_was_made_before_any_set_up_is_captured_in_each_block():
    early = trace.ProxyTracer("early")
    for _ in range(2):
        with captured_telemetry() as telemetry, early.start_as_current_span("early"):
            pass
        assert telemetry.tree() == "early"
    with early.start_as_current_span("between") as span:
        assert not span.is_recording()


def test_init_in_a_block_exports_nothing_and_leaves_nothing_behind(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "*")
    with captured_telemetry() as telemetry:
        assert midwatch.init() is True
        one_turn()
    assert len(telemetry.spans) == 3
    assert trace._TRACER_PROVIDER is None


def test_it_captures_where_the_environment_turns_telemetry_off(monkeypatch):
    monkeypatch.setattr(get_recorder(), "enabled", False)
    with captured_telemetry() as telemetry:
        one_turn()
    assert len(telemetry.spans) == 3
    assert get_recorder().enabled is False


def test_threads_and_tasks_are_captured():
    async def work() -> None:
        with midwatch.agent("async"):
            await asyncio.sleep(0)

    with captured_telemetry() as telemetry:
        asyncio.run(work())
        with ThreadPoolExecutor(1) as pool:
            pool.submit(one_turn).result()
    assert len(telemetry.spans_named("invoke_agent async")) == 1
    assert len(telemetry.spans_named("execute_tool lookup")) == 1


def test_what_would_not_leave_the_process_is_not_captured():
    def told(content: Any) -> str:
        with captured_telemetry(content=content) as telemetry:

            @midwatch.tool
            def lookup(mail: str) -> None:
                """Nothing."""

            lookup("ann@example.org")
        return str(telemetry.span("execute_tool lookup").attributes)

    assert "mail" not in told("off")
    assert "ann@" not in told("redacted")
    assert "mail" in told("redacted")
    assert "ann@example.org" in told("full")


def test_failures_inside_midwatch_are_shown(monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL, "midwatch")
    with captured_telemetry() as telemetry:
        monkeypatch.setattr(get_recorder(), "_count", None)
        midwatch.route("search")
    assert telemetry.failures == {"recorder.route": 1}


def test_questions_that_have_no_answer_say_what_there_is():
    with captured_telemetry() as telemetry:
        one_turn()
    with pytest.raises(AssertionError, match="did you mean agent_route_total"):
        telemetry.metric("agent_routes_total")
    with pytest.raises(AssertionError, match="has no label agent; it has selected_agent"):
        telemetry.metric("agent_route_total", agent="billing")
    with pytest.raises(AssertionError, match=r"0 spans are named 'chat'.*invoke_agent billing"):
        telemetry.span("chat")
    with pytest.raises(AssertionError, match=r"0 events are named 'handoff'.*route.selected"):
        telemetry.event("handoff")
    assert telemetry.labels("agent_route_total") == [{"selected_agent": "billing"}]


def test_an_error_shows_in_the_tree():
    with (
        captured_telemetry() as telemetry,
        pytest.raises(KeyError),
        midwatch.agent("billing"),
        midwatch.tool("lookup"),
    ):
        raise KeyError("x")
    assert telemetry.tree() == (
        "invoke_agent billing [error: KeyError]\n  execute_tool lookup [error: KeyError]"
    )


def test_the_fixture_comes_with_the_package(midwatch_telemetry):
    one_turn()
    assert len(midwatch_telemetry.spans) == 3


@pytest.mark.midwatch(content="full")
def test_the_fixture_is_told_how_to_capture_by_a_marker(midwatch_telemetry):
    @midwatch.tool
    def lookup(text: str) -> None:
        """Nothing."""

    lookup("hello")
    assert "hello" in str(midwatch_telemetry.span("execute_tool lookup").attributes)


def test_the_plugin_loads_nothing_of_telemetry():
    code = (
        "import sys, midwatch.pytest_plugin\n"
        "print([m for m in sys.modules if m.startswith(('opentelemetry', 'midwatch.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['midwatch.pytest_plugin']"


GRAPH = """
from typing import TypedDict

from langgraph.graph import END, START, StateGraph
from midwatch.testing import captured_telemetry


class State(TypedDict):
    text: str


def run():
    graph = StateGraph(State)
    graph.add_node("triage_agent", lambda state: {"text": "a"})
    graph.add_node("billing_agent", lambda state: {"text": "b"})
    graph.add_edge(START, "triage_agent")
    graph.add_edge("triage_agent", "billing_agent")
    graph.add_edge("billing_agent", END)
    return graph.compile().invoke({"text": ""})


for _ in range(2):
    with captured_telemetry(instrument=True) as telemetry:
        run()
    names = [span.name for span in telemetry.spans]
    assert "invoke_agent triage_agent" in names, telemetry.tree()
    assert telemetry.metric("agent_invocations_total", agent="billing_agent", status="ok") == 1
    assert telemetry.failures == {}
run()
assert [span.name for span in telemetry.spans] == names
"""


def test_a_graph_is_captured_without_a_word_in_its_code():
    subprocess.run([sys.executable, "-c", GRAPH], capture_output=True, text=True, check=True)
