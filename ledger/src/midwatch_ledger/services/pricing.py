"""What a call costs by the price tables that were imported: the shim's rules, on kept rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from midwatch_ledger.models.types import SMALLEST_AMOUNT
from midwatch_ledger.services.price_documents import Price

_MILLION = Decimal(1_000_000)
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Cost:
    """What a call costs in US dollars, to nine places, and which table says so."""

    input: Decimal
    output: Decimal
    total: Decimal
    table: str
    version: str
    effective_date: str | None


@dataclass(frozen=True)
class TableVersion:
    """One version of a price table, ready to price calls."""

    name: str
    version: str
    effective_date: datetime | None
    prices: tuple[Price, ...]

    @classmethod
    def of(cls, row: Record) -> TableVersion:
        """Return the version that a row holds."""
        prices = tuple(Price.model_validate(price) for price in row["prices"])
        return cls(row["name"], row["version"], row["effective_date"], prices)

    def cost(self, call: Record) -> Cost | None:
        """Return what a call costs, None if no price matches it: a price is never guessed."""
        if call["input_tokens"] is None and call["output_tokens"] is None:
            return None
        price = next((price for price in self.prices if _matches(price, call)), None)
        if price is None:
            return None
        inputs, outputs = _parts(price, call)
        total = _rounded(inputs + outputs)
        into = min(_rounded(inputs), total)
        since = self.effective_date
        return Cost(
            into,
            total - into,
            total,
            self.name,
            self.version,
            None if since is None else since.date().isoformat(),
        )


def in_force(versions: Sequence[TableVersion], moment: datetime) -> TableVersion | None:
    """Return the version that holds at a time, of those in the order in which they take effect."""
    return next(
        (
            version
            for version in reversed(versions)
            if version.effective_date is None or version.effective_date <= moment
        ),
        None,
    )


def _matches(price: Price, call: Record) -> bool:
    if price.provider is not None and price.provider != call["provider"]:
        return False
    if price.service_tier is not None and price.service_tier != (call["service_tier"] or ""):
        return False
    above = price.above_input_tokens
    if above is not None and (call["input_tokens"] or 0) <= above:
        return False
    if price.model.endswith("*"):
        return str(call["model"]).startswith(price.model[:-1])
    return bool(call["model"] == price.model)


def _parts(price: Price, call: Record) -> tuple[Decimal, Decimal]:
    """Return what input and output cost, each kind of token as what it is and none twice."""
    inputs, outputs = call["input_tokens"] or 0, call["output_tokens"] or 0
    read, written = call["cache_read_tokens"] or 0, call["cache_write_tokens"] or 0
    for_an_hour = min(call["cache_write_1h_tokens"] or 0, written)
    thought = call["reasoning_tokens"] or 0
    per_input, per_output = price.input_per_million, price.output_per_million
    per_written = _or(price.cache_write_per_million, per_input)
    into = (
        max(inputs - read - written, 0) * per_input
        + read * _or(price.cache_read_per_million, per_input)
        + (written - for_an_hour) * per_written
        + for_an_hour * _or(price.cache_write_1h_per_million, per_written)
    )
    out = max(outputs - thought, 0) * per_output + thought * _or(
        price.reasoning_per_million, per_output
    )
    return into / _MILLION, out / _MILLION


def _or(price: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if price is None else price


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(SMALLEST_AMOUNT, ROUND_HALF_EVEN)
