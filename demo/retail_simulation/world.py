"""What happens around the chain on a day: weather, holidays, competitors, customers.

Every number comes from a generator that is seeded by the simulation's seed, the day and the thing
concerned, so that what the agents do never shifts what the world does.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from retail_simulation.catalogue import PRODUCTS, Product, Store

WEATHER = ("mild", "sunny", "heat", "rain", "storm", "cold")
_WEATHER_WEIGHTS = (35, 25, 10, 18, 5, 7)
_WEATHER_EFFECT = {
    "sunny": {"fruit": 1.2, "drinks": 1.2, "frozen": 1.4},
    "heat": {"fruit": 1.1, "drinks": 2.2, "frozen": 2.6, "bakery": 0.8},
    "rain": {"household": 2.5, "fruit": 0.8, "frozen": 0.7},
    "storm": {"household": 3.0, "grocery": 1.5, "drinks": 1.4, "fruit": 0.5, "frozen": 0.5},
    "cold": {"grocery": 1.3, "frozen": 0.6, "drinks": 0.8},
}
_WEEKDAY_EFFECT = (0.9, 0.9, 0.95, 1.0, 1.25, 1.4, 0.6)
_HOLIDAY_EVERY_DAYS = 23
_COMPETITOR_MOVE_CHANCE = 0.06


@dataclass(frozen=True)
class Conditions:
    """One day of the world outside; `competitor_prices_cents` holds only the prices that moved."""

    day: int
    weather: str
    holiday: bool
    competitor_prices_cents: dict[str, int]


def conditions_of(seed: int, day: int) -> Conditions:
    """Return the weather, the holiday and the competitors' moves of a day."""
    chance = random.Random(f"{seed}:{day}:conditions")  # noqa: S311 - a simulation, no secret
    weather = chance.choices(WEATHER, _WEATHER_WEIGHTS)[0]
    moves: dict[str, int] = {}
    for product in PRODUCTS:
        if chance.random() < _COMPETITOR_MOVE_CHANCE:
            share = chance.choice((72, 78, 84, 95, 100, 104))
            moves[product.product_id] = product.base_price_cents * share // 100
    holiday = (day + seed) % _HOLIDAY_EVERY_DAYS == 0
    return Conditions(day, weather, holiday, moves)


def demand_of(
    seed: int, conditions: Conditions, store: Store, product: Product, price_cents: int
) -> int:
    """Return how many units customers want of a product in a store on that day at that price."""
    expected = (
        product.daily_demand
        * store.footfall
        * _WEEKDAY_EFFECT[conditions.day % 7]
        * _WEATHER_EFFECT.get(conditions.weather, {}).get(product.category, 1.0)
        * (1.6 if conditions.holiday else 1.0)
        * (product.base_price_cents / price_cents) ** product.elasticity
    )
    chance = random.Random(  # noqa: S311 - a simulation, no secret
        f"{seed}:{conditions.day}:{store.store_id}:{product.product_id}"
    )
    if chance.random() < 0.02:
        expected *= 2.5
    return _poisson(chance, expected)


def _poisson(chance: random.Random, expected: float) -> int:
    """Draw from a Poisson distribution; above 50 the normal distribution is close enough."""
    if expected > 50:
        return max(0, round(chance.gauss(expected, math.sqrt(expected))))
    limit, product, count = math.exp(-expected), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count
