"""The situations that need a decision, found on the shelves after a day."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retail_simulation.engine import Engine
from retail_simulation.models import EventType
from retail_simulation.shelf import Shelf

_COOLDOWN_DAYS = 4
_EXPIRY_WINDOW_DAYS = 2
_MINIMUM_UNITS = 6

Finding = tuple[float, EventType, Shelf]


class TriggerDetector:
    """Finds trigger events; the same one does not come back on the same shelf for some days."""

    def __init__(self, most_per_day: int) -> None:
        self._most_per_day = most_per_day
        self._last_seen: dict[tuple[str, str, EventType], int] = {}

    def detect(self, engine: Engine) -> list[Finding]:
        """Return the most severe finding of each type on that day, the worst first."""
        findings = [
            finding
            for shelf in engine.shelves.values()
            for finding in _findings_on(shelf, engine)
            if self._is_due(finding, engine.day)
        ]
        findings.sort(key=lambda finding: -finding[0])
        worst_of_type: dict[EventType, Finding] = {}
        for finding in findings:
            worst_of_type.setdefault(finding[1], finding)
        chosen = list(worst_of_type.values())[: self._most_per_day]
        for _, event_type, shelf in chosen:
            self._last_seen[_key(event_type, shelf)] = engine.day
        return chosen

    def _is_due(self, finding: Finding, day: int) -> bool:
        _, event_type, shelf = finding
        last = self._last_seen.get(_key(event_type, shelf))
        return last is None or day - last >= _COOLDOWN_DAYS


def facts_about(shelf: Shelf, engine: Engine) -> dict[str, Any]:
    """Return the figures about a shelf that people would want to see before they decide."""
    return {
        "product": shelf.product.name,
        "category": shelf.product.category,
        "on_hand": shelf.on_hand,
        "on_order": shelf.on_order,
        "average_daily_demand": round(shelf.average_demand, 1),
        "cover_days": round(shelf.cover_days, 1),
        "lead_time_days": shelf.product.lead_time_days,
        "expiring_units": shelf.expiring_units(engine.day, _EXPIRY_WINDOW_DAYS),
        "price_cents": shelf.price_cents,
        "floor_price_cents": shelf.product.floor_price_cents,
        "competitor_price_cents": shelf.competitor_price_cents,
        "promotion_percent": shelf.promotion.percent if shelf.promotion else 0,
        "weather": engine.conditions.weather,
        "holiday": engine.conditions.holiday,
    }


def _findings_on(shelf: Shelf, engine: Engine) -> Iterator[Finding]:
    yield from _stock_findings(shelf, engine.day)
    average, demand = shelf.average_demand, shelf.recent_demand
    if demand and demand[-1] >= max(_MINIMUM_UNITS, 1.8 * average):
        yield min(1.0, demand[-1] / (4 * average)), EventType.DEMAND_SURGE, shelf
    moved = shelf.product.product_id in engine.conditions.competitor_prices_cents
    undercut = 1 - shelf.competitor_price_cents / shelf.price_cents
    if moved and undercut > 0.1:
        yield min(1.0, 2.5 * undercut), EventType.COMPETITOR_PRICE_DROP, shelf


def _stock_findings(shelf: Shelf, day: int) -> Iterator[Finding]:
    average = shelf.average_demand
    lead_days = shelf.product.lead_time_days
    reachable = shelf.on_hand + shelf.on_order
    if reachable < average * lead_days and average >= 1:
        yield min(1.0, 1 - reachable / (average * lead_days * 2)), EventType.STOCKOUT_RISK, shelf
    expiring = shelf.expiring_units(day, _EXPIRY_WINDOW_DAYS)
    surplus = expiring - average * (_EXPIRY_WINDOW_DAYS + 1)
    if surplus >= _MINIMUM_UNITS:
        yield min(1.0, surplus / max(expiring, 1)), EventType.EXPIRING_STOCK, shelf
    planned = shelf.product.daily_demand * shelf.store.footfall
    full_week = len(shelf.recent_sales) == shelf.recent_sales.maxlen
    plenty = shelf.cover_days > 8 and shelf.on_hand >= _MINIMUM_UNITS
    if full_week and plenty and average < 0.6 * planned:
        yield min(1.0, 0.3 + shelf.cover_days / 60), EventType.SLOW_MOVER, shelf


def _key(event_type: EventType, shelf: Shelf) -> tuple[str, str, EventType]:
    return shelf.store.store_id, shelf.product.product_id, event_type
