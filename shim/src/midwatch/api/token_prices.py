"""Prices that an application gives by hand, as S4 (execution logs) has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from midwatch.api.arguments import number, text
from midwatch.instruments.prices import Cost
from midwatch.instruments.tokens import TokenUsage

TABLE = "token_prices"
"""What the price's table is called on spans."""

_PER = Decimal(1000)
_DATED = re.compile(r"[-@:]v?\d[\w.-]*")


def split_cost(prices: object, model: str, usage: TokenUsage) -> tuple[Decimal, Decimal] | None:
    """What input and output cost in US dollars; None if the table does not have the model.

    Prices are in US dollars for a thousand tokens. A model is known by its name, or by its name
    with a version or a date after it; of several names the longest counts.
    """
    if not isinstance(prices, Mapping):
        return None
    lowered = model.lower()
    matching = [key for key in list(prices) if isinstance(key, str) and _names(key, lowered)]
    if not matching:
        return None
    price = prices[max(matching, key=len)]
    if not isinstance(price, Mapping):
        return None
    into, out = number(price.get("input")), number(price.get("output"))
    if into is None or out is None or into < 0 or out < 0:
        return None
    return (
        usage.input * Decimal(str(into)) / _PER,
        usage.output * Decimal(str(out)) / _PER,
    )


def as_cost(parts: tuple[Decimal, Decimal]) -> Cost:
    """Both parts as a cost."""
    return Cost(sum(parts, Decimal(0)), TABLE, "application")


def _names(key: str, model: str) -> bool:
    name = text(key).lower()
    if not name or not model.startswith(name):
        return False
    rest = model[len(name) :]
    return not rest or _DATED.fullmatch(rest) is not None
