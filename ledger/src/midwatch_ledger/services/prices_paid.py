"""What the tokens of each model really cost, from calls whose costs are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class PricePaid:
    """What a model's tokens cost, in dollars, and how much of the cost the input made."""

    calls: int
    cost: Decimal
    per_input: Decimal
    per_output: Decimal
    input_share: Decimal | None

    def of(self, calls: Sequence[Record]) -> Decimal:
        """Return what these calls (`samples.calls`) would cost at this price."""
        inputs: int = sum(row["input_tokens"] for row in calls)
        outputs: int = sum(row["output_tokens"] for row in calls)
        return self.per_input * inputs + self.per_output * outputs


def prices_paid(calls: Iterable[Record]) -> dict[tuple[str, str], PricePaid]:
    """Return the prices by provider and model, out of the sums of calls (`samples.calls`)."""
    grouped: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for row in calls:
        if row["itemized"]:
            grouped[row["provider"], row["model"]].append(row)
    return {key: _price(found) for key, found in grouped.items()}


def _price(rows: Sequence[Record]) -> PricePaid:
    def total(name: str) -> Decimal:
        return Decimal(sum(row[name] for row in rows))

    inputs, outputs = total("input_cost"), total("output_cost")
    return PricePaid(
        sum(row["calls"] for row in rows),
        total("cost"),
        inputs / (total("input_tokens") or 1),
        outputs / (total("output_tokens") or 1),
        inputs / (inputs + outputs) if inputs + outputs else None,
    )
