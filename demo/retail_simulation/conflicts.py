"""When decisions collide, and the policies that say which of them is carried out.

The policies in force, each named in the conflicts that it resolved:

* price direction: scarce stock is never made cheaper; otherwise the more confident agent wins.
* double discount: the more confident agent's discount stands; when both are equally sure, the
  promotion is kept and capped.
* promote scarce stock: a promotion waits until the stock outlasts the lead time.
* reorder unwanted stock: nobody buys more of what is being cleared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from retail_simulation.models import (
    Action,
    AgentDecision,
    Conflict,
    ConflictType,
    EventType,
    Resolution,
    TriggerEvent,
)

CAPPED_PROMOTION_PERCENT = 10
_EQUAL_CONFIDENCE = 0.02
_CUTS = {Action.MARKDOWN, Action.MATCH_COMPETITOR}
_BUYS = {Action.REORDER, Action.EXPEDITE_REORDER}


@dataclass(frozen=True)
class Settlement:
    """The decisions that may be carried out, and the conflicts that were resolved on the way."""

    accepted: tuple[AgentDecision, ...]
    conflicts: tuple[Conflict, ...]


def settle(event: TriggerEvent, decisions: Sequence[AgentDecision]) -> Settlement:
    """Find the conflicts among decisions about one shelf and resolve each by its policy.

    The accepted decisions never conflict with each other.
    """
    accepted = [decision for decision in decisions if decision.decision is not Action.HOLD]
    conflicts: list[Conflict] = []
    for resolve in (_scarce_promotion, _price_direction, _double_discount, _unwanted_reorder):
        conflict, accepted = resolve(event, accepted)
        if conflict is not None:
            conflicts.append(conflict)
    return Settlement(tuple(accepted), tuple(conflicts))


Outcome = tuple[Conflict | None, list[AgentDecision]]


def is_scarce(event: TriggerEvent) -> bool:
    """Tell whether the stock ends before an order could arrive."""
    return bool(event.facts["cover_days"] < event.facts["lead_time_days"] + 1)


def _scarce_promotion(event: TriggerEvent, decisions: list[AgentDecision]) -> Outcome:
    promotion = _first(decisions, {Action.PLAN_PROMOTION})
    keeper = _first(decisions, {*_BUYS, Action.RAISE_PRICE})
    if promotion is None or keeper is None or not is_scarce(event):
        return None, decisions
    conflict = Conflict(
        conflict_type=ConflictType.PROMOTE_SCARCE_STOCK,
        agents=(keeper.agent, promotion.agent),
        detail=f"{promotion.agent} promotes what lasts {event.facts['cover_days']} days",
        resolution=Resolution.PROMOTION_POSTPONED,
        winner=keeper.agent,
        policy="a promotion waits until the stock outlasts the lead time",
    )
    return conflict, [decision for decision in decisions if decision is not promotion]


def _price_direction(event: TriggerEvent, decisions: list[AgentDecision]) -> Outcome:
    up = _first(decisions, {Action.RAISE_PRICE})
    down = _first(decisions, {*_CUTS, Action.PLAN_PROMOTION})
    if up is None or down is None or up.agent is down.agent:
        return None, decisions
    scarce = is_scarce(event)
    winner = up if scarce or up.confidence >= down.confidence else down
    losers = _CUTS | {Action.PLAN_PROMOTION} if winner is up else {Action.RAISE_PRICE}
    conflict = Conflict(
        conflict_type=ConflictType.PRICE_DIRECTION,
        agents=(up.agent, down.agent),
        detail=f"{up.agent} wants {up.decision}, {down.agent} wants {down.decision}",
        resolution=Resolution.SCARCITY_FIRST if scarce else Resolution.HIGHER_CONFIDENCE_WINS,
        winner=winner.agent,
        policy="scarce stock is never made cheaper; otherwise the more confident agent wins",
    )
    return conflict, [decision for decision in decisions if decision.decision not in losers]


def _double_discount(event: TriggerEvent, decisions: list[AgentDecision]) -> Outcome:
    cut = _first(decisions, _CUTS)
    promotion = _first(decisions, {Action.PLAN_PROMOTION})
    if cut is None or promotion is None:
        return None, decisions
    equal = abs(cut.confidence - promotion.confidence) < _EQUAL_CONFIDENCE
    winner = promotion if equal or promotion.confidence > cut.confidence else cut
    loser = cut if winner is promotion else promotion
    conflict = Conflict(
        conflict_type=ConflictType.DOUBLE_DISCOUNT,
        agents=(cut.agent, promotion.agent),
        detail=f"{cut.decision} and a promotion of {promotion.percent} % on the same shelf",
        resolution=Resolution.DISCOUNT_CAPPED if equal else Resolution.HIGHER_CONFIDENCE_WINS,
        winner=winner.agent,
        policy="one discount at a time: the more confident agent's, or a capped promotion",
    )
    kept = [decision for decision in decisions if decision is not loser]
    if equal:
        capped = min(promotion.percent, CAPPED_PROMOTION_PERCENT)
        kept[kept.index(promotion)] = promotion.model_copy(update={"percent": capped})
    return conflict, kept


def _unwanted_reorder(event: TriggerEvent, decisions: list[AgentDecision]) -> Outcome:
    order = _first(decisions, _BUYS)
    clearing = _first(decisions, {Action.MARKDOWN, Action.PLAN_PROMOTION})
    unwanted = event.type in {EventType.SLOW_MOVER, EventType.EXPIRING_STOCK}
    if order is None or clearing is None or not unwanted:
        return None, decisions
    conflict = Conflict(
        conflict_type=ConflictType.REORDER_UNWANTED_STOCK,
        agents=(order.agent, clearing.agent),
        detail=f"{order.agent} buys {order.units} units of what {clearing.agent} clears",
        resolution=Resolution.REORDER_WITHDRAWN,
        winner=clearing.agent,
        policy="nobody buys more of what is being cleared",
    )
    return conflict, [decision for decision in decisions if decision is not order]


def _first(decisions: list[AgentDecision], actions: set[Action]) -> AgentDecision | None:
    return next((decision for decision in decisions if decision.decision in actions), None)
