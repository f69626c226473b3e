"""The nodes of the workflow: each asks the model, and falls back on a rule when that fails."""

from __future__ import annotations

import logging
import operator
from typing import Annotated, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from retail_simulation.agents.answers import UnusableAnswerError, read_decision, read_plan
from retail_simulation.agents.prompts import (
    ORCHESTRATOR_PROMPT,
    event_text,
    event_text_with_messages,
    specialist_prompt,
)
from retail_simulation.agents.tools import ChainTools
from retail_simulation.conflicts import settle
from retail_simulation.models import (
    AgentDecision,
    AgentMessage,
    AgentName,
    Conflict,
    TriggerEvent,
)
from retail_simulation.rules import rule_based_decision, usual_participants

MOST_TOOL_ROUNDS = 3

logger = logging.getLogger(__name__)


class WorkflowState(TypedDict, total=False):
    """What the nodes share during one workflow."""

    event: TriggerEvent
    participants: tuple[AgentName, ...]
    decisions: Annotated[list[AgentDecision], operator.add]
    agent_messages: Annotated[list[AgentMessage], operator.add]
    conflicts: list[Conflict]
    accepted: list[AgentDecision]


class Orchestrator:
    """Chooses which agents deal with an event."""

    def __init__(self, model: BaseChatModel) -> None:
        self._model = model

    async def __call__(self, state: WorkflowState) -> WorkflowState:
        """Return the participants: the model's choice, or the usual ones when it gives none."""
        event = state["event"]
        prompt = [SystemMessage(ORCHESTRATOR_PROMPT), HumanMessage(event_text(event))]
        try:
            answer = await self._model.ainvoke(prompt)
            return {"participants": read_plan(answer.text)}
        except Exception as error:  # a provider's client may raise anything; work must go on
            _log_fallback(AgentName.ORCHESTRATOR, event, error)
            return {"participants": usual_participants(event.type)}


class Specialist:
    """One of the agents that decide. It looks with its tools, decides and tells colleagues."""

    def __init__(self, agent: AgentName, model: BaseChatModel, tools: ChainTools) -> None:
        self._agent = agent
        self._tools = {tool.name: tool for tool in tools.of(agent)}
        self._model = model.bind_tools(list(self._tools.values()))

    async def __call__(self, state: WorkflowState) -> WorkflowState:
        """Return one decision, the model's or a rule's, and the messages that go with it."""
        event = state["event"]
        received = state.get("agent_messages", [])
        prompt: list[BaseMessage] = [
            SystemMessage(specialist_prompt(self._agent)),
            HumanMessage(event_text_with_messages(event, self._agent, received)),
        ]
        try:
            answer, tools_used = await self._ask(prompt)
            decision, messages = read_decision(self._agent, answer.text, tools_used)
        except Exception as error:  # a provider's client may raise anything; work must go on
            _log_fallback(self._agent, event, error)
            reason = f"the model gave no usable answer ({type(error).__name__})"
            return {"decisions": [rule_based_decision(self._agent, event, reason)]}
        return {"decisions": [decision], "agent_messages": messages}

    async def _ask(self, prompt: list[BaseMessage]) -> tuple[AIMessage, tuple[str, ...]]:
        used: list[str] = []
        for _ in range(MOST_TOOL_ROUNDS + 1):
            answer = await self._model.ainvoke(prompt)
            if not answer.tool_calls:
                return answer, tuple(used)
            prompt.append(answer)
            for call in answer.tool_calls:
                tool = self._tools.get(call["name"])
                if tool is None:
                    text = f"There is no tool {call['name']!r}; there are {', '.join(self._tools)}"
                    prompt.append(ToolMessage(text, tool_call_id=call["id"], status="error"))
                    continue
                used.append(tool.name)
                prompt.append(await tool.ainvoke({**call, "type": "tool_call"}))
        raise UnusableAnswerError(f"still calling tools after {MOST_TOOL_ROUNDS} rounds")


async def resolve_conflicts(state: WorkflowState) -> WorkflowState:
    """Settle the decisions by the stated policies; no model is asked, so that it never varies."""
    settlement = settle(state["event"], state.get("decisions", []))
    return {"conflicts": list(settlement.conflicts), "accepted": list(settlement.accepted)}


def _log_fallback(agent: AgentName, event: TriggerEvent, error: Exception) -> None:
    logger.warning(
        "%s decides %s by rule: %s: %s",
        agent,
        event.event_id,
        type(error).__name__,
        str(error)[:200],
    )
