"""Tool calls: who made them and how they ended."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import midwatch
import pytest
from langchain_core.messages import AnyMessage, HumanMessage
from langchain_core.tools import BaseTool, tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, interrupt
from midwatch.instruments.agent_context import current_tool
from opentelemetry.trace import StatusCode
from pydantic import SecretStr

KEY = SecretStr("k")


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


@tool
def look_up(key: str) -> str:
    """Look something up."""
    return f"value of {key}"


def react(server: Any, *tools: BaseTool, node: str = "monitor") -> Any:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key=KEY, max_retries=0)
    bound = model.bind_tools(list(tools))
    graph = StateGraph(State)
    graph.add_node(node, lambda state: {"messages": [bound.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode(list(tools)))
    graph.add_edge(START, node)
    graph.add_conditional_edges(node, tools_condition)
    graph.add_edge("tools", node)
    return graph


def question() -> Any:
    return {"messages": [HumanMessage("hi")]}


def calling(one: BaseTool, arguments: dict[str, Any]) -> Any:
    """A graph with an agent that calls one tool in its own code."""

    def monitor(_: Log) -> Log:
        return {"log": [str(one.invoke(arguments))]}

    graph: Any = StateGraph(Log)
    graph.add_node("monitor", monitor)
    graph.add_edge(START, "monitor")
    return graph


def test_a_tool_node_works_for_the_agent_that_called_it(shim: Any, server: Any) -> None:
    server.will_call("look_up", {"key": "a"})
    react(server, look_up).compile().invoke(question())
    assert [line for line in shim.tree() if "POST" not in line] == [
        "invoke_workflow LangGraph",
        "  invoke_agent monitor",
        "    chat gpt-4o-mini",
        "  execute_tool look_up",
        "  invoke_agent monitor",
        "    chat gpt-4o-mini",
    ]
    span = shim.spans["execute_tool look_up"]
    assert span.attributes["gen_ai.agent.name"] == "monitor"
    assert span.attributes["gen_ai.tool.call.id"] == "call_1"
    assert shim.label_sets("agent.tool.calls") == [
        {"agent": "monitor", "tool": "look_up", "status": "ok"}
    ]
    assert shim.count("agent.tool.latency", agent="monitor", tool="look_up") == 1
    assert len(shim.events_named("tool.started")) == len(shim.events_named("tool.finished")) == 1


def test_a_tool_loop_is_no_handoff(shim: Any, server: Any) -> None:
    server.will_call("look_up", {"key": "a"})
    react(server, look_up).compile().invoke(question())
    assert not shim.events_named("handoff")
    assert not shim.events_named("route.selected")


def failing(error: BaseException) -> BaseTool:
    @tool
    def breaks(key: str) -> str:
        """Break."""
        raise error

    return breaks


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("bad"), "error"),
        (TimeoutError("late"), "timeout"),
        (PermissionError("no"), "denied"),
    ],
)
def test_a_tool_that_raises_ended_as_its_exception_says(
    shim: Any, error: Exception, status: str
) -> None:
    with pytest.raises(type(error)):
        calling(failing(error), {"key": "a"}).compile().invoke({"log": []})
    assert shim.label_sets("agent.tool.calls") == [
        {"agent": "monitor", "tool": "breaks", "status": status}
    ]
    assert shim.spans["execute_tool breaks"].status.status_code is StatusCode.ERROR


def test_a_tool_call_that_waits_for_a_person_is_not_finished(shim: Any) -> None:
    @tool
    def set_mode(mode: str) -> str:
        """Set the mode."""
        return str(interrupt(f"set {mode}?"))

    app = calling(set_mode, {"mode": "strict"}).compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "t-1"}}
    app.invoke({"log": []}, config)
    assert shim.label_sets("agent.tool.calls") == []
    assert shim.spans["execute_tool set_mode"].status.status_code is StatusCode.UNSET
    app.invoke(Command(resume="yes"), config)
    assert shim.count("agent.tool.calls", tool="set_mode", status="ok") == 1


def test_a_graph_that_is_called_as_a_tool_is_an_agent_below_it(shim: Any, server: Any) -> None:
    inner = react(server, look_up, node="model").compile(name="billing_agent")

    @tool
    def ask_billing(text: str) -> str:
        """Ask the billing agent."""
        return str(inner.invoke(question())["messages"][-1].content)

    server.will_call("ask_billing", {"text": "x"})
    react(server, ask_billing, node="supervisor").compile().invoke(question())
    assert [line for line in shim.tree() if "POST" not in line] == [
        "invoke_workflow LangGraph",
        "  invoke_agent supervisor",
        "    chat gpt-4o-mini",
        "  execute_tool ask_billing",
        "    invoke_agent billing_agent",
        "      chat gpt-4o-mini",
        "  invoke_agent supervisor",
        "    chat gpt-4o-mini",
    ]
    assert [event.metadata["agent_id"] for event in shim.events_named("llm.called")] == [
        "supervisor",
        "billing_agent",
        "supervisor",
    ]


def test_a_fact_that_the_application_reports_too_counts_once(shim: Any) -> None:
    @tool
    def reported(key: str) -> str:
        """Look something up, and say so."""
        shim.recorder.tool_call("monitor", "reported", "ok", 0.1, by="hand")
        return key

    calling(reported, {"key": "a"}).compile().invoke({"log": []})
    assert shim.count("agent.tool.calls") == 1


def test_code_inside_of_a_tool_knows_that_its_call_is_recorded(shim: Any, server: Any) -> None:
    around: list[str] = []

    @tool
    def remote_tool(key: str) -> str:
        """Call another program."""
        around.append(current_tool())
        return key

    server.will_call("remote_tool", {"key": "a"})
    react(server, remote_tool).compile().invoke({"messages": [HumanMessage("hi")]})
    with midwatch.tool("by_hand"):
        around.append(current_tool())
    assert around == ["remote_tool", "by_hand"]
    assert current_tool() == ""
