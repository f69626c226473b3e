from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from langgraph.types import Command


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def graph_with_model(server: Any) -> Any:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key="k", max_retries=0)

    def supervisor(state: State) -> State:
        return {"log": [str(model.invoke("who?").content)]}

    def monitor(state: State) -> State:
        return {"log": [str(model.invoke("what?").content)]}

    graph = StateGraph(State)
    graph.add_node("supervisor", supervisor)
    graph.add_node("monitor", monitor)
    graph.add_edge(START, "supervisor")
    graph.add_conditional_edges("supervisor", lambda _: "m", {"m": "monitor"})
    return graph.compile()


def test_function_nodes_are_agents_and_their_calls_nest(shim: Any, server: Any) -> None:
    graph_with_model(server).invoke({"log": []}, {"configurable": {"thread_id": "t-1"}})
    assert shim.tree() == [
        "invoke_workflow LangGraph",
        "  invoke_agent supervisor",
        "    chat gpt-4o-mini",
        "      POST",
        "  invoke_agent monitor",
        "    chat gpt-4o-mini",
        "      POST",
    ]
