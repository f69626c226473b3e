"""S2's performance, cost and dashboard routes, answered from the sums."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from midwatch_ledger.models.rollups import DURATION_BOUNDS_MS
from midwatch_ledger.services.performance import quantile
from midwatch_ledger.services.rollups import sum_up

START = datetime.fromtimestamp(1_795_000_000, UTC)
AROUND = {
    "start_date": (START - timedelta(minutes=5)).isoformat(),
    "end_date": (START + timedelta(minutes=5)).isoformat(),
}


@pytest.fixture
def filled(ledger: Any) -> Any:
    """A ledger with the turn of the fixtures, summed up."""
    ledger.send(*ledger.otlp.turn())
    sum_up(ledger.database, wait=True)
    return ledger


def ask(ledger: Any, route: str, **parameters: Any) -> Any:
    answer = ledger.client.get(f"/monitoring/{route}", params={**AROUND, **parameters})
    return answer.raise_for_status().json()


def groups(answer: Any, name: str, measure: str) -> dict[str, Any]:
    return {group["group"][name]: group[measure] for group in answer["groups"]}


def test_the_total_measures_the_whole_period(filled: Any) -> None:
    total = ask(filled, "performance")["total"]

    assert (total["count"], total["failed"], total["avg_ms"]) == (1, 0, 4000)
    assert total["per_minute"] == pytest.approx(0.1, rel=0.2)
    assert (total["input_tokens"], total["output_tokens"]) == (200, 40)


def test_groups_keep_dimensions_apart(filled: Any) -> None:
    answer = ask(filled, "performance", kind="execution", group_by=["agent"])

    assert groups(answer, "agent", "count").keys() >= {"supervisor", "monitor"}
    assert sum(groups(answer, "agent", "count").values()) == answer["total"]["count"]
    assert answer["total"] == ask(filled, "performance", kind="execution")["total"]


def test_costs_are_told_by_agent_and_model(filled: Any) -> None:
    answer = ask(filled, "costs")

    assert groups(answer, "agent", "cost_usd") == {"supervisor": 0.0003, "monitor": 0.0009}
    assert answer["total"]["cost_usd"] == 0.0012
    assert {group["group"]["model"] for group in answer["groups"]} == {"gpt-small"}


def test_values_of_dimensions_narrow_the_answer(filled: Any) -> None:
    assert ask(filled, "costs", agent="monitor")["total"]["cost_usd"] == 0.0009
    assert ask(filled, "costs", agent="nobody")["total"] is None


def test_failures_are_counted(ledger: Any) -> None:
    failed = ledger.otlp.tool(1, None, "read", error="TimeoutError")
    ledger.send(failed, ledger.otlp.tool(2, None, "read"))
    sum_up(ledger.database, wait=True)

    total = ask(ledger, "performance", kind="execution")["total"]

    assert (total["count"], total["failed"], total["failure_ratio"]) == (2, 1, 0.5)


def test_the_series_adds_up_to_the_total(filled: Any) -> None:
    answer = ask(filled, "costs", over_time=True)

    assert sum(point["count"] for point in answer["series"]) == answer["total"]["count"]
    assert all(AROUND["start_date"] <= point["start"] for point in answer["series"])


def test_hours_tell_of_the_minutes_that_are_asked_for_and_of_no_others(ledger: Any) -> None:
    otlp = ledger.otlp
    for number, minutes in enumerate((0, 3, 20, 700, 1_449, 1_452, 1_500)):
        begun = type(otlp)(trace_id=f"{number + 1:032x}", start=otlp.start + minutes * 60 * 10**9)
        ledger.send(*begun.turn())
    while sum_up(ledger.database, wait=True):
        pass

    def asked(first: float, last: float) -> Any:
        start, end = (START + timedelta(minutes=one) for one in (first, last))
        period = {"start_date": start.isoformat(), "end_date": end.isoformat()}
        return ask(ledger, "performance", kind="llm_call", over_time=True, **period)

    for first, last in ((2, 1_450), (0, 1_453), (-30, 1_449), (2, 1_501)):
        answer, point = asked(first, last), asked(first, last)["series"]
        parts = [asked(first, 800), asked(800, last)]

        assert answer["resolution"] == "hour"
        assert {part["resolution"] for part in parts} == {"minute"}
        assert answer["start_date"] == parts[0]["start_date"]
        assert answer["end_date"] == parts[1]["end_date"]
        for name in ("count", "failed", "input_tokens"):
            total = sum(part["total"][name] for part in parts)
            assert answer["total"][name] == total == sum(one[name] for one in point)
        starts = [one["start"] for one in point]
        assert starts == sorted(set(starts))
        assert {start[14:] for start in starts} == {"00:00Z"}
    # The hour of the start has 60 - 8 minutes of the period, and two turns of two calls in them.
    counts = {one["start"]: (one["count"], one["per_minute"]) for one in asked(2, 1_450)["series"]}
    assert counts["2026-11-18T11:00:00Z"] == (4, pytest.approx(4 / 52))
    assert counts["2026-11-18T22:00:00Z"] == (2, pytest.approx(2 / 60))


def test_long_periods_are_answered_by_hour_and_say_so(filled: Any) -> None:
    early = (START - timedelta(days=30)).isoformat()

    answer = ask(filled, "performance", start_date=early, over_time=True)

    assert (answer["resolution"], answer["total"]["count"]) == ("hour", 1)
    assert {point["start"][14:] for point in answer["series"]} == {"00:00Z"}


def test_the_dashboard_shows_now_beside_before(ledger: Any) -> None:
    now = type(ledger.otlp)(start=int(datetime.now(UTC).timestamp() * 1e9) - 10 * 10**9)
    before = type(now)(trace_id="f" * 32, start=now.start - 3600 * 10**9)
    ledger.send(*now.turn(), *before.turn())
    ledger.client.put(
        "/budgets",
        json={"budgets": [{"scope": "everything", "period": "month", "amount_usd": 1}]},
    )
    sum_up(ledger.database, wait=True)

    shown = ledger.client.get("/monitoring/dashboard").raise_for_status().json()

    assert (shown["traces"]["count"], shown["traces_before"]["count"]) == (1, 1)
    assert groups({"groups": shown["models"]}, "model", "count") == {"gpt-small": 2}
    assert shown["budgets"][0]["spent_usd"] > 0
    assert (shown["unacknowledged_alerts"], shown["stale_minutes"]) == ([], 0)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"start_date": AROUND["end_date"], "end_date": AROUND["start_date"]}, "must lie before"),
        ({"start_date": "2020-01-01", "end_date": "2026-01-01"}, "400 days at most"),
        ({"group_by": "user"}, "query.group_by"),
        ({"kind": "span"}, "query.kind"),
    ],
)
def test_a_wrong_question_is_told_what_is_allowed(ledger: Any, wrong: Any, told: str) -> None:
    answer = ledger.client.get("/monitoring/performance", params=wrong)

    assert answer.status_code == 422
    assert told in answer.json()["detail"]


@given(st.lists(st.integers(0, 700_000), min_size=1, max_size=60), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_class_of_the_true_one(durations: list[int], share: float) -> None:
    counts = [0] * (len(DURATION_BOUNDS_MS) + 1)
    bounds = [*DURATION_BOUNDS_MS, float("inf")]
    for duration in durations:
        counts[next(n for n, bound in enumerate(bounds) if duration <= bound)] += 1
    ordered = sorted(durations)
    true = ordered[max(0, -(-int(share * len(ordered) * 1_000_000) // 1_000_000) - 1)]

    found = quantile(counts, share, max(durations))

    assert found is not None
    upper = next(bound for bound in bounds if true <= bound)
    lower = max((bound for bound in (0, *DURATION_BOUNDS_MS) if bound < max(true, 1)), default=0)
    assert min(lower, max(durations)) <= found <= min(upper, max(durations))


def test_without_durations_there_is_no_quantile() -> None:
    assert quantile([0] * (len(DURATION_BOUNDS_MS) + 1), 0.5, 0) is None
