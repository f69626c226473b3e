"""Prompts that come again: found among the newest calls, by digests that the database makes."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from midwatch_ledger.models import LlmCallLog
from midwatch_ledger.services.performance import question
from midwatch_ledger.store import repetition

START = datetime.fromtimestamp(1_795_000_000, UTC)
# Some are as long as others, in characters or in bytes, and one is long enough to be kept apart.
TEXTS = ["what", "when", "wähn", "where", "", "where to?", "how " * 5_000, "why " * 5_000]


def digest(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def send_calls(ledger: Any) -> None:
    """Send sixty calls within two days, by two agents and by nobody; some failed."""
    chance = random.Random(3)  # noqa: S311 -- a simulation
    ledger.send(
        *(
            ledger.otlp.chat(
                number,
                at=number * 3_000 + chance.random(),
                error="Timeout" if number % 13 == 0 else None,
                gen_ai__request__model=f"model-{number % 2}",
                midwatch__llm__cost_usd=number / 1_000,
                **({"gen_ai__agent__name": f"agent-{number % 4}"} if number % 3 else {}),
                **({"gen_ai__input__messages": chance.choice(TEXTS)} if number % 7 else {}),
            )
            for number in range(1, 61)
        )
    )


def test_the_same_prompts_of_an_agent_to_a_model_have_the_same_digest(ledger: Any) -> None:
    send_calls(ledger)
    asked = question("llm_call", START, START + timedelta(days=2, hours=4))
    completed = [row for row in ledger.rows(LlmCallLog) if row["status"] == "completed"]
    completed.sort(key=lambda row: row["start_time"], reverse=True)
    for most in (3, 25, 100):
        with ledger.database.reading() as connection:
            told = repetition.prompts(connection, asked, most)

        wanted = [
            (row["model_id"], row["agent"] or "", row["prompt"], row["total_cost"])
            for row in completed[:most]
        ]
        assert [(row["model"], row["agent"], row["cost"]) for row in told] == [
            (model, agent, cost) for model, agent, _, cost in wanted
        ]
        times = Counter((model, agent, prompt) for model, agent, prompt, _ in wanted)
        for row, (model, agent, prompt, _) in zip(told, wanted, strict=True):
            assert row["has_prompt"] == bool(prompt)
            if prompt and times[model, agent, prompt] > 1:
                assert row["digest"] == digest(prompt)
            else:
                assert row["digest"] in (None, digest(prompt or ""))
    # What has a length of its own isn't even read.
    assert any(row["has_prompt"] and row["digest"] is None for row in told)


def test_prompts_are_narrowed_and_none_are_found_where_there_are_none(ledger: Any) -> None:
    send_calls(ledger)
    asked = question("llm_call", START, START + timedelta(days=2, hours=4))
    with ledger.database.reading() as connection:
        narrowed = {
            service: len(
                repetition.prompts(connection, replace(asked, equal={"service": service}), 100)
            )
            for service in ("security-agent", "other")
        }
        before = replace(asked, start=START - timedelta(days=1), end=START)

        assert narrowed == {"security-agent": 56, "other": 0}
        assert repetition.prompts(connection, before, 100) == []
