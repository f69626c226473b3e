from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from retail_simulation.conflicts import CAPPED_PROMOTION_PERCENT, Settlement, settle
from retail_simulation.models import (
    ALLOWED_ACTIONS,
    SPECIALISTS,
    Action,
    AgentDecision,
    AgentName,
    ConflictType,
    EventType,
    Resolution,
    TriggerEvent,
)


def event(event_type: EventType, cover_days: float, lead_time_days: int = 2) -> TriggerEvent:
    return TriggerEvent(
        event_id="event-1",
        type=event_type,
        source="injected",
        day=1,
        store_id="harbour",
        product_id="milk",
        severity=0.5,
        facts={"cover_days": cover_days, "lead_time_days": lead_time_days},
    )


def decision(
    agent: AgentName, action: Action, confidence: float = 0.5, percent: int = 20
) -> AgentDecision:
    return AgentDecision(
        agent=agent,
        decision=action,
        confidence=confidence,
        reason="test",
        percent=percent,
        units=10,
    )


@st.composite
def one_decision_each(draw: st.DrawFn) -> list[AgentDecision]:
    agents = draw(st.permutations(SPECIALISTS))
    return [
        decision(
            agent,
            draw(st.sampled_from(ALLOWED_ACTIONS[agent])),
            draw(st.floats(0, 1)),
            draw(st.integers(0, 50)),
        )
        for agent in agents[: draw(st.integers(0, 3))]
    ]


EVENTS = st.builds(event, st.sampled_from(EventType), st.floats(0, 30), st.integers(1, 4))


@given(EVENTS, one_decision_each())
def test_what_is_accepted_holds_no_conflict_any_more(shelf_event, decisions) -> None:
    accepted = settle(shelf_event, decisions).accepted
    again = settle(shelf_event, accepted)
    assert again.conflicts == ()
    assert again.accepted == accepted


@given(EVENTS, one_decision_each())
def test_without_a_conflict_every_decision_but_holding_is_accepted(shelf_event, decisions) -> None:
    settlement = settle(shelf_event, decisions)
    acting = tuple(d for d in decisions if d.decision is not Action.HOLD)
    if not settlement.conflicts:
        assert settlement.accepted == acting
    else:
        assert settlement.accepted != acting


@given(EVENTS, one_decision_each())
def test_the_winner_of_the_last_conflict_is_always_among_the_accepted(
    shelf_event, decisions
) -> None:
    settlement = settle(shelf_event, decisions)
    if settlement.conflicts:
        assert settlement.conflicts[-1].winner in {d.agent for d in settlement.accepted}


def settled(event_type: EventType, cover_days: float, *decisions: AgentDecision) -> Settlement:
    return settle(event(event_type, cover_days), decisions)


def test_scarce_stock_is_not_made_cheaper_however_sure_pricing_is() -> None:
    settlement = settled(
        EventType.STOCKOUT_RISK,
        1.0,
        decision(AgentName.INVENTORY, Action.RAISE_PRICE, 0.4),
        decision(AgentName.PRICING, Action.MATCH_COMPETITOR, 0.99),
    )
    assert [d.decision for d in settlement.accepted] == [Action.RAISE_PRICE]
    assert settlement.conflicts[0].conflict_type is ConflictType.PRICE_DIRECTION
    assert settlement.conflicts[0].resolution is Resolution.SCARCITY_FIRST


def test_with_plenty_of_stock_the_more_confident_price_wins() -> None:
    settlement = settled(
        EventType.DEMAND_SURGE,
        20.0,
        decision(AgentName.INVENTORY, Action.RAISE_PRICE, 0.4),
        decision(AgentName.PRICING, Action.MARKDOWN, 0.9),
    )
    assert [d.decision for d in settlement.accepted] == [Action.MARKDOWN]
    assert settlement.conflicts[0].resolution is Resolution.HIGHER_CONFIDENCE_WINS


def test_a_promotion_of_scarce_stock_is_postponed() -> None:
    settlement = settled(
        EventType.DEMAND_SURGE,
        1.0,
        decision(AgentName.INVENTORY, Action.REORDER),
        decision(AgentName.PROMOTION, Action.PLAN_PROMOTION),
    )
    assert [d.decision for d in settlement.accepted] == [Action.REORDER]
    assert settlement.conflicts[0].conflict_type is ConflictType.PROMOTE_SCARCE_STOCK


def test_of_two_discounts_the_more_confident_one_stands() -> None:
    settlement = settled(
        EventType.SLOW_MOVER,
        20.0,
        decision(AgentName.PRICING, Action.MARKDOWN, 0.9),
        decision(AgentName.PROMOTION, Action.PLAN_PROMOTION, 0.5),
    )
    assert [d.decision for d in settlement.accepted] == [Action.MARKDOWN]
    assert settlement.conflicts[0].conflict_type is ConflictType.DOUBLE_DISCOUNT


def test_of_two_equally_sure_discounts_a_capped_promotion_stands() -> None:
    settlement = settled(
        EventType.SLOW_MOVER,
        20.0,
        decision(AgentName.PRICING, Action.MARKDOWN, 0.7),
        decision(AgentName.PROMOTION, Action.PLAN_PROMOTION, 0.7, percent=30),
    )
    assert [d.percent for d in settlement.accepted] == [CAPPED_PROMOTION_PERCENT]
    assert settlement.conflicts[0].resolution is Resolution.DISCOUNT_CAPPED


@pytest.mark.parametrize("event_type", [EventType.SLOW_MOVER, EventType.EXPIRING_STOCK])
def test_nobody_buys_more_of_what_is_cleared(event_type: EventType) -> None:
    settlement = settled(
        event_type,
        20.0,
        decision(AgentName.INVENTORY, Action.REORDER, 0.99),
        decision(AgentName.PRICING, Action.MARKDOWN, 0.1),
    )
    assert [d.decision for d in settlement.accepted] == [Action.MARKDOWN]
    assert settlement.conflicts[0].resolution is Resolution.REORDER_WITHDRAWN
