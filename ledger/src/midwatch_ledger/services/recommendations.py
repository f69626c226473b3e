"""Where money could be saved: each advice with its evidence and an estimate in dollars.

Estimates say what the calls of the period would have cost less; `monthly_usd` is the same for 30
days. Nothing here knows whether answers would be as good: that is what experiments are for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from midwatch_ledger.services.advice import (
    SHORT_INPUT_TOKENS,
    SHORT_OUTPUT_TOKENS,
    Advice,
    cached_answers,
    cheaper_models,
    failed_calls,
    long_prompts,
    unpriced_models,
)
from midwatch_ledger.services.bottlenecks import begins_of
from midwatch_ledger.services.prices_paid import prices_paid
from midwatch_ledger.store import repetition, samples
from midwatch_ledger.store.sums import Question, sums

Record = dict[str, Any]

BY_MODEL = ("provider", "model", "agent")
"""What sums of model calls are kept apart by, for advice about them."""

_COLUMNS = ("input_tokens", "output_tokens", "cache_read_tokens", "cost", "priced")
_MOST_CALLS = 2_000
_MOST_PROMPTS = 1_000
_MOST_LOOPS = 500
_MONTH = timedelta(days=30)
_ZERO = Decimal(0)


def recommend(connection: Connection, question: Question, least: Decimal) -> Record:
    """Return all advice that saves at least so many dollars in the period, the most first."""
    asked = replace(question, kind="llm_call", group_by=BY_MODEL, columns=_COLUMNS)
    return recommend_by(
        connection, question, least, sums(connection, asked), begins_of(connection, question)
    )


def recommend_by(
    connection: Connection,
    question: Question,
    least: Decimal,
    by_model: list[Record],
    begins: Sequence[datetime],
) -> Record:
    """Return the same to one who has read sums of the period's calls already, and its places.

    The sums are kept apart by `BY_MODEL`; `begins` are times that divide the turns evenly.
    """
    short = (SHORT_INPUT_TOKENS, SHORT_OUTPUT_TOKENS)
    sampled = samples.calls(connection, begins, question.end, question.equal, _MOST_CALLS, short)
    prices = prices_paid(sampled)
    prompts = repetition.prompts(connection, question, _MOST_PROMPTS)
    turns = sums(
        connection,
        replace(question, kind="trace", group_by=("agent",), columns=("cost", "priced")),
    )
    looping = samples.looping_turns(connection, question, _MOST_LOOPS)
    advice = [
        *cheaper_models(by_model, sampled, prices),
        *cached_answers(by_model, prompts),
        *long_prompts(by_model, prices),
        *failed_calls(by_model),
        *_failed_turns(turns),
        *_loops(turns, looping),
        *unpriced_models(by_model),
    ]
    cost = sum((row["cost"] for row in by_model), _ZERO)
    monthly = Decimal(_MONTH / (question.end - question.start))
    return {
        "start_date": question.start,
        "end_date": question.end,
        "cost_usd": cost,
        "sampled_calls": sum(row["calls"] for row in sampled),
        "sampled_prompts": len(prompts),
        "items": [_told(one, cost, monthly) for one in _worth_telling(advice, least)],
    }


def _worth_telling(advice: list[Advice], least: Decimal) -> list[Advice]:
    kept = [
        one for one in advice if one.saving is None or one.saving >= max(least, Decimal("1e-9"))
    ]
    return sorted(
        kept, key=lambda one: (one.saving is None, -(one.saving or _ZERO), str(one.subject))
    )


def _failed_turns(turns: list[Record]) -> Iterator[Advice]:
    for row in turns:
        if row["failed"] and row["failed_cost"]:
            yield Advice(
                "failed_turns",
                {"agent": row["agent"]},
                row["failed_cost"],
                {"failed_turns": int(row["failed"]), "turns": int(row["count"])},
                "What these turns cost was spent for nothing.",
            )


def _loops(turns: list[Record], looping: list[Record]) -> Iterator[Advice]:
    usual = {row["agent"]: row["cost"] / int(row["priced"]) for row in turns if row["priced"]}
    by_agent: dict[str, list[Decimal]] = defaultdict(list)
    for turn in looping:
        if turn["cost"] is not None:
            by_agent[turn["agent"] or ""].append(turn["cost"])
    for agent, costs in by_agent.items():
        saving = sum(costs, _ZERO) - usual.get(agent, _ZERO) * len(costs)
        yield Advice(
            "loops",
            {"agent": agent},
            saving,
            {
                "looping_turns": len(costs),
                "avg_usd": float(sum(costs, _ZERO) / len(costs)),
                "usual_usd": float(usual.get(agent, _ZERO)),
            },
            "Bound how often agents may hand over to each other in a turn.",
        )


def _told(one: Advice, cost: Decimal, monthly: Decimal) -> Record:
    return {
        "kind": one.kind,
        "subject": one.subject,
        "saving_usd": one.saving,
        "monthly_usd": None if one.saving is None else one.saving * monthly,
        "share_of_cost": float(one.saving / cost) if one.saving is not None and cost else None,
        "evidence": one.evidence,
        "advice": one.advice,
    }
