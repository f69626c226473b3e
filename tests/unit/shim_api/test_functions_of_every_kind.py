"""Each scope around each kind of function: it changes nothing but what is told."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import midwatch
import pytest
from midwatch.api.scopes import Scope
from opentelemetry import trace

LLM = midwatch.LLMCallLogger()
MAKERS: dict[str, tuple[Callable[[], object], str]] = {
    "turn": (midwatch.turn, "agent.turn"),
    "agent": (lambda: midwatch.agent("billing"), "invoke_agent billing"),
    "tool": (lambda: midwatch.tool("lookup"), "execute_tool lookup"),
    "guardrail": (lambda: midwatch.guardrail("pii"), "guardrail pii"),
    "retrieved": (midwatch.selfrag_retrieved, "retrieval"),
    "graded": (midwatch.selfrag_graded, "grading"),
    "collaboration": (lambda: midwatch.collaboration("markdown"), "collaboration markdown"),
    "conflict": (lambda: midwatch.conflict("price"), "conflict price"),
    "workflow": (lambda: midwatch.trace_workflow("call"), "invoke_workflow call"),
    "observe": (lambda: midwatch.observe("step"), "step"),
    "execution": (
        lambda: midwatch.ExecutionLogger().log_execution("planner", "plan"),
        "invoke_agent planner",
    ),
    "model call": (lambda: LLM.log_llm_call("openai", "custom"), "chat custom"),
}


def current_name() -> str:
    return getattr(trace.get_current_span(), "name", "")


@pytest.fixture(params=list(MAKERS))
def scope(request, telemetry):
    """A scope, with the name of the span that it makes."""
    make, name = MAKERS[request.param]
    made = make()
    assert isinstance(made, Scope)
    return made, name


def add(one: int, two: int = 2, *rest: int, key: str = "k", **more: int) -> int:
    """Add."""
    if key == "wrong":
        raise ValueError(key)
    return one + two + sum(rest) + sum(more.values())


def test_a_function(scope, telemetry):
    decorate, name = scope
    wrapped = decorate(add)
    assert wrapped(1, 2, 3, key="x", other=4) == 10
    with pytest.raises(ValueError, match="wrong") as raised:
        wrapped(1, key="wrong")
    assert raised.value.__cause__ is None
    assert [span.name for span in telemetry.spans] == [name, name]


def test_what_is_decorated_looks_as_it_did(scope):
    decorate, _ = scope
    wrapped = decorate(add)
    assert inspect.signature(wrapped) == inspect.signature(add)
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__module__) == (
        "add",
        "Add.",
        add.__module__,
    )
    assert wrapped.__wrapped__ is add
    assert inspect.get_annotations(wrapped, eval_str=True) == inspect.get_annotations(
        add, eval_str=True
    )


def test_a_coroutine_function(scope, telemetry):
    decorate, name = scope

    @decorate
    async def work(number: int) -> int:
        await asyncio.sleep(0)
        assert current_name() == name
        return number

    async def three() -> list[int]:
        return await asyncio.gather(*(work(number) for number in range(3)))

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(three()) == [0, 1, 2]
    assert [span.parent for span in telemetry.spans] == [None] * 3


def test_a_generator_function(scope, telemetry):
    decorate, name = scope

    @decorate
    def stream(count: int):
        for number in range(count):
            assert current_name() == name
            yield number
        return "end"

    def consume():
        return (yield from stream(2))

    assert inspect.isgeneratorfunction(stream)
    generator = consume()
    assert next(generator) == 0
    assert not trace.get_current_span().is_recording()
    assert next(generator) == 1
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "end"
    assert len(telemetry.spans_named(name)) == 1


def test_an_async_generator_function(scope, telemetry):
    decorate, name = scope

    @decorate
    async def stream(count: int):
        for number in range(count):
            await asyncio.sleep(0)
            assert current_name() == name
            yield number

    async def consume() -> list[int]:
        seen = []
        async for number in stream(3):
            assert not trace.get_current_span().is_recording()
            seen.append(number)
        return seen

    assert inspect.isasyncgenfunction(stream)
    assert asyncio.run(consume()) == [0, 1, 2]
    assert len(telemetry.spans_named(name)) == 1


def test_a_generator_that_is_given_up_ends_without_an_error(scope, telemetry):
    decorate, name = scope

    @decorate
    def stream():
        yield 1
        yield 2

    generator = stream()
    next(generator)
    generator.close()
    assert telemetry.span(name).status.is_unset


def test_an_async_generator_takes_what_is_sent_and_thrown(scope):
    decorate, _ = scope

    @decorate
    async def conversation():
        received = yield "first"
        try:
            yield received.upper()
        except KeyError:
            yield "caught"

    async def consume() -> list[str]:
        generator = conversation()
        said = [await anext(generator), await generator.asend("second")]
        said.append(await generator.athrow(KeyError("x")))
        await generator.aclose()
        return said

    assert asyncio.run(consume()) == ["first", "SECOND", "caught"]


def test_methods_of_every_kind(scope, telemetry):
    decorate, name = scope

    class Worker:
        base = 1

        @decorate
        def method(self, number: int) -> int:
            return self.base + number

        @classmethod
        @decorate
        def inner(cls, number: int) -> int:
            return cls.base + number

        @decorate
        @classmethod
        def outer(cls, number: int) -> int:
            return cls.base + number

        @decorate
        @staticmethod
        def static(number: int) -> int:
            return number

        @decorate
        async def asynchronous(self, number: int) -> int:
            return self.base + number

    worker = Worker()
    assert (worker.method(1), Worker.inner(1), Worker.outer(1), Worker.static(1)) == (2, 2, 2, 1)
    assert asyncio.run(worker.asynchronous(2)) == 3
    assert [span.name for span in telemetry.spans] == [name] * 5


def test_objects_that_are_called(scope, telemetry):
    decorate, name = scope

    class Called:
        async def __call__(self, number: int) -> int:
            return number

    assert decorate(functools.partial(add, 1))(2) == 3
    wrapped = decorate(Called())
    assert inspect.iscoroutinefunction(wrapped)
    assert asyncio.run(wrapped(4)) == 4
    assert [span.name for span in telemetry.spans] == [name] * 2


def test_a_coroutine_that_is_cancelled_is_no_failure(scope, telemetry):
    decorate, name = scope

    @decorate
    async def work() -> None:
        await asyncio.sleep(60)

    async def cancel() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert telemetry.span(name).status.is_unset


def test_a_block_of_either_kind_can_be_used_again_within_itself_and_by_threads(scope, telemetry):
    shared, name = scope

    async def asynchronous() -> None:
        async with shared:
            assert current_name() == name

    with shared, shared:
        asyncio.run(asynchronous())
    with shared:
        pass
    barrier = threading.Barrier(4)

    def work() -> None:
        with shared:
            barrier.wait(10)
            assert current_name() == name

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()
    assert not trace.get_current_span().is_recording()
    assert [span.name for span in telemetry.spans] == [name] * (8 if name != "agent.turn" else 6)
    assert len(telemetry.spans) == len([one for one in telemetry.spans if one.end_time])


@midwatch.agent("pickled")
def pickled(number: int) -> int:
    return number


def test_a_decorated_function_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(pickled)) is pickled  # noqa: S301 (made here)


def test_wrong_arguments_fail_as_they_did_and_leave_nothing_open(scope, telemetry):
    decorate, _ = scope

    @decorate
    def generator(one: int):
        yield one

    with pytest.raises(TypeError, match="missing 1 required"):
        next(generator())
    assert telemetry.metric("agent_active_turns") == 0
    assert telemetry.spans == []


def test_a_class_stays_the_class_that_it_is(scope, midwatch_telemetry, caplog):
    decorate, _ = scope

    class Agent:
        pass

    assert decorate(Agent) is Agent
    midwatch_telemetry.failures.clear()


def test_an_exception_that_cannot_be_shown_passes_through(scope, telemetry):
    decorate, name = scope

    class UnshowableError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    error = UnshowableError()
    with pytest.raises(UnshowableError) as raised, decorate:
        raise error
    assert raised.value is error
    assert (telemetry.span(name).attributes or {})["error.type"].endswith("UnshowableError")


def test_a_name_is_taken_from_the_function_where_none_is_given(telemetry):
    @midwatch.agent
    def billing() -> None:
        lookup()
        observed()
        flow()

    @midwatch.tool
    def lookup() -> None:
        """Nothing."""

    @midwatch.observe
    def observed() -> None:
        """Nothing."""

    @midwatch.trace_workflow()
    def flow() -> None:
        """Nothing."""

    billing()
    assert telemetry.tree().split("\n  ") == [
        "invoke_agent billing",
        "execute_tool lookup",
        "observed",
        "invoke_workflow flow",
    ]


def test_no_scope_warns_of_contexts_when_a_generator_is_finished_elsewhere(scope, telemetry):
    decorate, _ = scope

    @decorate
    def stream():
        yield 1

    generator = stream()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        next(generator)
        thread = threading.Thread(target=generator.close)
        thread.start()
        thread.join()
    assert len(telemetry.spans) == 1
