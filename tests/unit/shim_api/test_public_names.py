"""What `midwatch` exports: complete, typed, light, and free where telemetry is off."""

from __future__ import annotations

import ast
import gc
import inspect
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import midwatch
import midwatch.testing
import pytest
from midwatch.instruments import recorder as recorder_module
from midwatch.instruments.recorder import get_recorder
from midwatch.pipeline.failures import FAILURES
from mypy import api as mypy
from opentelemetry import trace
from toolchain.programs import cache_folder

PROMISED = {
    *("turn", "agent", "tool", "route", "handoff", "guardrail", "selfrag_decision", "decision"),
    *("message", "collaboration", "conflict", "state_change", "outcome", "event", "feedback"),
    *("prompts", "init", "AgentTelemetry", "get_agent_telemetry", "ObservabilityConfig"),
    *("trace_workflow", "ExecutionLogger", "LLMCallLogger", "observe", "ToolTracer"),
    *("SimulationEventCapture", "OrchestrationTracer", "AgentPerformanceMetrics"),
    "SystemWorkflowMetrics",
}


def test_all_that_is_promised_is_exported():
    assert set(midwatch.__all__) >= PROMISED


def test_the_exported_names_are_sorted_and_are_the_public_ones():
    assert list(midwatch.__all__) == sorted(midwatch.__all__)
    assert set(midwatch._HOMES) == set(midwatch.__all__)
    assert set(midwatch.__all__) <= set(dir(midwatch))
    tree = ast.parse(Path(str(midwatch.__file__)).read_text(encoding="utf-8"))
    typed = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("midwatch")
        for alias in node.names
    }
    assert typed == set(midwatch.__all__), "what type checkers see is what there is"


@pytest.mark.parametrize("name", midwatch.__all__)
def test_each_exported_name_is_there_and_documented(name):
    found = getattr(midwatch, name)
    assert inspect.getdoc(found)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'turns'"):
        _ = midwatch.turns


def test_the_package_says_that_it_is_typed():
    assert (Path(str(midwatch.__file__)).parent / "py.typed").exists()


SAMPLE = """
from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import midwatch
from midwatch.testing import CapturedTelemetry, captured_telemetry


@midwatch.turn
def plain(text: str) -> int:
    return len(text)


@midwatch.agent("billing")
async def asynchronous(text: str, *, limit: int = 3) -> str:
    return text[:limit]


@midwatch.tool("search", agent="billing")
def stream() -> Iterator[str]:
    yield "a"


@midwatch.trace_workflow(call_id="c1")
async def workflow() -> AsyncIterator[int]:
    yield 1


@midwatch.observe
@midwatch.guardrail("pii")
def checked(value: bool) -> bool:
    return value


async def use() -> None:
    assert_type(plain("x"), int)
    assert_type(await asynchronous("x", limit=1), str)
    assert_type([item for item in stream()], list[str])
    assert_type([item async for item in workflow()], list[int])
    assert_type(checked(True), bool)
    with midwatch.turn("s1", turn_id="t1") as turn, midwatch.agent("a") as run:
        turn.outcome = "ok"
        run.status = "ok"
    with midwatch.guardrail("pii") as check:
        check.deny("email")
    midwatch.guardrail("pii", "deny", "email")
    with midwatch.collaboration("sale", ["a", "b"]) as work, midwatch.conflict("price") as conflict:
        work.outcome, conflict.resolution = "ok", "capped"
    async with midwatch.ExecutionLogger().log_execution("planner", "plan") as log:
        log.output_data = {"a": 1}
    started = await midwatch.ExecutionLogger().start_execution("planner", "plan", report_id="r")
    assert_type(started, midwatch.ExecutionLog)
    llm = midwatch.LLMCallLogger()
    call = await llm.start_llm_call("openai", "gpt-4", prompt="hi")
    assert_type(call, midwatch.LLMCallLog)
    assert_type([text for text in llm.log_streaming_call("o", "m", "p", ["a"])], list[str])
    assert_type(midwatch.AgentPerformanceMetrics.of_process("a").success_rate, float)


def test_agents(midwatch_telemetry: CapturedTelemetry) -> None:
    with captured_telemetry(content="redacted") as telemetry:
        assert_type(telemetry.metric("agent_route_total", selected_agent="a"), float)


plain(1)  # wrong
midwatch.selfrag_decision("final")  # wrong
"""


