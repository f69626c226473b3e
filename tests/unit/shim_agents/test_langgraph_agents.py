"""Agents that are plain nodes of a graph, and how they hand over to each other."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt
from opentelemetry.trace import StatusCode
from pydantic import SecretStr

KEY = SecretStr("k")


class State(TypedDict):
    log: Annotated[list[str], operator.add]


Node = Any
EMPTY: State = {"log": []}


def says(name: str) -> Node:
    return lambda _: {"log": [name]}


def graph_of(**nodes: Any) -> StateGraph:
    graph = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
    graph.add_edge(START, next(iter(nodes)))
    return graph


def hands_over(shim: Any) -> list[tuple[str, str]]:
    return [
        (event.metadata["from_agent"], event.metadata["to_agent"])
        for event in shim.events_named("handoff")
    ]


def routes(shim: Any) -> list[str]:
    return [event.metadata["selected_agent"] for event in shim.events_named("route.selected")]


def errors(shim: Any) -> list[str]:
    return [
        span.name
        for span in shim.exporter.get_finished_spans()
        if span.status.status_code is StatusCode.ERROR
    ]


def test_function_nodes_are_agents_under_which_model_calls_nest(shim: Any, server: Any) -> None:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key=KEY, max_retries=0)

    def asks(_: State) -> State:
        return {"log": [str(model.invoke("who?").content)]}

    graph = graph_of(supervisor=asks, monitor=asks)
    graph.add_conditional_edges("supervisor", lambda _: "m", {"m": "monitor"})
    graph.compile().invoke(EMPTY, {"configurable": {"thread_id": "t-1"}})
    assert shim.tree() == [
        "invoke_workflow LangGraph",
        "  invoke_agent supervisor",
        "    chat gpt-4o-mini",
        "      POST",
        "  invoke_agent monitor",
        "    chat gpt-4o-mini",
        "      POST",
    ]
    assert [event.metadata["agent_id"] for event in shim.events_named("llm.called")] == [
        "supervisor",
        "monitor",
    ]
    assert shim.count("agent.llm.requests", agent="monitor", status="ok") == 1


def test_every_span_of_a_run_carries_the_conversation(shim: Any) -> None:
    graph = graph_of(monitor=says("m")).compile()
    graph.invoke(EMPTY, {"metadata": {"session_id": "s-9"}})
    assert {
        span.attributes["gen_ai.conversation.id"] for span in shim.exporter.get_finished_spans()
    } == {"s-9"}


def test_a_graph_without_a_turn_opens_one_and_ends_it(shim: Any) -> None:
    graph = graph_of(supervisor=says("s"), monitor=says("m"))
    graph.add_edge("supervisor", "monitor")
    graph.compile().invoke(EMPTY, {"configurable": {"thread_id": "t-1"}})
    (finished,) = shim.events_named("turn.finished")
    assert finished.session_id == "t-1"
    assert finished.metadata["entry_agent"] == "supervisor"
    assert finished.metadata["outcome"] == "ok"
    assert finished.metadata["steps"] == 2
    assert shim.count("agent.turns", entry_agent="supervisor", outcome="ok") == 1
    assert shim.count("agent.active_turns") == 0


def test_a_conditional_edge_routes_and_hands_over(shim: Any) -> None:
    graph = graph_of(supervisor=says("s"), monitor=says("m"), config_manager=says("c"))
    graph.add_conditional_edges(
        "supervisor", lambda _: "conf", {"mon": "monitor", "conf": "config_manager"}
    )
    graph.compile().invoke(EMPTY)
    assert routes(shim) == ["config_manager"]
    assert hands_over(shim) == [("supervisor", "config_manager")]
    assert shim.count("agent.handoff", from_agent="supervisor", to_agent="config_manager") == 1


def test_a_command_routes_and_hands_over(shim: Any) -> None:
    graph = graph_of(
        supervisor=lambda _: Command(goto="monitor", update={"log": ["s"]}),
        monitor=says("m"),
        rag_agent=says("r"),
    )
    graph.compile().invoke(EMPTY)
    assert (routes(shim), hands_over(shim)) == (["monitor"], [("supervisor", "monitor")])


def test_a_fixed_edge_is_no_choice(shim: Any) -> None:
    graph = graph_of(first=says("1"), second=says("2"))
    graph.add_edge("first", "second")
    graph.compile().invoke(EMPTY)
    assert (routes(shim), hands_over(shim)) == ([], [])


def test_choosing_the_end_is_no_handoff(shim: Any) -> None:
    graph = graph_of(supervisor=says("s"), monitor=says("m"))
    graph.add_conditional_edges("supervisor", lambda _: END, ["monitor", END])
    graph.compile().invoke(EMPTY)
    assert (routes(shim), hands_over(shim)) == ([], [])


def test_a_choice_of_plumbing_counts_for_the_agent_behind_it(shim: Any) -> None:
    graph = graph_of(supervisor=says("s"), input_guard=says("g"), monitor=says("m"))
    graph.add_conditional_edges("supervisor", lambda _: "input_guard", ["input_guard"])
    graph.add_edge("input_guard", "monitor")
    graph.compile().invoke(EMPTY)
    assert hands_over(shim) == [("supervisor", "monitor")]
    assert "step input_guard" in shim.spans
    assert shim.count("agent.invocations", agent="input_guard") == 0


def test_an_entry_router_routes_without_a_handoff(shim: Any) -> None:
    graph = StateGraph(State)
    graph.add_node("monitor", says("m"))
    graph.add_node("rag_agent", says("r"))
    graph.add_conditional_edges(START, lambda _: "monitor")
    graph.compile().invoke(EMPTY)
    assert (routes(shim), hands_over(shim)) == (["monitor"], [])


def test_a_fan_out_to_one_agent_is_one_handoff(shim: Any) -> None:
    graph = graph_of(planner=says("p"), worker=says("w"))
    graph.add_conditional_edges("planner", lambda _: [Send("worker", EMPTY) for _ in range(3)])
    graph.compile().invoke(EMPTY)
    assert hands_over(shim) == [("planner", "worker")]
    assert shim.count("agent.invocations", agent="worker", status="ok") == 3


def test_a_command_to_the_parent_graph_is_a_handoff_and_no_error(shim: Any) -> None:
    inner = graph_of(lookup_agent=lambda _: Command(goto="support", graph=Command.PARENT)).compile(
        name="billing_graph"
    )
    graph = graph_of(supervisor=says("s"), billing=inner, support=says("x"))
    graph.add_conditional_edges("supervisor", lambda _: "billing", ["billing"])
    graph.compile().invoke(EMPTY)
    assert errors(shim) == []
    assert hands_over(shim) == [("supervisor", "billing"), ("billing", "support")]
    assert shim.count("agent.invocations", agent="billing", status="ok") == 1
    assert shim.count("agent.invocations") == shim.count("agent.invocations", status="ok")


def test_agents_that_send_the_work_back_and_forth_are_a_loop(shim: Any) -> None:
    def bounce(to: str) -> Node:
        def node(state: State) -> Any:
            return Command(goto=END if len(state["log"]) > 6 else to, update={"log": ["x"]})

        return node

    graph = graph_of(monitor=bounce("config_manager"), config_manager=bounce("monitor"))
    graph.compile().invoke(EMPTY)
    assert shim.count("agent.handoff.loops") > 0
    assert shim.events_named("handoff.loop")


def test_an_agent_handing_over_once_in_many_turns_is_no_loop(shim: Any) -> None:
    graph = graph_of(supervisor=says("s"), monitor=says("m"))
    graph.add_conditional_edges("supervisor", lambda _: "monitor", ["monitor"])
    app = graph.compile()
    for _ in range(5):
        app.invoke(EMPTY)
    assert shim.count("agent.handoff") == 5
    assert shim.count("agent.handoff.loops") == 0


def test_an_interrupt_is_no_error_and_ends_the_turn_as_interrupted(shim: Any) -> None:
    graph = graph_of(approver_agent=lambda _: {"log": [interrupt("go on?")]})
    app = graph.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t-1"}}
    app.invoke(EMPTY, config)
    assert errors(shim) == []
    assert shim.events_named("turn.finished")[0].metadata["outcome"] == "interrupted"
    assert shim.count("agent.invocations", agent="approver_agent", status="interrupted") == 1
    app.invoke(Command(resume="yes"), config)
    assert shim.events_named("turn.finished")[1].metadata["outcome"] == "ok"


def test_an_exception_in_a_node_is_an_error_of_agent_and_turn(shim: Any) -> None:
    def breaks(_: State) -> State:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        graph_of(monitor=breaks).compile().invoke(EMPTY)
    assert errors(shim) == ["invoke_agent monitor", "invoke_workflow LangGraph"]
    assert shim.spans["invoke_agent monitor"].attributes["error.type"] == "builtins.ValueError"
    assert shim.events_named("turn.finished")[0].metadata["outcome"] == "error"


def test_nodes_of_a_subgraph_are_agents_below_the_node_they_belong_to(shim: Any) -> None:
    team = graph_of(searcher=says("s"), summarist=says("w"))
    team.add_edge("searcher", "summarist")
    graph = graph_of(research=team.compile())
    graph.compile().invoke(EMPTY)
    assert shim.tree() == [
        "invoke_workflow LangGraph",
        "  invoke_agent research",
        "    invoke_agent searcher",
        "    invoke_agent summarist",
    ]


def test_the_model_step_of_an_agent_that_is_a_subgraph_is_the_agent_itself(shim: Any) -> None:
    react = graph_of(model=lambda _: {"log": [AIMessage("hi").text]}).compile(name="billing_graph")
    graph_of(billing=react).compile().invoke(EMPTY)
    assert shim.tree() == ["invoke_workflow LangGraph", "  invoke_agent billing"]


def test_an_anonymous_model_step_takes_the_name_of_its_graph(shim: Any) -> None:
    graph_of(agent=says("x")).compile(name="billing_agent").invoke(EMPTY)
    assert "invoke_agent billing_agent" in shim.spans


@pytest.mark.parametrize(
    "node",
    ["tools", "input_guardrail", "route_to_specialist", "gradeDocuments", "human_approval"],
)
def test_a_node_named_for_plumbing_is_no_agent(shim: Any, node: str) -> None:
    graph_of(**{node: says("x")}).compile().invoke(EMPTY)
    assert shim.count("agent.invocations") == 0


@pytest.mark.parametrize("node", ["rag_agent", "toolsmith", "RouterAgent", "supervisor"])
def test_a_node_named_for_an_agent_is_one(shim: Any, node: str) -> None:
    graph_of(**{node: says("x")}).compile().invoke(EMPTY)
    assert shim.count("agent.invocations", agent=node) == 1


def test_the_environment_says_which_nodes_are_agents(
    monkeypatch: pytest.MonkeyPatch, make_shim: Any
) -> None:
    monkeypatch.setenv("MIDWATCH_AGENT_NODES", "router, gate")
    monkeypatch.setenv("MIDWATCH_PLUMBING_NODES", "monitor")
    shim = make_shim()
    graph = graph_of(router=says("r"), monitor=says("m"))
    graph.add_edge("router", "monitor")
    graph.compile().invoke(EMPTY)
    assert shim.label_sets("agent.invocations") == [{"agent": "router", "status": "ok"}]


def test_a_run_in_a_turn_that_is_open_joins_it(shim: Any) -> None:
    from midwatch.instruments.turns import turn

    with turn(session_id="s-1", recorder=shim.recorder):
        graph_of(monitor=says("m")).compile().invoke(EMPTY)
        assert not shim.events_named("turn.finished")
    assert len(shim.events_named("turn.finished")) == 1
    assert shim.events_named("turn.finished")[0].metadata["entry_agent"] == "monitor"
