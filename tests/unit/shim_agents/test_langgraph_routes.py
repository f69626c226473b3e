"""What is a route: the choice of a router among agents. All other ways are handoffs or nothing."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command


class State(TypedDict):
    log: Annotated[list[str], operator.add]


Node = Any
EMPTY: State = {"log": []}
SPECIALISTS = ["monitor", "config_manager", "rag_agent"]


def says(name: str) -> Node:
    return lambda _: {"log": [name]}


def goes(name: str, *ways: str) -> Node:
    """A node that goes another way each time it runs, and then to the end."""

    def node(state: State) -> Any:
        ran = state["log"].count(name)
        return Command(goto=ways[ran] if ran < len(ways) else END, update={"log": [name]})

    return node


def plan(name: str, *ways: str) -> Callable[[State], str]:
    """The same as a conditional edge of a node that says its name."""

    def choose(state: State) -> str:
        ran = state["log"].count(name) - 1
        return ways[ran] if ran < len(ways) else END

    return choose


def routes(shim: Any) -> list[str]:
    return [event.metadata["selected_agent"] for event in shim.events_named("route.selected")]


def handoffs(shim: Any) -> list[tuple[str, str]]:
    return [
        (event.metadata["from_agent"], event.metadata["to_agent"])
        for event in shim.events_named("handoff")
    ]


def supervised(*ways: str, back_to: Sequence[str] = ("supervisor", "output_guard")) -> StateGraph:
    """A supervisor behind a guard; its specialists hand back to it."""
    graph = StateGraph(State)
    for name in ("input_guard", "supervisor", *SPECIALISTS, "output_guard"):
        graph.add_node(name, says(name))
    graph.add_edge(START, "input_guard")
    graph.add_conditional_edges("input_guard", lambda _: "supervisor", ["supervisor", END])
    graph.add_conditional_edges(
        "supervisor", plan("supervisor", *ways), [*SPECIALISTS, "output_guard", END]
    )
    for specialist in SPECIALISTS:
        graph.add_conditional_edges(specialist, lambda _: "supervisor", list(back_to))
    graph.add_edge("output_guard", END)
    return graph


def test_only_the_supervisors_choices_are_routes(shim: Any) -> None:
    supervised("monitor", "rag_agent", "output_guard").compile().invoke(EMPTY)
    assert routes(shim) == ["monitor", "rag_agent"]
    assert shim.count("agent.route", selected_agent="supervisor") == 0
    assert handoffs(shim) == [
        ("supervisor", "monitor"),
        ("monitor", "supervisor"),
        ("supervisor", "rag_agent"),
        ("rag_agent", "supervisor"),
    ]


def test_the_supervisor_behind_a_guard_is_the_entry_agent_of_the_turn(shim: Any) -> None:
    supervised("monitor").compile().invoke(EMPTY)
    assert shim.label_sets("agent.turns") == [{"entry_agent": "supervisor", "outcome": "ok"}]


def test_a_specialist_that_may_also_go_to_a_colleague_hands_back_without_a_route(
    shim: Any,
) -> None:
    supervised("config_manager", back_to=("supervisor", "rag_agent")).compile().invoke(EMPTY)
    assert routes(shim) == ["config_manager"]
    assert handoffs(shim)[-1] == ("config_manager", "supervisor")


def test_the_same_specialist_chosen_again_is_a_route_again(shim: Any) -> None:
    supervised("monitor", "monitor").compile().invoke(EMPTY)
    assert routes(shim) == ["monitor", "monitor"]


def test_peers_that_say_where_they_may_go_are_routers_all(shim: Any) -> None:
    def alice(state: State) -> Command[Literal["bob", "carol"]]:
        return goes("alice", "bob")(state)

    def bob(state: State) -> Command[Literal["alice", "carol"]]:
        return goes("bob", "carol")(state)

    def carol(state: State) -> Command[Literal["alice", "bob"]]:
        return goes("carol", "alice")(state)

    graph = StateGraph(State)
    for node in (alice, bob, carol):
        graph.add_node(node)
    graph.add_edge(START, "alice")
    graph.compile().invoke(EMPTY)
    assert routes(shim) == ["bob", "carol", "alice"]
    assert handoffs(shim) == [("alice", "bob"), ("bob", "carol"), ("carol", "alice")]
    assert shim.label_sets("agent.turns") == [{"entry_agent": "alice", "outcome": "ok"}]


def test_peers_that_do_not_say_where_they_may_go_only_hand_back(shim: Any) -> None:
    graph = StateGraph(State)
    graph.add_node("alice", goes("alice", "bob", "carol"))
    graph.add_node("bob", goes("bob", "alice"))
    graph.add_node("carol", goes("carol", "alice"))
    graph.add_edge(START, "alice")
    graph.compile().invoke(EMPTY)
    assert routes(shim) == ["bob", "carol"]
    assert len(handoffs(shim)) == 4


def test_two_peers_have_no_choice_and_hand_over_only(shim: Any) -> None:
    graph = StateGraph(State)
    graph.add_node("alice", goes("alice", "bob"))
    graph.add_node("bob", goes("bob", "alice"))
    graph.add_edge(START, "alice")
    graph.compile().invoke(EMPTY)
    assert (routes(shim), handoffs(shim)) == ([], [("alice", "bob"), ("bob", "alice")])


def test_a_line_of_agents_routes_nothing(shim: Any) -> None:
    graph = StateGraph(State)
    for name in ("planner", "researcher", "writer"):
        graph.add_node(name, says(name))
    graph.add_edge(START, "planner")
    graph.add_edge("planner", "researcher")
    graph.add_conditional_edges("researcher", lambda _: "writer", ["writer", END])
    graph.compile().invoke(EMPTY)
    assert (routes(shim), handoffs(shim)) == ([], [("researcher", "writer")])


def test_choosing_plumbing_is_a_route_where_different_agents_are_behind_it(shim: Any) -> None:
    graph = StateGraph(State)
    for name in ("supervisor", "check_facts", "check_rights", "monitor", "config_manager"):
        graph.add_node(name, says(name))
    graph.add_edge(START, "supervisor")
    checks = ["check_facts", "check_rights"]
    graph.add_conditional_edges("supervisor", lambda _: "check_rights", checks)
    graph.add_edge("check_facts", "monitor")
    graph.add_conditional_edges("check_rights", lambda _: "config_manager", ["config_manager", END])
    graph.compile().invoke(EMPTY)
    assert routes(shim) == ["config_manager"]
    assert handoffs(shim) == [("supervisor", "config_manager")]


@pytest.mark.parametrize(
    ("chooser", "expected"), [("router", ["monitor"]), ("input_guard", []), ("supervisor", [])]
)
def test_of_plumbing_only_a_router_routes(shim: Any, chooser: str, expected: list[str]) -> None:
    destinations = SPECIALISTS if chooser != "supervisor" else ["monitor", END]
    graph = StateGraph(State)
    for name in (chooser, *SPECIALISTS):
        graph.add_node(name, says(name))
    graph.add_edge(START, chooser)
    graph.add_conditional_edges(chooser, lambda _: "monitor", destinations)
    graph.compile().invoke(EMPTY)
    assert routes(shim) == expected


def test_routes_of_an_asynchronous_run_are_the_same(shim: Any) -> None:
    asyncio.run(supervised("monitor").compile().ainvoke(EMPTY))
    assert (routes(shim), len(handoffs(shim))) == (["monitor"], 2)
