"""The retail simulation knows nothing of telemetry: its facts are read off its graph's state."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from retail_simulation.agents.graph import Workflow
from retail_simulation.engine import Engine
from retail_simulation.models import AgentName, EventType, TriggerEvent
from retail_simulation.triggers import facts_about

STATE_FACTS = (
    "decisions:decision,agent_messages:message,conflicts:conflict,"
    "participants:collaboration(workflow_type=event_type)"
)
DECISIONS: dict[str, dict[str, Any]] = {
    AgentName.PRICING: {"decision": "markdown", "confidence": 0.9, "percent": 20},
    AgentName.PROMOTION: {
        "decision": "plan_promotion",
        "confidence": 0.6,
        "percent": 15,
        "days": 3,
        "messages": [{"to_agent": "pricing_agent", "content": "we promote it"}],
    },
}


class Retailer(BaseChatModel):
    """Answers as the agent whose prompt it is given."""

    @property
    def _llm_type(self) -> str:
        return "retailer"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        prompt = messages[0].text
        roles = {f"You are the {name.split('_')[0]} agent": name for name in DECISIONS}
        acting = next((name for role, name in roles.items() if prompt.startswith(role)), "")
        plan = {"participants": list(DECISIONS)}
        answer = {"reason": "so", **DECISIONS[acting]} if acting else plan
        message = AIMessage(json.dumps(answer))
        return ChatResult(generations=[ChatGeneration(message=message)])


def test_decisions_messages_conflicts_and_collaborations_appear_with_no_code(
    monkeypatch: pytest.MonkeyPatch, make_shim: Any
) -> None:
    monkeypatch.setenv("MIDWATCH_STATE_FACTS", STATE_FACTS)
    shim = make_shim()
    engine = Engine(7)
    shelf = next(iter(engine.shelves.values()))
    event = TriggerEvent(
        event_id="e-1",
        type=EventType.SLOW_MOVER,
        source="injected",
        day=1,
        store_id=shelf.store.store_id,
        product_id=shelf.product.product_id,
        severity=0.5,
        facts=facts_about(shelf, engine),
    )
    result = asyncio.run(Workflow(Retailer(), lambda: engine).run(event, "s-1"))
    assert len(result.decisions) == len(result.participants) == 2
    assert len(result.conflicts) == len(result.messages) == 1

    decided = {(one["agent"], one["decision"]) for one in shim.label_sets("agent.decisions")}
    assert decided == {(one.agent, one.decision) for one in result.decisions}
    assert shim.count("agent.decision.confidence") == 2
    assert shim.label_sets("agent.messages") == [
        {"from_agent": "promotion_agent", "to_agent": "pricing_agent"}
    ]
    assert shim.label_sets("agent.conflicts") == [
        {
            "conflict_type": result.conflicts[0].conflict_type,
            "resolution": result.conflicts[0].resolution,
        }
    ]
    assert shim.label_sets("agent.collaborations") == [
        {"workflow_type": "slow_mover", "outcome": "ok"}
    ]
    assert {found.session_id for found in shim.events_named("decision.made")} == {"s-1"}
