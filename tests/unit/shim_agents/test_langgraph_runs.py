"""The ways in which LangGraph runs a graph: streamed, kept, tried again, cached, out of time."""

from __future__ import annotations

import asyncio
import operator
import time
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langchain_openai import ChatOpenAI
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy, Command, RetryPolicy, StreamWriter, interrupt
from opentelemetry.trace import StatusCode
from pydantic import SecretStr

KEY = SecretStr("k")
ONCE_MORE = RetryPolicy(initial_interval=0.01, jitter=False, max_attempts=3)
MODES = ["values", "updates", "messages", "custom", "debug", "tasks", "checkpoints"]


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


def invocations(shim: Any) -> list[tuple[str, str, float]]:
    return sorted(
        (labels["agent"], labels["status"], shim.count("agent.invocations", **labels))
        for labels in shim.label_sets("agent.invocations")
    )


def team(server: Any) -> Any:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key=KEY, max_retries=0)

    def searcher(_: State, writer: StreamWriter) -> State:
        writer("half")
        return {"log": [str(model.invoke("x").content)]}

    inner = graph_of(searcher=searcher).compile(name="research_team")
    graph = graph_of(boss=says("b"), research=inner)
    graph.add_conditional_edges("boss", lambda _: "research", ["research", END])
    return graph.compile()


TEAM = [
    "invoke_workflow LangGraph",
    "  invoke_agent boss",
    "  invoke_agent research",
    "    invoke_agent searcher",
    "      chat gpt-4o-mini",
]


def check_team(shim: Any) -> None:
    assert [line for line in shim.tree() if "POST" not in line] == TEAM
    assert [event.metadata["to_agent"] for event in shim.events_named("handoff")] == ["research"]
    assert shim.events_named("turn.finished")[0].metadata["steps"] == 3
    assert shim.count("agent.llm.requests", agent="searcher", status="ok") == 1


@pytest.mark.parametrize("mode", [*MODES, MODES])
@pytest.mark.parametrize("subgraphs", [False, True])
def test_each_mode_of_streaming_shows_the_same_run(
    shim: Any, server: Any, mode: Any, subgraphs: bool
) -> None:
    list(team(server).stream(EMPTY, THREAD, stream_mode=mode, subgraphs=subgraphs))
    check_team(shim)


def test_asynchronous_streams_show_the_same_run(shim: Any, server: Any) -> None:
    async def listen() -> None:
        async for _ in team(server).astream(EMPTY, THREAD, stream_mode=MODES, subgraphs=True):
            pass

    asyncio.run(listen())
    check_team(shim)


def test_a_stream_of_events_shows_the_same_run(shim: Any, server: Any) -> None:
    async def listen() -> list[str]:
        events = team(server).astream_events(EMPTY, THREAD, version="v2")
        return [event["event"] async for event in events]

    assert "on_chat_model_end" in asyncio.run(listen())
    check_team(shim)


def test_a_graph_in_batch_is_a_turn_each_time(shim: Any) -> None:
    graph_of(monitor=says("m")).compile().batch([EMPTY, EMPTY, EMPTY])
    assert shim.count("agent.turns", entry_agent="monitor", outcome="ok") == 3
    assert len({span.context.trace_id for span in shim.spans_named("invoke_agent monitor")}) == 3


def failing(times: int, error: Callable[[], Exception] = ConnectionError) -> Any:
    left = [times]

    def node(_: State) -> State:
        left[0] -= 1
        if left[0] >= 0:
            raise error()
        return {"log": ["x"]}

    return node


def tried(times: int) -> Any:
    graph: Any = StateGraph(State)
    graph.add_node("monitor", failing(times), retry_policy=ONCE_MORE)
    graph.add_edge(START, "monitor")
    return graph.compile()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_node_that_is_tried_again_is_one_invocation_with_its_attempts_visible(
    shim: Any, asynchronous: bool
) -> None:
    app = tried(2)
    asyncio.run(app.ainvoke(EMPTY)) if asynchronous else app.invoke(EMPTY)
    spans = shim.spans_named("invoke_agent monitor")
    attempts = [span.attributes.get("midwatch.run.attempt") for span in spans]
    assert attempts == [None, 2, 3]
    assert [span.status.status_code for span in spans] == [
        *[StatusCode.ERROR] * 2,
        StatusCode.UNSET,
    ]
    assert invocations(shim) == [("monitor", "ok", 1)]
    assert shim.events_named("turn.finished")[0].metadata["steps"] == 1
    assert shim.events_named("turn.finished")[0].metadata["outcome"] == "ok"


def test_a_node_that_fails_at_every_attempt_is_one_failed_invocation(shim: Any) -> None:
    with pytest.raises(ConnectionError):
        tried(9).invoke(EMPTY)
    assert invocations(shim) == [("monitor", "error", 1)]
    assert len(shim.spans_named("invoke_agent monitor")) == 3


def test_an_invocation_lasts_from_its_first_attempt_on(shim: Any) -> None:
    started = time.perf_counter()
    tried(2).invoke(EMPTY)
    took = time.perf_counter() - started
    (point,) = shim._points("agent.invocation.latency")
    assert 0.03 <= point.sum <= took


