"""Samples: the places that divide a period's traffic, and what is found there."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch_ledger.models import LlmCallLog
from midwatch_ledger.models.boundary import Boundary, within
from midwatch_ledger.services.bottlenecks import begins_among
from midwatch_ledger.services.performance import question
from midwatch_ledger.store import repetition, samples
from midwatch_ledger.store.places import PLACES, places

START = datetime.fromtimestamp(1_795_000_000, UTC)
HOUR = timedelta(hours=1)
SHORT = (500, 100)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 1_000), max_size=40))
def test_places_divide_traffic_evenly(counts: list[int]) -> None:
    traffic = [(START + n * HOUR, START + (n + 1) * HOUR, count) for n, count in enumerate(counts)]

    found = places(traffic)

    def before(moment: datetime) -> float:
        return sum(
            count * min(max((moment - begin) / HOUR, 0.0), 1.0) for begin, _, count in traffic
        )

    assert len(found) == (PLACES if sum(counts) else 0)
    for number, place in enumerate(found):
        assert before(place) == pytest.approx(sum(counts) * number / PLACES, abs=0.001)
    assert found == sorted(found)


def test_places_lie_in_the_period_also_where_its_hours_are_not_full() -> None:
    asked = question("trace", START, START + 26 * HOUR)
    full = asked.start.replace(minute=0)
    turns = [{"bucket": full + n * HOUR, "count": 10} for n in range(27)]

    found = begins_among(turns, asked)

    assert found[0] == asked.start
    assert found[-1] < asked.end


def calls(ledger: Any) -> list[Any]:
    """Give a hundred calls of four models, by two agents and by nobody, some without a cost."""
    chance = random.Random(7)  # noqa: S311 -- a simulation
    spans = []
    for number in range(1, 101):
        inputs, outputs, dear = chance.randrange(1_000), chance.randrange(200), chance.randrange(9)
        cost = {"midwatch__llm__cost_usd": (inputs + outputs) * dear * 1e-7}
        if number % 5:
            cost["midwatch__llm__input_cost_usd"] = inputs * dear * 1e-7
            cost["midwatch__llm__output_cost_usd"] = outputs * dear * 1e-7
        spans.append(
            ledger.otlp.chat(
                number,
                at=number + chance.random(),
                error="Timeout" if number % 11 == 0 else None,
                gen_ai__request__model=f"model-{number % 4}",
                gen_ai__usage__input_tokens=inputs,
                gen_ai__usage__output_tokens=outputs,
                **({"gen_ai__agent__name": f"agent-{number % 2}"} if number % 3 else {}),
                **(cost if number % 7 else {"midwatch__llm__cost_usd": ""}),
            )
        )
    return spans


def summed(rows: list[dict[str, Any]], begins: list[datetime], end: datetime, share: int) -> Any:
    """Give what the sample is, worked out call by call."""
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0] * 6)
    rows = sorted(rows, key=lambda row: row["start_time"])
    for begin, until in pairwise([*begins, end]):
        here = [
            row
            for row in rows
            if begin <= row["start_time"] < min(until, end)
            and row["total_cost"] is not None
            and row["status"] == "completed"
        ]
        for row in here[:share]:
            taken = [row["input_tokens"] or 0, row["output_tokens"] or 0]
            costs = [row["input_cost"], row["output_cost"]]
            key = (
                *(row["provider"], row["model_id"], row["agent"] or ""),
                *(taken[0] <= SHORT[0] and taken[1] <= SHORT[1], None not in costs),
            )
            added = [1, *taken, *(cost or 0 for cost in costs), row["total_cost"]]
            found[key] = [one + other for one, other in zip(found[key], added, strict=True)]
    return dict(found)


def test_calls_are_sampled_as_many_at_each_place_and_summed_up(ledger: Any) -> None:
    ledger.send(*calls(ledger))
    rows = ledger.rows(LlmCallLog)
    measures = ("calls", "input_tokens", "output_tokens", "input_cost", "output_cost", "cost")
    end = START + timedelta(seconds=90)
    for seconds, most, share in (
        ((0,), 1_000, 1_000),
        ((0,), 7, 7),
        ((10, 20, 50), 30, 10),
        ((10, 10, 88, 95), 40, 10),
        (tuple(range(0, 80, 4)), 45, 3),
    ):
        begins = [START + timedelta(seconds=one) for one in seconds]
        with ledger.database.reading() as connection:
            told = samples.calls(connection, begins, end, {}, most, SHORT)

        kept = ("provider", "model", "agent", "short", "itemized")
        found = {tuple(row[n] for n in kept): [row[n] or 0 for n in measures] for row in told}
        assert found == summed(rows, begins, end, share)
        assert len(told) == len(found)


def test_nothing_is_sampled_without_places(ledger: Any) -> None:
    with ledger.database.reading() as connection:
        assert samples.calls(connection, [], START, {}, 10, SHORT) == []
        assert samples.traces(connection, [], START, {}, 10) == []


def test_samples_reach_no_further_than_the_projects_of_whoever_asks(ledger: Any) -> None:
    asked_by = ("shop", "shop", "bank", None)
    for number, project in enumerate(asked_by, start=1):
        turn = type(ledger.otlp)(f"{number:032x}")
        named = {} if project is None else {"midwatch__project": project}
        ledger.send(turn.chat(1, at=number, gen_ai__input__messages="same", **named))
    begins, end = [START, START + timedelta(seconds=2), START + timedelta(seconds=3)], START + HOUR
    asked = question("llm_call", START, end)

    def sampled(*projects: str) -> tuple[int, int, int]:
        boundary = within(Boundary(frozenset(projects)))
        with ledger.database.reading() as connection, boundary:
            calls = samples.calls(connection, begins, end, {}, 30, SHORT)
            traces = samples.traces(connection, begins, end, {}, 30)
            prompts = repetition.prompts(connection, asked, 30)
        return sum(row["calls"] for row in calls), len(traces), len(prompts)

    assert sampled("shop") == (2, 2, 2)
    assert sampled("bank") == (1, 1, 1)
    assert sampled("bank", "default") == (2, 2, 2)
    assert sampled("nobody") == (0, 0, 0)
