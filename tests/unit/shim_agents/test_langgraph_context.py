"""Spans keep their parents: in nodes, threads, tasks, generators and streams."""

from __future__ import annotations

import asyncio
import gc
import logging
import operator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from openai import DefaultAsyncHttpxClient, OpenAI
from opentelemetry.context import get_current
from opentelemetry.trace import StatusCode, get_current_span
from pydantic import SecretStr

KEY = SecretStr("k")


class State(TypedDict):
    log: Annotated[list[str], operator.add]


EMPTY: State = {"log": []}


def one_node(node: Any) -> Any:
    graph = StateGraph(State)
    graph.add_node("monitor", node)
    graph.add_edge(START, "monitor")
    return graph.compile()


def parent_name(shim: Any, name: str) -> str:
    span = shim.spans[name]
    names = {other.context.span_id: other.name for other in shim.exporter.get_finished_spans()}
    return names[span.parent.span_id] if span.parent else ""


def chat(server: Any, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key=KEY, max_retries=0, **more)


def test_a_span_made_in_a_node_is_below_the_agent(shim: Any) -> None:
    def node(_: State) -> State:
        with shim.tracer.start_as_current_span("mine"):
            return EMPTY

    one_node(node).invoke(EMPTY)
    assert parent_name(shim, "mine") == "invoke_agent monitor"


def test_a_span_made_in_an_asynchronous_node_is_below_the_agent(shim: Any) -> None:
    async def node(_: State) -> State:
        await asyncio.sleep(0)
        with shim.tracer.start_as_current_span("mine"):
            return EMPTY

    asyncio.run(one_node(node).ainvoke(EMPTY))
    assert parent_name(shim, "mine") == "invoke_agent monitor"


def test_a_model_call_inside_of_the_applications_own_span_is_below_it(
    shim: Any, server: Any
) -> None:
    def node(_: State) -> State:
        with shim.tracer.start_as_current_span("mine"):
            chat(server).invoke("hi")
        return EMPTY

    one_node(node).invoke(EMPTY)
    assert parent_name(shim, "chat gpt-4o-mini") == "mine"


def test_a_span_made_in_a_thread_of_a_pool_is_below_the_agent(shim: Any) -> None:
    def work() -> None:
        with shim.tracer.start_as_current_span("mine"):
            pass

    def node(_: State) -> State:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work).result()
        return EMPTY

    one_node(node).invoke(EMPTY)
    assert parent_name(shim, "mine") == "invoke_agent monitor"


def test_a_model_call_in_a_thread_of_a_pool_belongs_to_agent_and_turn(
    shim: Any, server: Any
) -> None:
    client = OpenAI(base_url=server.url, api_key="k", max_retries=0)

    def ask() -> None:
        client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}]
        )

    def node(_: State) -> State:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(ask).result()
        return EMPTY

    one_node(node).invoke(EMPTY, {"configurable": {"thread_id": "t-1"}})
    (called,) = shim.events_named("llm.called")
    assert (called.metadata["agent_id"], called.session_id) == ("monitor", "t-1")
    assert shim.events_named("turn.finished")[0].metadata["llm_calls"] == 1


def test_nodes_that_run_at_once_keep_their_own_model_calls(shim: Any, server: Any) -> None:
    async def run() -> None:
        async with DefaultAsyncHttpxClient() as http:
            model = chat(server, http_async_client=http)

            async def node(_: State) -> State:
                await model.ainvoke("hi")
                return EMPTY

            graph: Any = StateGraph(State)
            for name in ("monitor", "config_manager", "rag_agent"):
                graph.add_node(name, node)
                graph.add_edge(START, name)
            await graph.compile().ainvoke(EMPTY)

    asyncio.run(run())
    assert sorted(event.metadata["agent_id"] for event in shim.events_named("llm.called")) == [
        "config_manager",
        "monitor",
        "rag_agent",
    ]
    for name in ("monitor", "config_manager", "rag_agent"):
        agent = shim.spans[f"invoke_agent {name}"]
        below = [
            span
            for span in shim.spans_named("chat gpt-4o-mini")
            if span.parent.span_id == agent.context.span_id
        ]
        assert len(below) == 1


