"""Carrying out decisions: each one is clipped to what the chain can do and can pay."""

from __future__ import annotations

from collections.abc import Callable

from retail_simulation.engine import Engine
from retail_simulation.models import Action, AgentDecision, Effect
from retail_simulation.shelf import Promotion, Shelf

PROMOTION_COST_CENTS = 2_500
_EXPEDITE_SURCHARGE_PERCENT = 20


def carry_out(decision: AgentDecision, shelf: Shelf, engine: Engine) -> Effect:
    """Apply a decision to a shelf and return what it changed."""
    description, before, after = _HANDLERS[decision.decision](decision, shelf, engine)
    return Effect(
        agent=decision.agent,
        decision=decision.decision,
        description=description,
        before=before,
        after=after,
    )


Change = tuple[str, int, int]


def _reorder(decision: AgentDecision, shelf: Shelf, engine: Engine) -> Change:
    before = shelf.on_order
    engine.order(shelf, decision.units, shelf.product.lead_time_days)
    return "units on order", before, shelf.on_order


def _expedite(decision: AgentDecision, shelf: Shelf, engine: Engine) -> Change:
    before = shelf.on_order
    engine.order(shelf, decision.units, 1, _EXPEDITE_SURCHARGE_PERCENT)
    return "units on order", before, shelf.on_order


def _raise_price(decision: AgentDecision, shelf: Shelf, engine: Engine) -> Change:
    return _set_price(shelf, shelf.price_cents * (100 + decision.percent) // 100)


def _markdown(decision: AgentDecision, shelf: Shelf, engine: Engine) -> Change:
    return _set_price(shelf, shelf.price_cents * (100 - decision.percent) // 100)


def _match_competitor(decision: AgentDecision, shelf: Shelf, engine: Engine) -> Change:
    return _set_price(shelf, min(shelf.price_cents, shelf.competitor_price_cents))


def _set_price(shelf: Shelf, wanted_cents: int) -> Change:
    before = shelf.price_cents
    product = shelf.product
    shelf.price_cents = max(
        product.floor_price_cents, min(wanted_cents, product.ceiling_price_cents)
    )
    return "price in cents", before, shelf.price_cents


def _plan_promotion(decision: AgentDecision, shelf: Shelf, engine: Engine) -> Change:
    before = shelf.promotion.percent if shelf.promotion else 0
    if engine.books.cash_cents >= PROMOTION_COST_CENTS and decision.percent > 0:
        engine.books.advertise(PROMOTION_COST_CENTS)
        shelf.promotion = Promotion(decision.percent, engine.day + max(1, decision.days))
    return "promotion in per cent", before, shelf.promotion.percent if shelf.promotion else 0


def _cancel_promotion(decision: AgentDecision, shelf: Shelf, engine: Engine) -> Change:
    before = shelf.promotion.percent if shelf.promotion else 0
    shelf.promotion = None
    return "promotion in per cent", before, 0


def _hold(decision: AgentDecision, shelf: Shelf, engine: Engine) -> Change:
    return "nothing", 0, 0


_HANDLERS: dict[Action, Callable[[AgentDecision, Shelf, Engine], Change]] = {
    Action.REORDER: _reorder,
    Action.EXPEDITE_REORDER: _expedite,
    Action.RAISE_PRICE: _raise_price,
    Action.MARKDOWN: _markdown,
    Action.MATCH_COMPETITOR: _match_competitor,
    Action.PLAN_PROMOTION: _plan_promotion,
    Action.CANCEL_PROMOTION: _cancel_promotion,
    Action.HOLD: _hold,
}