def test_a_failure_beside_which_the_graph_goes_on_is_still_counted(shim: Any) -> None:
    async def slow(_: State) -> State:
        await asyncio.sleep(60)
        return EMPTY

    graph = graph_of(planner=says("p"), breaker=failing(1), sleeper=slow)
    graph.add_edge("planner", "breaker")
    graph.add_edge("planner", "sleeper")
    with pytest.raises(ConnectionError):
        asyncio.run(graph.compile().ainvoke(EMPTY))
    assert invocations(shim) == [
        ("breaker", "error", 1),
        ("planner", "ok", 1),
        ("sleeper", "cancelled", 1),
    ]


def test_a_node_that_takes_longer_than_it_may_is_a_failed_invocation(shim: Any) -> None:
    async def slow(_: State) -> State:
        await asyncio.sleep(60)
        return EMPTY

    graph: Any = StateGraph(State)
    graph.add_node("monitor", slow, timeout=0.02)
    graph.add_edge(START, "monitor")
    with pytest.raises(Exception, match="timeout"):
        asyncio.run(graph.compile().ainvoke(EMPTY))
    assert invocations(shim) == [("monitor", "error", 1)]
    workflow = shim.spans["invoke_workflow LangGraph"]
    assert workflow.attributes["error.type"] == "langgraph.errors.NodeTimeoutError"


def test_a_step_that_takes_longer_than_it_may_gives_its_nodes_up(shim: Any) -> None:
    async def slow(_: State) -> State:
        await asyncio.sleep(60)
        return EMPTY

    app = graph_of(monitor=slow).compile()
    app.step_timeout = 0.02
    with pytest.raises(TimeoutError):
        asyncio.run(app.ainvoke(EMPTY))
    assert invocations(shim) == [("monitor", "cancelled", 1)]
    assert shim.events_named("turn.finished")[0].metadata["outcome"] == "error"


def test_a_node_that_a_cache_answers_for_is_no_invocation(shim: Any) -> None:
    graph: Any = StateGraph(State)
    graph.add_node("monitor", says("m"), cache_policy=CachePolicy())
    graph.add_node("writer", says("w"))
    graph.add_edge(START, "monitor")
    graph.add_edge("monitor", "writer")
    app = graph.compile(cache=InMemoryCache())
    app.invoke(EMPTY)
    app.invoke(EMPTY)
    assert invocations(shim) == [("monitor", "ok", 1), ("writer", "ok", 2)]
    assert shim.count("agent.turns", outcome="ok") == 2
    assert len(shim.spans_named("invoke_agent monitor")) == 1
    cached, answered = (span.context.trace_id for span in shim.spans_named("invoke_agent writer"))
    assert cached != answered
    assert [event.metadata["steps"] for event in shim.events_named("turn.finished")] == [2, 1]


def test_a_deferred_node_is_handed_over_to_when_it_runs(shim: Any) -> None:
    graph = graph_of(planner=says("p"), quick=says("q"), long=says("l"), longer=says("r"))
    graph.add_node("writer", says("w"), defer=True)
    graph.add_edge("planner", "quick")
    graph.add_edge("planner", "long")
    graph.add_edge("long", "longer")
    graph.add_conditional_edges("quick", lambda _: "writer", ["writer"])
    graph.add_edge("longer", "writer")
    graph.compile().invoke(EMPTY)
    handoffs = [event.metadata for event in shim.events_named("handoff")]
    assert [(one["from_agent"], one["to_agent"]) for one in handoffs] == [("quick", "writer")]
    assert invocations(shim)[-1] == ("writer", "ok", 1)


def test_a_graph_that_would_not_end_is_an_error_and_its_loop_is_told(shim: Any) -> None:
    graph = graph_of(monitor=says("m"), writer=says("w"))
    graph.add_edge("monitor", "writer")
    graph.add_edge("writer", "monitor")
    with pytest.raises(GraphRecursionError):
        graph.compile().invoke(EMPTY, {"recursion_limit": 7})
    assert shim.events_named("turn.finished")[0].metadata["outcome"] == "error"
    (told,) = shim.events_named("handoff.loop")
    assert told.metadata == {"from_agent": "monitor", "to_agent": "writer", "repeats": 3}
    assert shim.count("agent.handoff.loops", from_agent="monitor", to_agent="writer") == 1
    assert shim.count("agent.handoff") == 0


def test_an_agent_that_calls_on_itself_without_end_is_a_loop_told_once(shim: Any) -> None:
    endless = graph_of(monitor=says("m"))
    endless.add_edge("monitor", "monitor")
    inner = endless.compile()

    def boss(state: State) -> State:
        return EMPTY if not state["log"] else inner.invoke(EMPTY)

    graph = graph_of(planner=boss, boss=boss, writer=lambda _: {"log": ["x"]})
    graph.add_edge("planner", "writer")
    graph.add_edge("writer", "boss")
    with pytest.raises(GraphRecursionError):
        graph.compile().invoke(EMPTY, {"recursion_limit": 5})
    assert shim.label_sets("agent.handoff.loops") == [
        {"from_agent": "monitor", "to_agent": "monitor"}
    ]
    assert shim.count("agent.handoff.loops") == 1


