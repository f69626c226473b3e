"""What people report of other packages that trace agents, and does not happen here.

Each test names the reports that it answers; what other files show already is not repeated.
"""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from openai import AsyncOpenAI, OpenAI
from opentelemetry.trace import StatusCode, get_current_span
from pydantic import SecretStr

KEY = SecretStr("k")
State = dict[str, Any]


def graph_of(name: str, **nodes: Any) -> Any:
    """A graph whose nodes run one after the other."""
    graph: StateGraph[Any, Any, Any, Any] = StateGraph(State)
    last = START
    for node, function in nodes.items():
        graph.add_node(node, function)
        graph.add_edge(last, node)
        last = node
    return graph.compile(name=name)


def chat(server: Any, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key=KEY, max_retries=0, **more)


def tree(shim: Any) -> list[str]:
    return [line for line in shim.tree() if "POST" not in line]


def traces(shim: Any) -> int:
    return len({span.context.trace_id for span in shim.exporter.get_finished_spans()})


def test_graphs_that_a_graph_calls_at_once_are_below_it_each_with_its_model_calls(
    shim: Any, server: Any
) -> None:
    # langfuse#8854, #8780, opentelemetry-python-genai#513, openinference#2190
    async def ask(_: State) -> State:
        await chat(server).ainvoke("why?")
        return {}

    inner = graph_of("inner", researcher=ask)

    async def call(_: State) -> State:
        await asyncio.gather(*(inner.ainvoke({}) for _ in range(3)))
        return {}

    asyncio.run(graph_of("outer", planner=call).ainvoke({}))
    branch = ["    invoke_agent researcher", "      chat gpt-4o-mini"]
    assert sorted(tree(shim)) == sorted(
        ["invoke_workflow outer", "  invoke_agent planner", *branch * 3]
    )
    assert traces(shim) == 1


def test_blocking_nodes_of_an_asynchronous_run_keep_their_parents(shim: Any, server: Any) -> None:
    # opentelemetry-python-genai#513, openllmetry#2271
    def ask(_: State) -> State:
        chat(server).invoke("why?")
        return {}

    asyncio.run(graph_of("helpdesk", writer=ask, editor=ask).ainvoke({}))
    assert tree(shim) == [
        "invoke_workflow helpdesk",
        "  invoke_agent writer",
        "    chat gpt-4o-mini",
        "  invoke_agent editor",
        "    chat gpt-4o-mini",
    ]


def test_the_agents_span_is_the_current_one_in_a_stream_of_events(shim: Any) -> None:
    # openinference#1304, phoenix#8012
    seen: list[str] = []

    async def node(_: State) -> State:
        seen.append(getattr(get_current_span(), "name", ""))
        return {}

    async def listen() -> None:
        async for _ in graph_of("helpdesk", writer=node).astream_events({}, version="v2"):
            """Whoever listens has no part in it."""

    asyncio.run(listen())
    assert seen == ["invoke_agent writer"]


def test_agents_that_a_node_begins_as_tasks_are_in_its_trace(shim: Any, server: Any) -> None:
    # langchain-azure#290
    async def worker() -> None:
        await chat(server).ainvoke("why?")

    async def plan(_: State) -> State:
        await asyncio.gather(asyncio.create_task(worker()), asyncio.create_task(worker()))
        return {}

    asyncio.run(graph_of("team", planner=plan).ainvoke({}))
    assert traces(shim) == 1
    assert shim.count("agent.llm.requests", agent="planner") == 2


def test_runs_that_follow_each_other_in_one_task_are_traces_of_their_own(shim: Any) -> None:
    # braintrust-sdk-python#621, langfuse#10163
    async def work() -> None:
        graph = graph_of("helpdesk", writer=lambda _: {})
        for _ in range(3):
            await graph.ainvoke({})

    asyncio.run(work())
    assert tree(shim) == ["invoke_workflow helpdesk", "  invoke_agent writer"] * 3
    assert traces(shim) == 3