def test_the_call_to_the_model_carries_the_trace(shim: Any, server: Any) -> None:
    def node(_: State) -> State:
        chat(server).invoke("hi")
        return EMPTY

    one_node(node).invoke(EMPTY)
    (headers,) = server.headers
    span = shim.spans["chat gpt-4o-mini"]
    assert headers["traceparent"].split("-")[1] == f"{span.context.trace_id:032x}"
    assert parent_name(shim, "POST") == "chat gpt-4o-mini"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_call_of_a_stream_carries_the_trace(shim: Any, server: Any, asynchronous: bool) -> None:
    async def listen() -> None:
        async with DefaultAsyncHttpxClient() as http:
            async for _ in chat(server, http_async_client=http).astream("hi"):
                pass

    if asynchronous:
        asyncio.run(listen())
    else:
        list(chat(server).stream("hi"))
    assert parent_name(shim, "POST") == "chat gpt-4o-mini"
    assert "traceparent" in server.headers[0]


def test_what_consumes_a_models_stream_is_not_below_it(shim: Any, server: Any) -> None:
    before = get_current()
    for chunk in chat(server).stream("hi"):
        assert isinstance(chunk, AIMessageChunk)
        assert get_current() == before
    assert get_current() == before


def test_what_consumes_an_asynchronous_stream_of_a_model_is_not_below_it(
    shim: Any, server: Any
) -> None:
    async def listen() -> None:
        async with DefaultAsyncHttpxClient() as http:
            before = get_current()
            async for _ in chat(server, http_async_client=http).astream("hi"):
                assert get_current() == before
            assert get_current() == before

    asyncio.run(listen())


def test_what_consumes_a_graphs_stream_is_not_below_it(shim: Any) -> None:
    for _ in one_node(lambda _: {"log": ["x"]}).stream(EMPTY):
        assert not get_current_span().is_recording()
    assert not get_current_span().is_recording()


def two_steps() -> Any:
    graph = StateGraph(State)
    graph.add_node("monitor", lambda _: {"log": ["m"]})
    graph.add_node("config_manager", lambda _: {"log": ["c"]})
    graph.add_edge(START, "monitor")
    graph.add_edge("monitor", "config_manager")
    return graph.compile()


def check_abandoned(shim: Any) -> None:
    assert [
        span.name
        for span in shim.exporter.get_finished_spans()
        if span.status.status_code is StatusCode.ERROR
    ] == []
    assert shim.events_named("turn.finished")[0].metadata["outcome"] == "cancelled"
    assert shim.count("agent.active_turns") == 0
    assert "invoke_workflow LangGraph" in shim.spans


def test_an_abandoned_stream_is_no_error(shim: Any) -> None:
    stream = two_steps().stream(EMPTY)
    next(stream)
    stream.close()
    check_abandoned(shim)


@pytest.mark.usefixtures("frozen_heap")
def test_an_abandoned_asynchronous_stream_is_no_error(
    shim: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def listen() -> None:
        async for _ in two_steps().astream(EMPTY):
            break

    with caplog.at_level(logging.WARNING):
        asyncio.run(listen())
        gc.collect()
    check_abandoned(shim)
    assert "detach" not in caplog.text


def test_a_cancelled_run_is_no_error(shim: Any) -> None:
    async def main() -> None:
        waiting = asyncio.Event()

        async def node(_: State) -> State:
            waiting.set()
            await asyncio.sleep(60)
            return EMPTY

        task = asyncio.create_task(one_node(node).ainvoke(EMPTY))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    check_abandoned(shim)
    assert shim.count("agent.invocations", status="cancelled") == 1


def test_an_abandoned_stream_of_a_model_is_cancelled(shim: Any, server: Any) -> None:
    stream: Any = chat(server).stream("hi")
    next(stream)
    stream.close()
    assert shim.label_sets("agent.llm.requests")[0]["status"] == "cancelled"
    assert shim.spans["chat gpt-4o-mini"].status.status_code is StatusCode.UNSET


def test_nothing_is_left_open_after_runs_that_end_in_any_way(shim: Any, server: Any) -> None:
    from midwatch.instrumentors.langchain import _hooks

    list(two_steps().stream(EMPTY))
    stream = two_steps().stream(EMPTY)
    next(stream)
    stream.close()
    server.will_fail(500)
    with pytest.raises(Exception, match="no"):
        chat(server).invoke("hi")
    assert _hooks._runs is not None
    assert len(_hooks._runs) == 0
