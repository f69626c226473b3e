"""LangGraph as its own environment has it."""

from __future__ import annotations

from typing import TypedDict

import langgraph.graph as graphs


class State(TypedDict):
    question: str


def test_a_graph_is_a_turn_in_the_environment_of_its_own(seen, states):
    graph = graphs.StateGraph(State)
    graph.add_node("billing_agent", lambda state: state)
    graph.add_edge(graphs.START, "billing_agent")
    graph.compile().invoke({"question": "why"})
    assert states["langchain"] == "active"
    assert seen.count("agent.turns", outcome="ok") == 1
    assert seen.count("agent.invocations", agent="billing_agent") == 1
