"""The application never pays: whatever the API is given, it neither raises nor takes long."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import math
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import midwatch
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from midwatch.api import arguments
from midwatch.api.scopes import Scope
from midwatch.instruments.recorder import get_recorder
from midwatch.pipeline.events import JsonLinesSink
from midwatch.pipeline.failures import FAILURES
from midwatch.testing import captured_telemetry


class Unshowable:
    """No method of it works."""

    def __str__(self) -> str:
        raise RuntimeError("str")

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __len__(self) -> int:
        raise RuntimeError("len")

    def __iter__(self):
        raise RuntimeError("iter")


class Text(str):
    """A text that says of itself what is not so."""

    def __str__(self) -> str:
        raise RuntimeError("str")

    def __getitem__(self, key):
        raise RuntimeError("getitem")


def recursive() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def looped() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["self"] = {"again": found}
    return found


def deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(5000):
        found = [found]
    return found


HUGE = "x" * 5_000_000
ODD: list[Callable[[], object]] = [
    lambda: HUGE,
    HUGE.encode,
    lambda: "\ud800",
    lambda: "\x00",
    lambda: 10**400,
    lambda: -(10**5000),
    lambda: Decimal("NaN"),
    lambda: Decimal("1E+999999"),
    lambda: complex(1, 2),
    object,
    Unshowable,
    lambda: Text("text"),
    recursive,
    looped,
    deep,
    lambda: [HUGE] * 50,
    lambda: {"a": HUGE, "b": [Unshowable()] * 200},
    lambda: {"agent_id": Unshowable(), 1: 2, None: 3},
    lambda: ValueError("an error"),
    lambda: datetime(2026, 1, 1, tzinfo=UTC),
    lambda: math.inf,
    lambda: range(10**9),
    lambda: lambda: None,
]
WHATEVER = st.one_of(
    st.integers(0, len(ODD) - 1).map(lambda index: ODD[index]()),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(),
    st.binary(),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
    st.lists(st.text(max_size=5) | st.none(), max_size=3),
)
NOT_CALLED = {"init", "prompts", "ObservabilityConfig", "Ids", "FeedbackResult", "current_ids"}
RECORDS = {"AgentSpan", "CollaborationSpan", "SimulationTrace", "ExecutionLog", "LLMCallLog"}


def public_functions() -> list[str]:
    return sorted(set(midwatch.__all__) - NOT_CALLED - RECORDS)


def used(result: Any) -> None:
    """A scope that was given back is used as a block, its settable values set to anything."""
    if hasattr(result, "__enter__"):
        with result as block:
            for name in ("status", "outcome", "decision", "reason", "resolution", "documents"):
                if hasattr(block, name):
                    setattr(block, name, Unshowable())


def called(function: Any, data: st.DataObject) -> object:
    """The result of a call with arguments that have the right number and any value at all."""
    positional, named = [], {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is not parameter.empty and data.draw(st.booleans()):
            continue
        value = data.draw(WHATEVER)
        if parameter.name == "trace_jsonl_path" and isinstance(value, str):
            # A file of that name would be written.
            value = None
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(value)
        else:
            named[parameter.name] = value
    return function(*positional, **named)


@pytest.fixture(params=["on", "captured with content", "off"])
def state(request, monkeypatch, tmp_path):
    """Telemetry on as before `init()`, on with content captured, or off."""
    recorder = get_recorder()
    monkeypatch.chdir(tmp_path)
    # What is misused here is no failure that other tests should see.
    monkeypatch.setattr(FAILURES, "_counts", Counter())
    monkeypatch.setattr(FAILURES, "_logged", set())
    if request.param == "on":
        sink = JsonLinesSink(tmp_path / "events.jsonl")
        monkeypatch.setattr(recorder, "_sinks", (sink,))
        yield
    elif request.param == "off":
        monkeypatch.setattr(recorder, "enabled", False)
        yield
    else:
        with captured_telemetry(content="redacted"):
            yield


@pytest.mark.parametrize("name", public_functions())
def test_no_public_function_raises_whatever_it_is_given(name, state, caplog):
    function = getattr(midwatch, name)

    @settings(
        max_examples=8,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        if not inspect.isclass(function):
            used(called(function, data))
            return
        made = called(function, data)
        for method, value in inspect.getmembers(made, callable):
            if not method.startswith("_") and method != "from_records":
                used(called(value, data))

    # What is begun here and never ended stays in force in its own context only.
    contextvars.copy_context().run(check)


@pytest.mark.parametrize("name", public_functions())
def test_no_public_function_raises_with_the_oddest_of_all_for_every_argument(name, state, caplog):
    function = getattr(midwatch, name)
    for make in ODD:
        odd = make()

        def given_odd(function: Any, odd: Any = odd) -> object:
            kinds = inspect.signature(function).parameters.values()
            return function(
                **{
                    one.name: None if one.name.endswith("path") and isinstance(odd, str) else odd
                    for one in kinds
                    if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY)
                }
            )

        def check(given_odd: Any = given_odd) -> None:
            made = given_odd(function)
            if not inspect.isclass(function):
                used(made)
                return
            for method, value in inspect.getmembers(made, callable):
                if not method.startswith("_") and method != "from_records":
                    used(given_odd(value))

        contextvars.copy_context().run(check)


@pytest.mark.parametrize("value", [HUGE, [HUGE] * 1000, looped(), deep(), range(10**9)])
def test_nothing_that_is_big_takes_long(value, telemetry):
    started = time.thread_time()
    midwatch.event("big", {"value": value})
    midwatch.handoff(value, value, detail=value)
    with midwatch.turn(value), midwatch.agent(value), midwatch.tool(value):
        pass
    assert time.thread_time() - started < 0.5


def test_what_is_given_is_cut_and_not_lost(telemetry):
    midwatch.event("big", {"text": HUGE, "many": list(range(1000)), "loop": looped()})
    told = telemetry.event("big").metadata
    assert len(told["text"]) == arguments.MAX_TEXT
    assert told["many"][:3] == [0, 1, 2]
    assert told["many"][-1] == "…"
    assert told["loop"] == {"self": {"again": "…"}}


def test_five_thousand_values_of_each_name_stay_bounded(telemetry):
    for number in range(5000):
        midwatch.route(f"agent-{number}")
        midwatch.guardrail(f"gate-{number}", "deny", f"reason-{number}")
        midwatch.outcome(f"outcome-{number}")
    assert len(telemetry.labels("agent_route_total")) <= 101
    assert len(telemetry.labels("agent_guardrail_total")) <= 51 * 101
    assert len(telemetry.labels("agent_outcomes_total")) <= 51
    assert telemetry.metric("agent_route_total") == 5000
    assert telemetry.metric("midwatch_label_overflow_total", metric="agent_route_total") > 0


@pytest.mark.usefixtures("frozen_heap")
def test_five_thousand_blocks_leave_nothing_behind(telemetry):
    capture, tracer = midwatch.SimulationEventCapture(), midwatch.OrchestrationTracer()
    for number in range(1200):
        capture.capture_trigger_event({"event_id": f"event-{number}"})
        tracer.trace_workflow_start(f"work-{number}", ["a"])
    gc.collect()
    assert len(capture._open) <= 1000
    assert len(tracer._open) <= 1000
    assert telemetry.metric("agent_outcomes_total", outcome="cancelled") == 200


def test_values_become_what_they_are():
    assert arguments.name(None, "unknown") == "unknown"
    assert arguments.name(b"caf\xc3\xa9") == "café"
    assert arguments.name("\ud800x") == "?x"
    assert arguments.name(Unshowable()) == "<Unshowable>"
    assert arguments.text(Text("text")) == "text"
    assert arguments.number(True) is None
    assert arguments.number(math.nan) is None
    assert arguments.number(10**400) is None
    assert arguments.seconds(-1) is None
    assert arguments.count(2.0) == 2
    assert arguments.count(-1) is None
    assert arguments.names("one") == ["one"]
    assert arguments.names(None) == []
    assert arguments.names(Unshowable()) == []
    assert arguments.plain(10**30) == str(10**30)
    assert arguments.plain(math.inf) == "inf"
    assert arguments.as_json("text") == "text"
    assert arguments.as_json({"a": (1, None)}) == '{"a":[1,null]}'


def test_a_failure_inside_is_counted_and_the_code_goes_on(midwatch_telemetry, monkeypatch, caplog):
    recorder = get_recorder()
    for broken in ("_count_in", "_emit"):
        monkeypatch.setattr(recorder, broken, None)

    @midwatch.trace_workflow
    def work() -> str:
        with midwatch.agent("a"), midwatch.tool("t"), midwatch.guardrail("g"):
            return "done"

    assert work() == "done"
    assert set(midwatch_telemetry.failures) >= {"recorder.tool_call", "recorder.invocation"}


def test_a_scope_whose_every_part_fails_is_nothing_but_counted(midwatch_telemetry, caplog):
    def fail(*_: object) -> Any:
        raise ZeroDivisionError

    class Broken(Scope):
        """Nothing of it works."""

    for part in ("_begin", "_end", "_enter", "_called", "_returned", "_fresh"):
        setattr(Broken, part, fail)

    async def items():
        yield 1

    async def consume() -> list[int]:
        return [item async for item in Broken()(items)()]

    with Broken():
        pass
    assert Broken()(lambda: 2)() == 2
    assert asyncio.run(consume()) == [1]
    assert midwatch_telemetry.failures["api.broken"] >= 4
