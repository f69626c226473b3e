"""The work that every contestant does: a LangGraph graph of four nodes, two model calls, one tool.

Imports nothing but LangGraph, so that it runs in each contestant's own environment.
"""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph

_MESSAGES = 8
_SENTENCE = "The pump in hall {number} ran at {load} per cent from six to nine, says its log. "


class State(TypedDict):
    """What the nodes pass on."""

    messages: Annotated[list[AnyMessage], operator.add]
    found: str


class InstantModel(BaseChatModel):
    """Answers at once, with the usage that a real model reports."""

    model_name: str = "gpt-4o-mini"

    @property
    def _llm_type(self) -> str:
        return "instant"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {"ls_provider": "openai", "ls_model_name": self.model_name, "ls_model_type": "chat"}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._answer()

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._answer()

    def _answer(self) -> ChatResult:
        answer = AIMessage(
            "done",
            usage_metadata={"input_tokens": 500, "output_tokens": 20, "total_tokens": 520},
            response_metadata={"model_name": self.model_name, "finish_reason": "stop"},
        )
        return ChatResult(generations=[ChatGeneration(message=answer)])


@tool
def look_up(key: str) -> str:
    """Look something up."""
    return key


@tool
async def look_up_later(key: str) -> str:
    """Look something up without blocking."""
    return key


def history(size: int) -> list[AnyMessage]:
    """Messages of so many bytes together, of words as people write them."""
    each = size // _MESSAGES
    messages: list[AnyMessage] = []
    for number in range(_MESSAGES):
        text = "".join(_SENTENCE.format(number=number, load=load) for load in range(each // 60 + 1))
        messages.append(HumanMessage(text[:each]))
    return messages


class Workload:
    """The graph, for code that blocks or for code that awaits."""

    def __init__(self, *, is_async: bool) -> None:
        self._loop = asyncio.new_event_loop() if is_async else None
        graph = StateGraph(State)
        for name, node in (_awaiting() if is_async else _blocking()).items():
            graph.add_node(name, node)
        graph.add_edge(START, "supervisor")
        graph.add_conditional_edges("supervisor", lambda _: "monitor", ["monitor"])
        graph.add_edge("monitor", "rag_agent")
        graph.add_edge("rag_agent", "writer")
        self._graph = graph.compile()

    def run(self, messages: list[AnyMessage], times: int, config: dict[str, Any]) -> None:
        """Run the graph so many times, one after the other."""
        given: Any = {"messages": messages, "found": ""}
        graph: Any = self._graph
        if self._loop is None:
            for _ in range(times):
                graph.invoke(given, config)
            return

        async def runs() -> None:
            for _ in range(times):
                await graph.ainvoke(given, config)

        self._loop.run_until_complete(runs())


def _blocking() -> dict[str, Any]:
    model = InstantModel()
    return {
        "supervisor": lambda state: {"messages": [model.invoke(state["messages"])]},
        "monitor": lambda _: {"found": "x"},
        "rag_agent": lambda _: {"found": look_up.invoke({"key": "a"})},
        "writer": lambda state: {"messages": [model.invoke(state["messages"])]},
    }


def _awaiting() -> dict[str, Any]:
    model = InstantModel()

    async def ask(state: State) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    async def monitor(_: State) -> dict[str, Any]:
        return {"found": "x"}

    async def rag_agent(_: State) -> dict[str, Any]:
        return {"found": await look_up_later.ainvoke({"key": "a"})}

    return {"supervisor": ask, "monitor": monitor, "rag_agent": rag_agent, "writer": ask}
