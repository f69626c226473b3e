"""What to decide without a model: simple, safe, and of low confidence.

An agent falls back on these rules when the provider fails or answers what nobody can use.
"""

from __future__ import annotations

from retail_simulation.models import (
    SPECIALISTS,
    Action,
    AgentDecision,
    AgentName,
    EventType,
    TriggerEvent,
)

FALLBACK_CONFIDENCE = 0.3

_PARTICIPANTS: dict[EventType, tuple[AgentName, ...]] = {
    EventType.STOCKOUT_RISK: (AgentName.INVENTORY, AgentName.PRICING),
    EventType.DEMAND_SURGE: SPECIALISTS,
    EventType.COMPETITOR_PRICE_DROP: (AgentName.PRICING, AgentName.PROMOTION),
    EventType.EXPIRING_STOCK: SPECIALISTS,
    EventType.SLOW_MOVER: (AgentName.PRICING, AgentName.PROMOTION),
}


def usual_participants(event_type: EventType) -> tuple[AgentName, ...]:
    """Return the agents that such an event normally concerns."""
    return _PARTICIPANTS[event_type]


def rule_based_decision(agent: AgentName, event: TriggerEvent, reason: str) -> AgentDecision:
    """Return the cautious decision for an event; `reason` says why the model did not decide."""
    facts = event.facts
    action, percent, units = Action.HOLD, 0, 0
    wants_stock = event.type in {EventType.STOCKOUT_RISK, EventType.DEMAND_SURGE}
    if agent is AgentName.INVENTORY and wants_stock:
        lead_days = int(facts["lead_time_days"]) + 2
        wanted = float(facts["average_daily_demand"]) * lead_days
        action = Action.REORDER
        units = min(1000, max(1, round(wanted) - int(facts["on_order"])))
    elif agent is AgentName.PRICING and event.type is EventType.EXPIRING_STOCK:
        action, percent = Action.MARKDOWN, 15
    elif agent is AgentName.PRICING and event.type is EventType.COMPETITOR_PRICE_DROP:
        action = Action.MATCH_COMPETITOR
    return AgentDecision(
        agent=agent,
        decision=action,
        confidence=FALLBACK_CONFIDENCE,
        reason=f"Decided by rule: {reason}",
        percent=percent,
        units=units,
        source="fallback",
    )