def test_a_graph_is_below_the_applications_span_around_it(shim: Any) -> None:
    # langfuse#10721, mlflow#18216
    with shim.tracer.start_as_current_span("pipeline"):
        graph_of("helpdesk", writer=lambda _: {}).invoke({})
        asyncio.run(graph_of("later", writer=lambda _: {}).ainvoke({}))
    assert tree(shim) == [
        "pipeline",
        "  invoke_workflow helpdesk",
        "    invoke_agent writer",
        "  invoke_workflow later",
        "    invoke_agent writer",
    ]


def test_a_stream_of_events_still_has_every_chunk_of_the_model(shim: Any, server: Any) -> None:
    # mlflow#14533, openllmetry#165
    async def ask(_: State) -> State:
        await chat(server).ainvoke("why?")
        return {}

    async def heard() -> list[str]:
        events = graph_of("helpdesk", writer=ask).astream_events({}, version="v2")
        return [
            event["data"]["chunk"].text
            async for event in events
            if event["event"] == "on_chat_model_stream"
        ]

    assert "".join(asyncio.run(heard())).split() == ["hello", "there", "friend"]


def test_a_result_that_no_json_holds_ends_its_spans(make_shim: Any) -> None:
    # openllmetry#2775
    shim = make_shim()
    graph = graph_of("helpdesk", writer=lambda _: {"at": datetime.now(UTC), "lock": object})
    graph.invoke({})
    assert tree(shim) == ["invoke_workflow helpdesk", "  invoke_agent writer"]


def test_runs_leave_no_threads_behind(shim: Any, server: Any) -> None:
    # langfuse#2974, langsmith-sdk#2009
    model = chat(server)
    model.invoke("why?")
    before = threading.active_count()
    for _ in range(10):
        graph_of("helpdesk", writer=lambda _: {}).invoke({})
    assert threading.active_count() <= before


@pytest.mark.parametrize("how", ["closed", "left", "dropped"])
def test_a_clients_stream_that_is_left_early_is_a_call_with_a_span(
    shim: Any, server: Any, how: str
) -> None:
    # openlit#1454, #1460, #1615, #1619
    server.will_say("a b c d e f")
    client = OpenAI(base_url=server.url, api_key="k", max_retries=0)
    asked: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "why?"}]}
    if how == "left":
        with client.chat.completions.create(stream=True, **asked) as stream:
            next(iter(stream))
    else:
        stream = client.chat.completions.create(stream=True, **asked)
        next(iter(stream))
        if how == "closed":
            stream.close()
        del stream
    (span,) = shim.spans_named("chat gpt-4o-mini")
    assert span.status.status_code is not StatusCode.ERROR
    assert "error.type" not in span.attributes
    assert shim.count("agent.llm.requests") == 1
    assert shim.count("agent.llm.requests", status="error") == 0


def test_an_asynchronous_clients_stream_that_is_left_early_is_a_call_with_a_span(
    shim: Any, server: Any
) -> None:
    # openlit#1603, #1545
    server.will_say("a b c d e f")

    async def listen() -> None:
        client = AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0)
        async with (
            client,
            await client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "why?"}], stream=True
            ) as stream,
        ):
            async for _ in stream:
                break

    asyncio.run(listen())
    (span,) = shim.spans_named("chat gpt-4o-mini")
    assert span.status.status_code is not StatusCode.ERROR


def test_cached_tokens_are_part_of_the_input_and_are_added_to_nothing(
    shim: Any, server: Any
) -> None:
    # langfuse#5568, #10592, #12306
    chat(server).invoke("why?")
    (called,) = shim.events_named("llm.called")
    told = called.metadata
    assert (told["prompt_tokens"], told["cache_read_tokens"]) == (1000, 400)
    assert told["total_tokens"] == 1500
    assert shim.count("agent.llm.tokens", token_type="input") == 1000


def test_a_handler_of_the_application_that_fails_spoils_no_span(shim: Any, server: Any) -> None:
    # openllmetry#3256: what goes wrong beside us ends neither the run nor its spans.
    class Broken(BaseCallbackHandler):
        def on_chain_start(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("broken")

        def on_llm_end(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("broken")

    answer = (RunnableLambda(str) | chat(server)).invoke("why?", {"callbacks": [Broken()]})
    assert isinstance(answer, AIMessage)
    assert tree(shim) == ["invoke_workflow RunnableSequence", "  chat gpt-4o-mini"]
