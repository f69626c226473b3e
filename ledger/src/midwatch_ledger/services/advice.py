"""Ways to save: each looks at sums and samples, and gives advice with its evidence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from midwatch_ledger.services import inference
from midwatch_ledger.services.prices_paid import PricePaid

Record = dict[str, Any]
Prices = Mapping[tuple[str, str], PricePaid]

SHORT_INPUT_TOKENS, SHORT_OUTPUT_TOKENS = 1_000, 200
"""A call with no more than these is short: most models answer such well."""

_LEAST_CALLS = 20
_MUCH_CHEAPER = Decimal("0.5")
_LONG_INPUT_TOKENS = 4_000
_MUCH_MORE_INPUT = 20
_CUT_OF_LONG_PROMPTS = Decimal("0.2")
_ZERO = Decimal(0)


@dataclass(frozen=True)
class Advice:
    """One way to save: of what kind, about what, how much, and why one may think so.

    `saving` is None where the amount can't be known.
    """

    kind: str
    subject: dict[str, str]
    saving: Decimal | None
    evidence: dict[str, Any]
    advice: str


def cheaper_models(
    sums_by_model: list[Record], sampled: list[Record], prices: Prices
) -> Iterator[Advice]:
    """Advise a cheaper model of the same provider for the short calls of a model.

    Only models that are in use here count, at the prices that were really paid, and that don't
    fail more often.
    """
    prices = {key: price for key, price in prices.items() if price.calls >= _LEAST_CALLS}
    failures = _failures(sums_by_model)
    for (provider, model), price in prices.items():
        short = [row for row in sampled if row["short"] and _key(row) == (provider, model)]
        calls = sum(row["calls"] for row in short)
        if calls < _LEAST_CALLS:
            continue
        cost = sum((row["cost"] for row in short), _ZERO)
        offers = {
            other: other_price.of(short)
            for (other_provider, other), other_price in prices.items()
            if other_provider == provider
            and other != model
            and not _fails_more(failures[provider, model], failures[provider, other])
        }
        cheapest = min(offers, key=lambda other: (offers[other], other), default=None)
        if cheapest is None or not cost or offers[cheapest] > cost * _MUCH_CHEAPER:
            continue
        whole = sum((row["cost"] for row in sums_by_model if _key(row) == (provider, model)), _ZERO)
        share = cost / price.cost
        yield Advice(
            "cheaper_model",
            {"provider": provider, "model": model, "instead": cheapest},
            whole * share * (1 - offers[cheapest] / cost),
            {
                "short_calls_in_sample": calls,
                "calls_in_sample": price.calls,
                "short_share_of_cost": float(share),
                "relative_price": float(offers[cheapest] / cost),
                "short_means": f"at most {SHORT_INPUT_TOKENS} input and {SHORT_OUTPUT_TOKENS} "
                "output tokens",
                "agents": _most_common(short),
            },
            f"Try {cheapest} for short calls of {model}, as an experiment: quality isn't measured.",
        )


def cached_answers(sums_by_model: list[Record], prompts: list[Record]) -> Iterator[Advice]:
    """Advise a cache where the very same prompt is asked again."""
    by_key: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for call in prompts:
        if call["has_prompt"]:
            by_key[call["agent"], call["model"]].append(call)
    for (agent, model), calls in by_key.items():
        seen: Counter[str] = Counter()
        repeated, cost = _ZERO, _ZERO
        for call in calls:
            its_cost = call["cost"] or _ZERO
            cost += its_cost
            if call["digest"] is not None:
                repeated += its_cost if call["digest"] in seen else _ZERO
                seen[call["digest"]] += 1
        if repeated:
            whole = sum(
                (
                    row["cost"]
                    for row in sums_by_model
                    if (row["agent"], row["model"]) == (agent, model)
                ),
                _ZERO,
            )
            yield Advice(
                "cache_answers",
                {"agent": agent, "model": model},
                whole * repeated / cost,
                {
                    "calls_in_sample": len(calls),
                    "repeated_calls": seen.total() - len(seen),
                    "repeated_share_of_cost": float(repeated / cost),
                    "prompts": [
                        {"sha256": digest, "calls": count}
                        for digest, count in seen.most_common(5)
                        if count > 1
                    ],
                },
                "Keep the answers to prompts that come again word by word.",
            )


def long_prompts(sums_by_model: list[Record], prices: Prices) -> Iterator[Advice]:
    """Advise shorter prompts, or the provider's cache, where input makes nearly all of the cost."""
    for row in sums_by_model:
        calls, inputs = int(row["count"]), int(row["input_tokens"])
        outputs, cached = int(row["output_tokens"]), int(row["cache_read_tokens"])
        if calls < _LEAST_CALLS or inputs < _LONG_INPUT_TOKENS * calls:
            continue
        if inputs < _MUCH_MORE_INPUT * max(1, outputs) or cached * 2 > inputs:
            continue
        price = prices.get(_key(row))
        share = price.input_share if price is not None else None
        yield Advice(
            "shorter_prompts",
            {"agent": row["agent"], "model": row["model"]},
            None if share is None else row["cost"] * share * _CUT_OF_LONG_PROMPTS,
            {
                "calls": calls,
                "avg_input_tokens": inputs / calls,
                "avg_output_tokens": outputs / calls,
                "cached_share": cached / inputs,
                "assumes": "a fifth less input",
            },
            "Shorten the prompt, send less history, or order it so that the provider can cache it.",
        )


def failed_calls(sums_by_model: list[Record]) -> Iterator[Advice]:
    """Tell what calls that failed have cost: they were paid for, and tried again."""
    for row in sums_by_model:
        if row["failed"] and row["failed_cost"]:
            yield Advice(
                "retries",
                {"agent": row["agent"], "model": row["model"]},
                row["failed_cost"],
                {"failed_calls": int(row["failed"]), "calls": int(row["count"])},
                "Find out why these calls fail: they are paid for and made again.",
            )


def unpriced_models(sums_by_model: list[Record]) -> Iterator[Advice]:
    """Name models whose price isn't known: what they cost is in no sum."""
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for row in sums_by_model:
        if int(row["priced"]) < int(row["count"]) - int(row["failed"]):
            found[_key(row)].append(row)
    for (provider, model), rows in found.items():
        yield Advice(
            "unpriced_model",
            {"provider": provider, "model": model},
            None,
            {
                "calls_without_cost": sum(int(row["count"]) - int(row["priced"]) for row in rows),
                "input_tokens": sum(int(row["input_tokens"]) for row in rows),
                "output_tokens": sum(int(row["output_tokens"]) for row in rows),
            },
            "Add its price to the price file (MIDWATCH_PRICES_FILE): its cost is in no sum.",
        )


def _failures(rows: list[Record]) -> dict[tuple[str, str], tuple[int, int]]:
    found: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        failed, count = found[_key(row)]
        found[_key(row)] = failed + int(row["failed"]), count + int(row["count"])
    return found


def _fails_more(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether the other surely fails more often than the one."""
    if not one[1] or not other[1]:
        return True
    return inference.compare_ratios(one, other, 0.95).lower > 0


def _key(row: Record) -> tuple[str, str]:
    return row["provider"], row["model"]


def _most_common(sampled: list[Record]) -> list[str]:
    calls: Counter[str] = Counter()
    for row in sampled:
        calls[row["agent"]] += row["calls"]
    return [agent for agent, _ in calls.most_common(5)]
