"""What is easily got wrong about LangGraph: each case is named as the issue names it."""

from __future__ import annotations

import asyncio
import gc
import logging
import operator
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Annotated, Any, TypedDict

import pytest
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt
from openai import OpenAI
from opentelemetry.trace import StatusCode
from pydantic import SecretStr

KEY = SecretStr("k")
AGENT = "gen_ai.agent.name"


class State(TypedDict):
    log: Annotated[list[str], operator.add]


EMPTY: State = {"log": []}
THREAD: Any = {"configurable": {"thread_id": "t-1"}}


def says(name: str) -> Any:
    return lambda _: {"log": [name]}


def graph_of(**nodes: Any) -> Any:
    graph: Any = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
    graph.add_edge(START, next(iter(nodes)))
    return graph


def chat(server: Any, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key=KEY, max_retries=0, **more)


def asks(server: Any) -> Any:
    model = chat(server)
    return lambda _: {"log": [str(model.invoke("who?").content)]}


def errors(shim: Any) -> list[str]:
    return [
        span.name
        for span in shim.exporter.get_finished_spans()
        if span.status.status_code is StatusCode.ERROR
    ]


def parents(shim: Any, name: str) -> set[str]:
    """The names of the spans above all spans of a name."""
    names = {span.context.span_id: span.name for span in shim.exporter.get_finished_spans()}
    return {names[span.parent.span_id] if span.parent else "" for span in shim.spans_named(name)}


def mine(shim: Any) -> None:
    with shim.tracer.start_as_current_span("mine"):
        pass


def test_function_node_agents_and_hand_built_subgraphs_are_agents(shim: Any) -> None:
    team = graph_of(searcher=says("s"), writer=says("w"))
    team.add_edge("searcher", "writer")
    inner = team.compile(name="research_team")
    graph = graph_of(boss=says("b"), research=inner, caller=lambda _: inner.invoke(EMPTY))
    graph.add_edge("boss", "research")
    graph.add_edge("research", "caller")
    graph.compile().invoke(EMPTY)
    assert shim.tree() == [
        "invoke_workflow LangGraph",
        "  invoke_agent boss",
        "  invoke_agent research",
        "    invoke_agent searcher",
        "    invoke_agent writer",
        "  invoke_agent caller",
        "    invoke_agent searcher",
        "    invoke_agent writer",
    ]
    assert shim.count("agent.invocations", agent="searcher", status="ok") == 2


def test_the_agents_name_is_on_every_model_call_token_and_cost(shim: Any, server: Any) -> None:
    inner = graph_of(searcher=asks(server)).compile(name="research_team")
    client = OpenAI(base_url=server.url, api_key="k", max_retries=0)

    def planner(_: State) -> State:
        client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "x"}]
        )
        return EMPTY

    async def streams(_: State) -> State:
        return {"log": [chunk.text for chunk in chat(server).stream("x")]}

    graph = graph_of(planner=planner, research=inner, writer=streams)
    graph.add_edge("planner", "research")
    graph.add_edge("research", "writer")
    asyncio.run(graph.compile().ainvoke(EMPTY))
    agents = ["planner", "searcher", "writer"]
    calls = shim.spans_named("chat gpt-4o-mini")
    assert sorted(str(span.attributes[AGENT]) for span in calls) == agents
    assert sorted(event.metadata["agent_id"] for event in shim.events_named("llm.called")) == agents
    for metric in ("agent.llm.requests", "agent.llm.tokens", "agent.llm.cost_usd"):
        assert sorted({labels["agent"] for labels in shim.label_sets(metric)}) == agents, metric


