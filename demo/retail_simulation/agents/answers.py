"""Reading what a model answered: a plan or a decision, or an error that says what is wrong."""

from __future__ import annotations

from typing import Any

from langchain_core.utils.json import parse_json_markdown
from pydantic import BaseModel, Field

from retail_simulation.models import (
    ALLOWED_ACTIONS,
    SPECIALISTS,
    Action,
    AgentDecision,
    AgentMessage,
    AgentName,
)


class UnusableAnswerError(ValueError):
    """The model answered, but not with what was asked for."""


class _MessageAnswer(BaseModel):
    to_agent: AgentName
    content: str = Field(max_length=500)


class _DecisionAnswer(BaseModel):
    decision: Action
    confidence: float = Field(ge=0, le=1)
    reason: str = Field(max_length=2000)
    percent: int = Field(default=0, ge=0, le=50)
    units: int = Field(default=0, ge=0, le=1000)
    days: int = Field(default=0, ge=0, le=14)
    messages: list[_MessageAnswer] = Field(default=[], max_length=4)


class _PlanAnswer(BaseModel):
    participants: list[AgentName] = Field(min_length=1)
    reason: str = ""


def read_plan(text: str) -> tuple[AgentName, ...]:
    """Return the agents that the orchestrator chose, each once, in its order.

    Raises:
        UnusableAnswerError: The text is no such plan.
    """
    plan = _PlanAnswer.model_validate(_json_object(text))
    chosen = tuple(dict.fromkeys(name for name in plan.participants if name in SPECIALISTS))
    if not chosen:
        raise UnusableAnswerError(f"none of {plan.participants} is a specialist")
    return chosen


def read_decision(
    agent: AgentName, text: str, tools_used: tuple[str, ...]
) -> tuple[AgentDecision, list[AgentMessage]]:
    """Return an agent's decision and the messages that it sends to colleagues.

    Raises:
        UnusableAnswerError: The text is no decision, or not one that this agent may take.
    """
    answer = _DecisionAnswer.model_validate(_json_object(text))
    if answer.decision not in ALLOWED_ACTIONS[agent]:
        allowed = ", ".join(ALLOWED_ACTIONS[agent])
        raise UnusableAnswerError(f"{agent} decided {answer.decision!r}; it may decide {allowed}")
    decision = AgentDecision(
        agent=agent,
        tools_used=tools_used,
        **answer.model_dump(exclude={"messages"}),
    )
    messages = [
        AgentMessage(from_agent=agent, to_agent=message.to_agent, content=message.content)
        for message in answer.messages
        if message.to_agent in SPECIALISTS and message.to_agent is not agent
    ]
    return decision, messages


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = parse_json_markdown(text)
    except ValueError as error:
        raise UnusableAnswerError(f"the model answered no JSON: {text[:80]!r}") from error
    if not isinstance(value, dict):
        raise UnusableAnswerError(f"the model answered no JSON object: {text[:80]!r}")
    return value