def test_user_code_is_checked_strictly_against_the_types(tmp_path):
    # What mypy knows of libraries it keeps, and checks that they are as they were.
    known = cache_folder() / "mypy"
    sample = tmp_path / "user_code.py"
    sample.write_text(SAMPLE)
    out, _, _ = mypy.run(["--strict", "--no-error-summary", "--cache-dir", str(known), str(sample)])
    wrong = [line for line in out.splitlines() if "user_code.py" in line and "error" in line]
    lines = SAMPLE.splitlines()
    marked = [number for number, line in enumerate(lines, 1) if line.endswith("# wrong")]
    assert [int(line.split(":")[1]) for line in wrong] == marked, out


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", **environment},
    )
    return done.stdout


def test_importing_the_package_loads_nothing():
    loaded = run(
        """
        import sys, midwatch
        print([name for name in sys.modules if name.startswith(("opentelemetry", "midwatch."))])
        """
    )
    assert loaded.strip() == "[]"


def test_where_telemetry_is_off_no_provider_is_made():
    made = run(
        """
        import midwatch
        from opentelemetry import trace
        from opentelemetry.sdk import metrics
        made = []
        for kind in (metrics.MeterProvider, ):
            kind.__init__ = lambda self, *args, **kwargs: made.append(type(self))
        midwatch.init()
        midwatch.AgentTelemetry().inc_route("a")
        with midwatch.turn(), midwatch.agent("a"), midwatch.tool("t"):
            midwatch.route("a")
        assert midwatch.get_agent_telemetry().render_prometheus() == ""
        print(made, trace._TRACER_PROVIDER)
        """,
        AGENT_OBSERVABILITY_ENABLED="false",
    )
    assert made.strip() == "[] None"


@pytest.fixture
def off(monkeypatch):
    """A process in which telemetry is off, as the environment says."""
    monkeypatch.setenv("AGENT_OBSERVABILITY_ENABLED", "false")
    monkeypatch.setattr(recorder_module, "_recorder", None)
    assert get_recorder().enabled is False


def work() -> None:
    logger, calls = midwatch.ExecutionLogger(), midwatch.LLMCallLogger()
    with midwatch.turn("s"), midwatch.agent("a"), midwatch.tool("t"), midwatch.guardrail("g"):
        midwatch.route("a")
        midwatch.handoff("a", "b")
        midwatch.decision("a", "hold", 0.5)
        midwatch.event("e", {"a": 1})
        midwatch.guardrail("g", "deny", "r")
    with midwatch.trace_workflow("w"), midwatch.observe("o"), midwatch.collaboration("c"):
        logger.end_execution(logger.start_execution("a", "s"))
        calls.end_llm_call(calls.start_llm_call("o", "m"))


def test_where_telemetry_is_off_there_are_no_spans_no_instruments_and_no_turns(off, monkeypatch):
    made: Counter[str] = Counter()
    for owner, name in (
        (trace, "get_tracer_provider"),
        (trace, "set_span_in_context"),
        (midwatch.instruments.turns, "start_turn"),
        (midwatch.api.spans, "start_span"),
        (midwatch.api.turns, "start_turn"),
    ):
        monkeypatch.setattr(owner, name, lambda *_, _name=name, **__: made.update([_name]))
    work()
    assert made == {}
    assert get_recorder().families("", ("agent_",)) == []
    assert get_recorder()._instruments._known == {}


def test_where_telemetry_is_off_a_block_is_a_handful_of_calls(off):
    block = midwatch.agent("a")
    calls: list[str] = []

    def profile(frame, event, argument):
        if event == "call":
            calls.append(frame.f_code.co_name)

    sys.setprofile(profile)
    with block:
        pass
    sys.setprofile(None)
    assert len(calls) <= 6, calls


@pytest.mark.usefixtures("frozen_heap")
def test_nothing_is_kept_of_what_has_ended(midwatch_telemetry):
    def objects() -> int:
        gc.collect()
        # There are many: types are looked at once.
        kinds = Counter(map(type, gc.get_objects()))
        return sum(
            number
            for kind, number in kinds.items()
            if str(getattr(kind, "__module__", "")).startswith("midwatch.api")
        )

    work()
    before = objects()
    for _ in range(50):
        work()
    assert objects() <= before + 5
    assert FAILURES.counts() == {}
