"""`create_agent`, `langgraph-supervisor` and `langgraph-swarm` as their users have them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, PIIMiddleware
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command
from langgraph_supervisor import create_supervisor
from langgraph_swarm import create_handoff_tool, create_swarm
from opentelemetry.trace import StatusCode

USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
THREAD: Any = {"configurable": {"thread_id": "t-1"}}
QUESTION: Any = {"messages": [("human", "why?")]}


class Scripted(BaseChatModel):
    """Says what it was told to, one answer after the other."""

    answers: list[Any]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {"ls_provider": "openai", "ls_model_name": "gpt-4o-mini"}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        answer = self.answers.pop(0)
        calls = [] if isinstance(answer, str) else [answer]
        message = AIMessage(
            "" if calls else answer,
            tool_calls=[{"id": f"call-{len(messages)}", **call} for call in calls],
            usage_metadata=USAGE,
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def says(*answers: Any) -> Scripted:
    return Scripted(answers=list(answers))


def calls(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "args": arguments}


@tool
def look_up(key: str) -> str:
    """Look something up."""
    return f"value of {key}"


def errors(seen: Any) -> list[str]:
    return [span.name for span in seen.spans() if span.status.status_code is StatusCode.ERROR]


REACT = [
    "invoke_agent billing_agent",
    "  chat gpt-4o-mini",
    "  execute_tool look_up",
    "  chat gpt-4o-mini",
]


def agent(*answers: Any, tools: Any = (look_up,), **more: Any) -> Any:
    return create_agent(says(*answers), list(tools), name="billing_agent", **more)


def below(lines: list[str], depth: int = 1) -> list[str]:
    return ["  " * depth + line for line in lines]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_agent_of_create_agent_is_one_agent(seen: Any, asynchronous: bool) -> None:
    app = agent(calls("look_up", key="a"), "done")
    asyncio.run(app.ainvoke(QUESTION, THREAD)) if asynchronous else app.invoke(QUESTION, THREAD)
    assert seen.tree() == ["invoke_workflow billing_agent", *below(REACT)]
    assert seen.labels("agent.invocations") == [{"agent": "billing_agent", "status": "ok"}]
    assert seen.count("agent.tool.calls", agent="billing_agent", tool="look_up", status="ok") == 1
    assert seen.count("agent.llm.requests", agent="billing_agent") == 2
    assert seen.count("agent.llm.tokens", agent="billing_agent", token_type="input") == 20


def test_an_agent_of_create_agent_may_be_a_node(seen: Any) -> None:
    graph: Any = StateGraph(MessagesState)
    graph.add_node("billing", agent(calls("look_up", key="a"), "done"))
    graph.add_edge(START, "billing")
    graph.compile().invoke(QUESTION)
    assert {labels["agent"] for labels in seen.labels("agent.invocations")} == {"billing"}
    assert seen.count("agent.llm.requests", agent="billing") == 2


def test_an_agent_of_create_agent_may_be_called_inside_of_a_node(seen: Any) -> None:
    inner = agent("done", tools=())

    def boss(_: MessagesState) -> Any:
        return {"messages": inner.invoke(QUESTION)["messages"][-1:]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("boss", boss)
    graph.add_edge(START, "boss")
    graph.compile().invoke(QUESTION)
    assert seen.count("agent.llm.requests") == 1
    assert not errors(seen)


def test_middleware_is_no_agent(seen: Any) -> None:
    app = agent("done", tools=(), middleware=[PIIMiddleware("email", strategy="redact")])
    app.invoke({"messages": [("human", "I am jo@example.org")]})
    assert {labels["agent"] for labels in seen.labels("agent.invocations")} == {"billing_agent"}


def test_an_agent_that_waits_for_approval_is_interrupted_and_links_on(seen: Any) -> None:
    app = agent(
        calls("look_up", key="a"),
        "done",
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"look_up": True})],
        checkpointer=InMemorySaver(),
    )
    app.invoke(QUESTION, THREAD)
    app.invoke(Command(resume={"decisions": [{"type": "approve"}]}), THREAD)
    assert not errors(seen)
    first, second = seen.spans("invoke_workflow billing_agent")
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert seen.count("agent.turns", outcome="interrupted") == 1
    assert seen.count("agent.turns", outcome="ok") == 1
    assert seen.count("agent.tool.calls", tool="look_up") == 1


@pytest.mark.filterwarnings("ignore:create_react_agent:DeprecationWarning")
def test_a_supervisor_of_langgraph_supervisor_routes_and_hands_over(seen: Any) -> None:
    math = create_agent(says("4"), [], name="math_expert")
    poet = create_agent(says("a rose"), [], name="poetry_expert")
    app = create_supervisor(
        [math, poet],
        model=says(
            calls("transfer_to_math_expert"), calls("transfer_to_poetry_expert"), "4 and a rose"
        ),
    ).compile()
    app.invoke(QUESTION, THREAD)
    assert not errors(seen)
    ways = [(one["from_agent"], one["to_agent"]) for one in seen.labels("agent.handoff")]
    assert sorted(ways) == [
        ("supervisor", "math_expert"),
        ("supervisor", "poetry_expert"),
    ]
    assert {labels["selected_agent"] for labels in seen.labels("agent.route")} == {
        "math_expert",
        "poetry_expert",
    }
    assert seen.count("agent.turns", entry_agent="supervisor", outcome="ok") == 1
    for name, requests in (("supervisor", 3), ("math_expert", 1), ("poetry_expert", 1)):
        assert seen.count("agent.llm.requests", agent=name) == requests, name


def test_agents_of_langgraph_swarm_hand_over_to_each_other(seen: Any) -> None:
    alice = create_agent(
        says(calls("transfer_to_bob"), "hi again"),
        [create_handoff_tool(agent_name="Bob")],
        name="Alice",
    )
    bob = create_agent(
        says("ahoy", calls("transfer_to_alice")),
        [create_handoff_tool(agent_name="Alice")],
        name="Bob",
    )
    app = create_swarm([alice, bob], default_active_agent="Alice").compile(
        checkpointer=InMemorySaver()
    )
    app.invoke(QUESTION, THREAD)
    app.invoke(QUESTION, THREAD)
    assert not errors(seen)
    ways = [(one["from_agent"], one["to_agent"]) for one in seen.labels("agent.handoff")]
    assert sorted(ways) == [("Alice", "Bob"), ("Bob", "Alice")]
    assert seen.count("agent.llm.requests", agent="Alice") == 2
    assert seen.count("agent.llm.requests", agent="Bob") == 2
    assert seen.count("agent.turns", entry_agent="Alice") == 1
    assert seen.count("agent.turns", entry_agent="Bob") == 1