@pytest.mark.parametrize("where", ["root", "node"])
def test_a_named_graph_of_nothing_but_model_and_tools_is_one_agent(shim: Any, where: str) -> None:
    graph = graph_of(model=says("m"), tools=says("t"))
    graph.add_edge("model", "tools")
    app = graph.compile(name="billing_agent")
    (app if where == "root" else graph_of(caller=lambda _: app.invoke(EMPTY)).compile()).invoke(
        EMPTY
    )
    if where == "root":
        assert shim.tree() == ["invoke_workflow billing_agent", "  invoke_agent billing_agent"]
        assert invocations(shim) == [("billing_agent", "ok", 1)]
        assert shim.events_named("turn.finished")[0].metadata["entry_agent"] == "billing_agent"
    else:
        assert shim.tree() == ["invoke_workflow LangGraph", "  invoke_agent caller"]


def test_an_agent_that_is_a_graph_fails_and_waits_as_one(shim: Any) -> None:
    graph = graph_of(model=failing(1), tools=lambda _: {"log": [interrupt("go on?")]})
    graph.add_edge("model", "tools")
    app = graph.compile(name="billing_agent", checkpointer=InMemorySaver())
    with pytest.raises(ConnectionError):
        app.invoke(EMPTY, THREAD)
    app.invoke(EMPTY, {"configurable": {"thread_id": "t-2"}})
    assert invocations(shim) == [("billing_agent", "error", 1), ("billing_agent", "interrupted", 1)]
    assert shim.spans_named("invoke_agent billing_agent")[0].status.status_code is StatusCode.ERROR


def test_a_workflow_that_is_a_function_shows_its_tasks_and_agents(shim: Any) -> None:
    fails = [True]

    @task
    def load(number: int) -> int:
        return number + 1

    tried_again: Any = task(retry_policy=ONCE_MORE)

    @tried_again
    def billing_agent(number: int) -> int:
        if fails and fails.pop():
            raise ConnectionError
        return number + 1

    @entrypoint(checkpointer=InMemorySaver())
    def support_agent(number: int) -> int:
        found: int = billing_agent(load(number).result()).result()
        interrupt("go on?")
        return found

    assert "__interrupt__" in support_agent.invoke(1, THREAD)
    assert shim.tree() == [
        "invoke_workflow LangGraph",
        "  invoke_agent support_agent",
        "    step load",
        "    invoke_agent billing_agent",
        "    invoke_agent billing_agent",
    ]
    assert support_agent.invoke(Command(resume="yes"), THREAD) == 3
    assert invocations(shim) == [
        ("billing_agent", "ok", 1),
        ("support_agent", "interrupted", 1),
        ("support_agent", "ok", 1),
    ]
    first, second = shim.spans_named("invoke_workflow LangGraph")
    assert [link.context.span_id for link in second.links] == [first.context.span_id]


def test_an_asynchronous_workflow_that_is_a_function_shows_the_same(shim: Any) -> None:
    @task
    async def writer_agent(number: int) -> int:
        return number + 1

    @entrypoint()
    async def support_agent(number: int) -> list[int]:
        return list(await asyncio.gather(writer_agent(number), writer_agent(number)))

    assert asyncio.run(support_agent.ainvoke(1)) == [2, 2]
    assert invocations(shim) == [("support_agent", "ok", 1), ("writer_agent", "ok", 2)]


def test_the_state_of_a_thread_that_a_person_edits_is_no_turn(shim: Any) -> None:
    app = graph_of(monitor=says("m")).compile(checkpointer=InMemorySaver())
    app.invoke(EMPTY, THREAD)
    before = len(shim.exporter.get_finished_spans())
    app.update_state(THREAD, {"log": ["edited"]})
    assert app.get_state(THREAD).values["log"] == ["m", "edited"]
    assert len(shim.exporter.get_finished_spans()) == before
    assert shim.count("agent.turns") == 1


@pytest.mark.parametrize("key", ["thread_id", "session_id", "conversation_id"])
def test_the_session_and_the_hashed_user_are_read_off_the_metadata(shim: Any, key: str) -> None:
    app = graph_of(monitor=says("m")).compile()
    app.invoke(EMPTY, {"metadata": {key: "s-1", "user_id": "jo@example.org"}})
    app.invoke(EMPTY, {"metadata": {key: "s-2", "user": "jo@example.org"}})
    assert [turn.session_id for turn in shim.events_named("turn.finished")] == ["s-1", "s-2"]
    spans = shim.spans_named("invoke_workflow LangGraph")
    (hashed,) = {span.attributes["user.hash"] for span in spans}
    assert len(str(hashed)) == 32
    shown = [span.to_json() for span in shim.exporter.get_finished_spans()]
    assert not any("example.org" in text for text in shown)
    assert not any("example.org" in str(event) for event in shim.events)
