"""`turn`, `agent` and `tool` around blocks and around functions of every kind."""

from __future__ import annotations

import asyncio
import threading

import midwatch
import pytest
from midwatch.instruments import recorder as recorder_module
from midwatch.instruments.turns import current_turn
from opentelemetry import trace
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@pytest.fixture
def finished(monkeypatch, observed):
    """The spans that have ended, with the process's recorder replaced by one that can be read."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(recorder_module, "_recorder", observed.recorder)
    return lambda: {span.name: span for span in exporter.get_finished_spans()}


def test_a_decorated_function_keeps_its_result_its_name_and_its_error(finished, observed):
    @midwatch.tool("search")
    def search(text: str) -> str:
        if not text:
            raise ValueError("empty")
        return text.upper()

    assert search("a") == "A"
    assert search.__name__ == "search"
    with pytest.raises(ValueError, match="empty"):
        search("")
    samples = observed.samples()
    calls = 'agent_tool_calls_total{agent="unknown",tool="search",status='
    assert samples[calls + '"ok"}'] == 1
    assert samples[calls + '"error"}'] == 1
    assert finished()["execute_tool search"].attributes["error.type"] == "ValueError"


def test_a_tool_belongs_to_the_agent_around_it(finished, observed):
    with midwatch.turn("s1"), midwatch.agent("monitor"), midwatch.tool("search"):
        pass
    tool, agent = finished()["execute_tool search"], finished()["invoke_agent monitor"]
    assert tool.parent.span_id == agent.context.span_id
    assert agent.parent.span_id == finished()["agent.turn"].context.span_id
    assert 'agent="monitor",tool="search"' in observed.text()
    assert finished()["agent.turn"].attributes["session.id"] == "s1"
    assert finished()["agent.turn"].attributes["midwatch.turn.entry_agent"] == "monitor"


def test_a_status_that_is_set_in_the_block_counts(finished, observed):
    with midwatch.agent("config"), midwatch.tool("set_mode") as call:
        call.status = "denied"
    samples = observed.samples()
    assert samples['agent_tool_calls_total{agent="config",tool="set_mode",status="denied"}'] == 1


@pytest.mark.parametrize(
    ("error", "status"), [(TimeoutError, "timeout"), (PermissionError, "denied")]
)
def test_some_errors_of_a_tool_are_statuses_of_their_own(finished, observed, error, status):
    with pytest.raises(error), midwatch.tool("search", agent="monitor"):
        raise error
    name = f'agent_tool_calls_total{{agent="monitor",tool="search",status="{status}"}}'
    assert observed.samples()[name] == 1


def test_a_coroutine_has_a_scope_of_its_own_beside_others(finished, observed):
    @midwatch.agent("monitor")
    async def work(number: int) -> int:
        await asyncio.sleep(0)
        with midwatch.tool(f"tool-{number}"):
            await asyncio.sleep(0)
        return number

    async def both() -> list[int]:
        return await asyncio.gather(*(work(number) for number in range(5)))

    assert asyncio.run(both()) == list(range(5))
    samples = observed.samples()
    assert samples['agent_invocations_total{agent="monitor",status="ok"}'] == 5
    for number in range(5):
        assert (
            samples[f'agent_tool_calls_total{{agent="monitor",tool="tool-{number}",status="ok"}}']
            == 1
        )


def test_a_cancelled_coroutine_is_cancelled_and_not_failed(finished, observed):
    @midwatch.agent("monitor")
    async def work() -> None:
        await asyncio.sleep(60)

    async def cancel() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert observed.samples()['agent_invocations_total{agent="monitor",status="cancelled"}'] == 1
    assert finished()["invoke_agent monitor"].status.is_unset


def test_a_generator_runs_in_its_scope_and_its_consumer_does_not(finished, observed):
    @midwatch.agent("writer")
    def stream():
        for word in ("a", "b"):
            with midwatch.tool(word):
                pass
            received = yield word
            assert received is None
        return "done"

    seen, before = [], trace.get_current_span()
    for word in stream():
        assert trace.get_current_span() is before
        seen.append(word)
    assert seen == ["a", "b"]
    assert 'agent_tool_calls_total{agent="writer",tool="b",status="ok"}' in observed.samples()
    assert observed.samples()['agent_invocations_total{agent="writer",status="ok"}'] == 1


def test_a_generator_that_is_abandoned_is_cancelled_and_not_failed(finished, observed):
    @midwatch.turn
    @midwatch.agent("writer")
    def stream():
        yield 1
        yield 2

    generator = stream()
    assert next(generator) == 1
    assert current_turn() is None
    generator.close()
    samples = observed.samples()
    assert samples['agent_invocations_total{agent="writer",status="cancelled"}'] == 1
    assert samples['agent_turns_total{entry_agent="writer",outcome="cancelled"}'] == 1
    assert samples["agent_active_turns"] == 0


def test_a_generator_takes_what_is_sent_and_thrown_and_gives_its_result(finished):
    @midwatch.turn()
    def conversation():
        try:
            received = yield "first"
            yield received.upper()
        except KeyError:
            yield "caught"
        return "result"

    def consume():
        return (yield from conversation())

    generator = consume()
    assert next(generator) == "first"
    assert generator.send("second") == "SECOND"
    assert generator.throw(KeyError("x")) == "caught"
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "result"


def test_an_async_generator_runs_in_its_scope_and_its_consumer_does_not(finished, observed):
    @midwatch.turn("s1")
    @midwatch.agent("writer")
    async def stream():
        for word in ("a", "b"):
            await asyncio.sleep(0)
            with midwatch.tool(word):
                yield word

    async def consume() -> list[str]:
        seen = []
        async for word in stream():
            assert current_turn() is None
            seen.append(word)
        return seen

    assert asyncio.run(consume()) == ["a", "b"]
    samples = observed.samples()
    assert samples['agent_tool_calls_total{agent="writer",tool="a",status="ok"}'] == 1
    assert samples['agent_turns_total{entry_agent="writer",outcome="ok"}'] == 1


def test_an_async_generator_that_is_abandoned_is_cancelled(finished, observed):
    @midwatch.agent("writer")
    async def stream():
        yield 1
        yield 2

    async def consume() -> None:
        generator = stream()
        assert await anext(generator) == 1
        await generator.aclose()

    asyncio.run(consume())
    assert observed.samples()['agent_invocations_total{agent="writer",status="cancelled"}'] == 1


def session() -> str:
    turn = current_turn()
    return turn.session_id if turn is not None else ""


def test_a_turn_can_be_used_in_async_with(finished, observed):
    async def work() -> None:
        async with midwatch.turn("s1"), midwatch.agent("monitor"):
            assert session() == "s1"

    asyncio.run(work())
    assert observed.samples()['agent_turns_total{entry_agent="monitor",outcome="ok"}'] == 1


def test_a_thread_started_in_a_turn_belongs_to_it(finished):
    seen = []
    instrumentor = ThreadingInstrumentor()
    instrumentor.instrument()
    try:
        with midwatch.turn("s1"):
            thread = threading.Thread(target=lambda: seen.append(session()))
            thread.start()
            thread.join()
    finally:
        instrumentor.uninstrument()
    assert seen == ["s1"]


def test_an_interrupt_of_a_graph_is_not_an_error(finished, observed):
    errors = pytest.importorskip("langgraph.errors")
    for kind, status in ((errors.GraphInterrupt, "interrupted"), (errors.ParentCommand, "ok")):
        with pytest.raises(kind), midwatch.agent(f"agent-{status}"):
            raise kind(())
        name = f'agent_invocations_total{{agent="agent-{status}",status="{status}"}}'
        assert observed.samples()[name] == 1
        assert finished()[f"invoke_agent agent-{status}"].status.is_unset


def test_all_exported_names_can_be_imported_and_are_sorted():
    assert list(midwatch.__all__) == sorted(midwatch.__all__)
    for name in midwatch.__all__:
        assert getattr(midwatch, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        midwatch.no_such_name  # noqa: B018