def test_command_to_the_parent_graph_is_a_handoff_and_not_an_error(shim: Any) -> None:
    inner = graph_of(lookup=lambda _: Command(goto="support", graph=Command.PARENT)).compile()
    graph = graph_of(billing=inner, support=says("x"))
    graph.compile().invoke(EMPTY)
    assert errors(shim) == []
    assert shim.count("agent.handoff", from_agent="billing", to_agent="support") == 1
    assert {labels["status"] for labels in shim.label_sets("agent.invocations")} == {"ok"}
    assert shim.events_named("turn.finished")[0].metadata["outcome"] == "ok"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_interrupt_is_not_an_error_and_the_resumed_run_links_to_the_first(
    shim: Any, caplog: pytest.LogCaptureFixture, asynchronous: bool
) -> None:
    app = graph_of(approver=lambda _: {"log": [interrupt("go on?")]}).compile(
        checkpointer=InMemorySaver()
    )

    def run(given: Any) -> None:
        asyncio.run(app.ainvoke(given, THREAD)) if asynchronous else app.invoke(given, THREAD)

    with caplog.at_level(logging.DEBUG):
        run(EMPTY)
        run(Command(resume="yes"))
    assert errors(shim) == []
    assert "Midwatch" not in caplog.text
    first, second = shim.spans_named("invoke_workflow LangGraph")
    assert first.attributes["midwatch.run.outcome"] == "interrupted"
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert second.links[0].attributes == {"midwatch.link.kind": "resumes"}
    assert second.attributes["midwatch.run.resumed_trace_id"] == f"{first.context.trace_id:032x}"
    finished = shim.events_named("turn.finished")
    assert [turn.metadata["outcome"] for turn in finished] == ["interrupted", "ok"]
    assert {turn.session_id for turn in finished} == {"t-1"}


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_stop_that_was_set_beforehand_is_an_interrupt_too(shim: Any, where: str) -> None:
    graph = graph_of(writer=says("w"), editor=says("e"))
    graph.add_edge("writer", "editor")
    stops: Any = {"interrupt_before": ["editor"]} if where == "before" else {}
    stops = stops or {"interrupt_after": ["writer"]}
    app = graph.compile(checkpointer=InMemorySaver(), **stops)
    app.invoke(EMPTY, THREAD)
    app.invoke(None, THREAD)
    assert [turn.metadata["outcome"] for turn in shim.events_named("turn.finished")] == [
        "interrupted",
        "ok",
    ]
    first, second = shim.spans_named("invoke_workflow LangGraph")
    assert [link.context.span_id for link in second.links] == [first.context.span_id]


def test_another_turn_of_the_same_thread_is_not_a_resumed_one(shim: Any) -> None:
    app = graph_of(writer=says("w")).compile(checkpointer=InMemorySaver())
    app.invoke(EMPTY, THREAD)
    app.invoke(EMPTY, THREAD)
    assert [len(span.links) for span in shim.spans_named("invoke_workflow LangGraph")] == [0, 0]


def test_checkpoints_are_left_alone_when_the_settings_say_so(
    monkeypatch: pytest.MonkeyPatch, make_shim: Any
) -> None:
    monkeypatch.setenv("MIDWATCH_RESUME_LINKS", "false")
    shim = make_shim()
    app = graph_of(approver=lambda _: {"log": [interrupt("go on?")]}).compile(
        checkpointer=InMemorySaver()
    )
    app.invoke(EMPTY, THREAD)
    assert not any("midwatch" in key for key in app.get_state(THREAD).metadata)
    app.invoke(Command(resume="yes"), THREAD)
    assert not shim.spans_named("invoke_workflow LangGraph")[1].links


def two_steps(server: Any) -> Any:
    model = chat(server)

    def node(_: State) -> State:
        return {"log": [chunk.text for chunk in model.stream("x")]}

    graph = graph_of(monitor=node, config_manager=node)
    graph.add_edge("monitor", "config_manager")
    return graph.compile()


