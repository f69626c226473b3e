"""What the demo's traffic costs is the same in the ledger and in Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.programs

LEAST_CALLS = 20
TOLERANCE = 0.01
MEASURES = {
    "total_cost": "sum(agent_llm_cost_usd_total)",
    "total_input_tokens": 'sum(agent_llm_tokens_total{token_type="input"})',
    "total_output_tokens": 'sum(agent_llm_tokens_total{token_type="output"})',
    "total_calls": "sum(agent_llm_requests_total)",
}


def in_the_ledger(running: Any) -> dict[str, float]:
    """Give the sums of all rows of model calls."""
    now = datetime.now(UTC)
    answer = httpx.get(
        f"{running.client.url('ledger')}/execution-logs/analytics/summary",
        params={
            "start_date": (now - timedelta(hours=2)).isoformat(),
            "end_date": (now + timedelta(hours=1)).isoformat(),
        },
        timeout=10,
        trust_env=False,
    )
    found = answer.raise_for_status().json()["llm_call_analytics"]
    return {"total_calls": found["total_calls"], **found["token_stats"]}


def in_prometheus(running: Any) -> dict[str, float]:
    """Give the same sums of the counters."""
    return {
        name: sum(float(row["value"][1]) for row in running.sources.query(expression))
        for name, expression in MEASURES.items()
    }


def test_the_ledger_and_prometheus_agree_on_what_was_used_and_spent(running: Any) -> None:
    running.eventually(lambda: in_the_ledger(running)["total_calls"] >= LEAST_CALLS, seconds=90)
    # Both are some seconds behind, each by its own: they can be compared once nothing is added.
    running.load("PUT", "faults/people-away")
    found: list[tuple[dict[str, float], dict[str, float]]] = []

    def agree() -> bool:
        found.append((in_the_ledger(running), in_prometheus(running)))
        ledger, prometheus = found[-1]
        return all(
            ledger[name] > 0 and abs(prometheus[name] - ledger[name]) <= TOLERANCE * ledger[name]
            for name in MEASURES
        )

    try:
        running.eventually(agree, seconds=45)
    except AssertionError:
        pytest.fail(f"they differ: ledger and Prometheus say {found[-1]}")
    finally:
        running.load("DELETE", "faults")
