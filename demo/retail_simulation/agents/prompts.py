"""What each agent is told about its role, and how an event is put to it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from retail_simulation.models import (
    ALLOWED_ACTIONS,
    SPECIALISTS,
    AgentMessage,
    AgentName,
    TriggerEvent,
)

ORCHESTRATOR_PROMPT = (
    "You are the orchestrator of a retail chain. An event on one shelf needs a decision. Choose"
    " which of these agents take part, in a sensible order: "
    + ", ".join(SPECIALISTS)
    + '. Answer with one JSON object: {"participants": [agent, ...], "reason": text}.'
)

_DUTIES = {
    AgentName.INVENTORY: "You keep shelves filled without waste. You may protect scarce stock by"
    " asking for a higher price.",
    AgentName.PRICING: "You keep prices competitive and the margin sound. Never go below the"
    " floor price.",
    AgentName.PROMOTION: "You plan short promotions that win customers, and cancel those that no"
    " longer make sense.",
}


def specialist_prompt(agent: AgentName) -> str:
    """Return the system prompt of a specialist."""
    role = agent.removesuffix("_agent")
    actions = ", ".join(ALLOWED_ACTIONS[agent])
    others = ", ".join(name for name in SPECIALISTS if name is not agent)
    return (
        f"You are the {role} agent of a retail chain. {_DUTIES[agent]} Use your tools to look at"
        f" the shelf before you decide. Decide on one of: {actions}. Your colleagues are {others}."
        ' Answer with one JSON object: {"decision": one of those, "confidence": 0 to 1, "reason":'
        ' text, "percent": whole number for price changes and promotions, "units": whole number'
        ' for orders, "days": whole number for promotions, "messages": [{"to_agent": colleague,'
        ' "content": text}, ...]}.'
    )


def event_text(event: TriggerEvent) -> str:
    """Return an event as a user message."""
    told = {
        "event": event.type,
        "store_id": event.store_id,
        "product_id": event.product_id,
        "day": event.day,
        "severity": round(event.severity, 2),
        "facts": event.facts,
    }
    return f"Event: {json.dumps(told)}"


def event_text_with_messages(
    event: TriggerEvent, agent: AgentName, messages: Sequence[AgentMessage]
) -> str:
    """Return an event as a user message, followed by what colleagues told this agent."""
    received = [
        f"Message from {message.from_agent}: {message.content}"
        for message in messages
        if message.to_agent is agent
    ]
    return "\n".join([event_text(event), *received])
