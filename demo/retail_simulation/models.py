"""What the simulation reports: events, decisions, messages, conflicts and their outcome."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class EventType(StrEnum):
    """The situations that make the orchestrator call its agents together."""

    STOCKOUT_RISK = "stockout_risk"
    DEMAND_SURGE = "demand_surge"
    COMPETITOR_PRICE_DROP = "competitor_price_drop"
    EXPIRING_STOCK = "expiring_stock"
    SLOW_MOVER = "slow_mover"


class AgentName(StrEnum):
    """The nodes of the workflow, in the order in which they may speak."""

    ORCHESTRATOR = "orchestrator"
    INVENTORY = "inventory_agent"
    PRICING = "pricing_agent"
    PROMOTION = "promotion_agent"
    RESOLVER = "conflict_resolver"


SPECIALISTS = (AgentName.INVENTORY, AgentName.PRICING, AgentName.PROMOTION)


class Action(StrEnum):
    """Everything an agent may decide."""

    REORDER = "reorder"
    EXPEDITE_REORDER = "expedite_reorder"
    RAISE_PRICE = "raise_price"
    MARKDOWN = "markdown"
    MATCH_COMPETITOR = "match_competitor"
    PLAN_PROMOTION = "plan_promotion"
    CANCEL_PROMOTION = "cancel_promotion"
    HOLD = "hold"


ALLOWED_ACTIONS: dict[AgentName, tuple[Action, ...]] = {
    AgentName.INVENTORY: (
        Action.REORDER,
        Action.EXPEDITE_REORDER,
        Action.RAISE_PRICE,
        Action.HOLD,
    ),
    AgentName.PRICING: (
        Action.MARKDOWN,
        Action.MATCH_COMPETITOR,
        Action.RAISE_PRICE,
        Action.HOLD,
    ),
    AgentName.PROMOTION: (
        Action.PLAN_PROMOTION,
        Action.CANCEL_PROMOTION,
        Action.HOLD,
    ),
}


class ConflictType(StrEnum):
    """The ways in which two decisions about one shelf can collide."""

    DOUBLE_DISCOUNT = "double_discount"
    PRICE_DIRECTION = "price_direction"
    PROMOTE_SCARCE_STOCK = "promote_scarce_stock"
    REORDER_UNWANTED_STOCK = "reorder_unwanted_stock"


class Resolution(StrEnum):
    """What a policy did with a conflict."""

    HIGHER_CONFIDENCE_WINS = "higher_confidence_wins"
    SCARCITY_FIRST = "scarcity_first"
    PROMOTION_POSTPONED = "promotion_postponed"
    DISCOUNT_CAPPED = "discount_capped"
    REORDER_WITHDRAWN = "reorder_withdrawn"


class Record(BaseModel):
    """A record that is written once and then only read."""

    model_config = ConfigDict(frozen=True)


class TriggerEvent(Record):
    """One situation on one shelf. `facts` are the figures that the agents are told."""

    event_id: str
    type: EventType
    source: Literal["simulation", "injected"]
    day: int
    store_id: str
    product_id: str
    severity: float = Field(ge=0, le=1)
    facts: dict[str, Any]


class AgentMessage(Record):
    """What one agent tells another during a workflow."""

    from_agent: AgentName
    to_agent: AgentName
    content: str


class AgentDecision(Record):
    """What an agent wants to do, how sure it is, and how it came to that.

    `source` is `fallback` when the model could not be used and a rule decided instead.
    """

    agent: AgentName
    decision: Action
    confidence: float = Field(ge=0, le=1)
    reason: str
    percent: int = Field(default=0, ge=0, le=50)
    units: int = Field(default=0, ge=0, le=1000)
    days: int = Field(default=0, ge=0, le=14)
    tools_used: tuple[str, ...] = ()
    source: Literal["model", "fallback"] = "model"


class Conflict(Record):
    """Two decisions that cannot both be carried out, and what was done about it."""

    conflict_type: ConflictType
    agents: tuple[AgentName, AgentName]
    detail: str
    resolution: Resolution
    winner: AgentName | None
    policy: str


class Effect(Record):
    """What a decision changed; `before` equals `after` when it could change nothing."""

    agent: AgentName
    decision: Action
    description: str
    before: int
    after: int


class SimulationTrace(Record):
    """One trigger event from its cause to its outcome."""

    trace_id: str
    event_type: EventType
    trigger_source: str
    start_time: datetime
    end_time: datetime | None
    participating_agents: tuple[AgentName, ...]
    event_data: TriggerEvent
    outcome: dict[str, Any] | None


class RecordedDecision(AgentDecision):
    """A decision with the workflow that it belongs to and whether it was carried out."""

    trace_id: str
    event_id: str
    day: int
    accepted: bool


class RecordedConflict(Conflict):
    """A conflict with the workflow that it belongs to."""

    trace_id: str
    event_id: str
    day: int