def check_given_up(shim: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert errors(shim) == []
    assert "detach" not in caplog.text
    assert [turn.metadata["outcome"] for turn in shim.events_named("turn.finished")] == [
        "cancelled"
    ]
    assert shim.count("agent.active_turns") == 0
    assert len(shim.spans_named("invoke_workflow LangGraph")) == 1


@pytest.mark.usefixtures("frozen_heap")
@pytest.mark.parametrize("mode", ["values", "updates", "messages", ["updates", "messages"]])
@pytest.mark.parametrize("closed", [False, True])
def test_abandoned_streams_end_their_spans_without_error_and_without_context_warnings(
    shim: Any, server: Any, caplog: pytest.LogCaptureFixture, mode: Any, closed: bool
) -> None:
    stream = two_steps(server).stream(EMPTY, stream_mode=mode, subgraphs=closed)
    next(stream)
    if closed:
        stream.close()
    del stream
    gc.collect()
    check_given_up(shim, caplog)


@pytest.mark.usefixtures("frozen_heap")
@pytest.mark.parametrize("how", ["break", "closed", "elsewhere"])
def test_abandoned_asynchronous_streams_end_their_spans_without_error_and_context_warnings(
    shim: Any, server: Any, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    async def listen() -> None:
        stream: AsyncIterator[Any] = two_steps(server).astream(EMPTY, stream_mode="messages")
        if how == "break":
            async for _ in stream:
                break
        elif how == "closed":
            await anext(stream)
            await stream.aclose()  # type: ignore[attr-defined]
        else:
            # Begun in one task and closed in another.
            await asyncio.create_task(anext(stream))  # type: ignore[arg-type]
            await asyncio.create_task(stream.aclose())  # type: ignore[attr-defined]

    with caplog.at_level(logging.WARNING):
        asyncio.run(listen())
        gc.collect()
    check_given_up(shim, caplog)


def test_cancelled_streams_end_their_spans_without_error_and_without_context_warnings(
    shim: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        waiting = asyncio.Event()

        async def node(_: State) -> State:
            waiting.set()
            await asyncio.sleep(60)
            return EMPTY

        async def listen() -> None:
            async for _ in graph_of(monitor=node).compile().astream(EMPTY):
                pass

        task = asyncio.create_task(listen())
        await waiting.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    check_given_up(shim, caplog)
    assert shim.count("agent.invocations", agent="monitor", status="cancelled") == 1


def test_parallel_branches_and_send_keep_parents(shim: Any, server: Any) -> None:
    node = asks(server)
    graph = graph_of(planner=says("p"), searcher=node, writer=node, worker=node)
    graph.add_edge("planner", "searcher")
    graph.add_edge("planner", "writer")
    graph.add_conditional_edges("writer", lambda _: [Send("worker", EMPTY) for _ in range(3)])
    graph.compile().invoke(EMPTY)
    assert [line for line in shim.tree() if "POST" not in line] == [
        "invoke_workflow LangGraph",
        "  invoke_agent planner",
        *["  invoke_agent searcher", "    chat gpt-4o-mini"],
        *["  invoke_agent writer", "    chat gpt-4o-mini"],
        *["  invoke_agent worker", "    chat gpt-4o-mini"] * 3,
    ]


def test_threads_and_thread_pools_keep_parents(shim: Any, server: Any) -> None:
    model = chat(server)

    def node(_: State) -> State:
        thread = threading.Thread(target=mine, args=(shim,))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: mine(shim), range(2)))
            pool.submit(model.invoke, "x").result()
        return EMPTY

    graph_of(monitor=node).compile().invoke(EMPTY)
    assert parents(shim, "mine") == {"invoke_agent monitor"}
    assert parents(shim, "chat gpt-4o-mini") == {"invoke_agent monitor"}


def test_gathered_tasks_and_async_generators_keep_parents(shim: Any) -> None:
    async def task() -> None:
        await asyncio.sleep(0)
        mine(shim)

    async def items() -> AsyncIterator[int]:
        for number in range(2):
            await asyncio.sleep(0)
            mine(shim)
            yield number

    async def node(_: State) -> State:
        await asyncio.gather(task(), task())
        await asyncio.to_thread(mine, shim)
        async with asyncio.TaskGroup() as group:
            group.create_task(task())
        return {"log": [str(number) async for number in items()]}

    asyncio.run(graph_of(monitor=node).compile().ainvoke(EMPTY))
    assert len(shim.spans_named("mine")) == 6
    assert parents(shim, "mine") == {"invoke_agent monitor"}


def test_a_provider_call_under_a_langchain_call_counts_once(shim: Any, server: Any) -> None:
    graph_of(monitor=asks(server)).compile().invoke(EMPTY)
    assert len(server.requests) == 1
    assert len(shim.spans_named("chat gpt-4o-mini")) == 1
    assert shim.count("agent.llm.requests") == 1
    assert shim.count("agent.llm.tokens", token_type="input") == 1000
    assert len(shim.events_named("llm.called")) == 1
    assert shim.events_named("turn.finished")[0].metadata["llm_calls"] == 1
    assert shim.count("gen_ai.client.token.usage") == 0


def test_the_request_is_below_the_model_call_and_carries_the_trace(shim: Any, server: Any) -> None:
    graph_of(monitor=asks(server)).compile().invoke(EMPTY)
    assert parents(shim, "POST") == {"chat gpt-4o-mini"}
    (headers,) = server.headers
    post = shim.spans["POST"].context
    assert headers["traceparent"] == f"00-{post.trace_id:032x}-{post.span_id:016x}-03"


def test_langgraph_without_langchain_still_works(shim: Any, server: Any) -> None:
    assert find_spec("langchain") is None, "this environment is the one without it"
    graph_of(monitor=asks(server)).compile().invoke(EMPTY)
    assert shim.count("agent.invocations", agent="monitor", status="ok") == 1
    assert shim.count("agent.llm.requests", agent="monitor", status="ok") == 1


def test_5000_label_values_stay_bounded(shim: Any) -> None:
    for number in range(5000):
        shim.recorder.invocation(f"agent-{number}", "ok", 0.1)
    labels = {found["agent"] for found in shim.label_sets("agent.invocations")}
    assert "other" in labels
    assert len(labels) <= 101
    assert shim.count("agent.invocations") == 5000
    assert shim.count("midwatch.label.overflow", label="agent") > 0
