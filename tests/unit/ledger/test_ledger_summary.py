"""S4's summary from the sums: exactly what the rows say, wherever the period begins and ends."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from midwatch_ledger.models import ExecutionLog, LlmCallLog, PerformanceMetric
from midwatch_ledger.services import retention
from midwatch_ledger.services.retention import Policy
from midwatch_ledger.services.rollups import catch_up
from midwatch_ledger.store.rollups import mark_stale
from midwatch_ledger.store.windows import divide
from sqlalchemy import delete

START = datetime.fromtimestamp(1_795_000_000, UTC)
SUMMED_AT = (0, 55.5, 1_150, 3_190, 3_199.9, 3_210, 6_800, 7_100, 10_420, 10_450)
LATE_AT = (1_151, 7_000)
LENGTH = 11_000
MODELS = ("gpt-small", "gpt-large", "claude-small")


def turn(otlp: Any, number: int, at: float) -> list[Any]:
    """Give the spans of a turn that differs from the others, so many seconds after the start."""
    begun = type(otlp)(trace_id=f"{number + 1:032x}", start=otlp.start + int(at * 1e9))
    error = "TimeoutError" if number % 3 == 1 else None
    return [
        begun.agent(1, None, f"agent-{number % 4}", seconds=2 + number, error=error),
        begun.chat(2, 1, at=0.3, gen_ai__request__model=MODELS[number % 3], error=error),
        begun.tool(3, 1, "read", at=1.1, seconds=0.001 * (number + 1)),
        begun.span(4, 1, at=2.5, gen_ai__operation__name="chat"),
    ]


@pytest.fixture
def filled(ledger: Any) -> Any:
    """A ledger with turns over three hours: most are summed up, some came after that."""
    for times, first in ((SUMMED_AT, 0), (LATE_AT, len(SUMMED_AT))):
        for number, at in enumerate(times, start=first):
            assert ledger.send(*turn(ledger.otlp, number, at)).status_code == 200
        if first == 0:
            catch_up(ledger.database)
    return ledger


def summary(ledger: Any, start: datetime, end: datetime) -> Any:
    period = {"start_date": start.isoformat(), "end_date": end.isoformat()}
    answer = ledger.client.get("/execution-logs/analytics/summary", params=period)
    return answer.raise_for_status().json()


def from_rows(ledger: Any, start: datetime, end: datetime) -> dict[str, Any]:
    """Work out the summary from all rows, one by one."""
    logs = [row for row in ledger.rows(ExecutionLog) if start <= row["start_time"] < end]
    calls = [row for row in ledger.rows(LlmCallLog) if start <= row["start_time"] < end]
    took = [row["duration_ms"] for row in logs]
    models = sorted({(row["provider"], row["model_id"]) for row in calls})
    breakdown = [
        {"provider": provider, "model_id": model, **tokens(row for row in calls if of(row, model))}
        for provider, model in models
    ]
    totals = tokens(calls)
    return {
        "execution_analytics": {
            "total_executions": len(logs),
            "success_rate": statuses(logs)["completed"] / len(logs) if logs else None,
            "status_counts": dict(statuses(logs)),
            "agent_type_counts": dict(Counter(row["agent_type"] for row in logs)),
            "duration_stats": {
                "avg_duration_ms": sum(took) / len(took) if took else None,
                "min_duration_ms": min(took, default=None),
                "max_duration_ms": max(took, default=None),
            },
        },
        "llm_call_analytics": {
            "total_calls": totals.pop("total_calls"),
            "provider_counts": dict(Counter(row["provider"] for row in calls)),
            "model_counts": dict(Counter(row["model_id"] for row in calls)),
            "token_stats": totals,
            "cost_breakdown": sorted(breakdown, key=lambda row: -row["total_cost"]),
        },
    }


def statuses(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(row["status"] for row in rows)


def of(row: dict[str, Any], model: str) -> bool:
    return bool(row["model_id"] == model)


def tokens(rows: Any) -> dict[str, Any]:
    rows = list(rows)
    names = ("input_tokens", "output_tokens", "total_tokens")
    found = {
        f"total_{name.removeprefix('total_')}": sum(row[name] or 0 for row in rows)
        for name in names
    }
    cost = float(sum((row["total_cost"] or Decimal(0) for row in rows), Decimal(0)))
    return {"total_calls": len(rows), **found, "total_cost": cost}


seconds = st.one_of(
    st.sampled_from([*SUMMED_AT, *LATE_AT]).map(float),
    st.integers(-2, 180).map(lambda minute: minute * 60.0 - 40),
    st.floats(-100, LENGTH),
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ends=st.tuples(seconds, seconds))
def test_the_summary_of_any_period_is_what_its_rows_say(
    filled: Any, ends: tuple[float, float]
) -> None:
    start, end = (START + timedelta(seconds=one) for one in sorted(ends))

    told = summary(filled, start, end)

    assert told.pop("date_range").keys() == {"start_date", "end_date"}
    assert told == from_rows(filled, start, end)


@settings(max_examples=100, deadline=None)
@given(ends=st.tuples(seconds, seconds), stale=st.sets(st.integers(0, 180), max_size=5))
def test_the_parts_of_a_period_are_the_period_and_read_no_stale_minute_from_sums(
    ends: tuple[float, float], stale: set[int]
) -> None:
    start, end = (START + timedelta(seconds=one) for one in sorted(ends))
    first = START.replace(second=0)
    marked = {first + timedelta(minutes=number) for number in stale}

    parts = divide(start, end, marked)

    stretches = sorted([*parts.hours, *parts.minutes, *parts.rows])
    assert sum((until - begin for begin, until in stretches), timedelta(0)) == end - start
    assert all(one[1] <= other[0] for one, other in pairwise(stretches))
    assert all(start <= begin < until <= end for begin, until in stretches)
    summed = [*parts.hours, *parts.minutes]
    assert not any(begin <= minute < until for minute in marked for begin, until in summed)
    assert all((one.second, one.microsecond) == (0, 0) for stretch in summed for one in stretch)
    assert all(one.minute == 0 for stretch in parts.hours for one in stretch)


def test_with_much_that_waits_to_be_summed_up_the_summary_still_says_what_the_rows_say(
    filled: Any,
) -> None:
    start, end = START - timedelta(hours=1), START + timedelta(hours=4)
    with filled.database.writing() as connection:
        connection.execute(delete(PerformanceMetric))
        mark_stale(connection, [START + timedelta(minutes=number) for number in range(-10, 190)])

    told = summary(filled, start, end)

    told.pop("date_range")
    assert told == from_rows(filled, start, end)


def test_what_retention_has_deleted_stays_in_the_summary_as_it_stays_in_the_sums(
    filled: Any,
) -> None:
    catch_up(filled.database)
    start, end = START - timedelta(hours=1), START + timedelta(hours=4)
    before = summary(filled, start, end)

    policy = Policy(30, {"performance_metrics": 400})
    retention.apply(filled.database, policy, START + timedelta(days=40))

    assert filled.rows(ExecutionLog) == filled.rows(LlmCallLog) == []
    assert before["execution_analytics"]["duration_stats"]["min_duration_ms"] == 1
    assert summary(filled, start, end) == before


def test_what_is_deleted_on_request_is_in_no_summary(filled: Any) -> None:
    start, end = START - timedelta(hours=1), START + timedelta(hours=4)
    filled.client.delete(f"/execution-logs/executions/{1:032x}").raise_for_status()
    deleted = summary(filled, start, end)
    catch_up(filled.database)

    assert deleted == summary(filled, start, end)
    assert deleted["execution_analytics"]["total_executions"] == 2 * (
        len(SUMMED_AT) + len(LATE_AT) - 1
    )


def test_periods_at_the_ends_of_the_calendar_are_answered(ledger: Any) -> None:
    first, last = "0001-01-01T00:00:00", "9999-12-31T23:59:59.5"
    periods = (
        (f"{first}%2B14:00", "0001-01-02T00:00:00Z"),
        ("", "0001-01-02T00:00:00Z"),
        ("9999-12-31T23:59:30Z", f"{last}Z"),
        ("9999-12-30T22:10:30Z", f"{last}-14:00"),
        (f"{first}Z", f"{last}Z"),
    )
    routes = (
        "/execution-logs/analytics/summary",
        "/execution-logs/llm-calls",
        "/monitoring/performance",
        "/analytics/outcomes",
    )

    for start, end in periods:
        asked = f"{f'start_date={start}&' if start else ''}end_date={end}"
        for route in routes:
            answer = ledger.client.get(f"{route}?{asked}")
            assert answer.status_code in (200, 422), (route, asked)
            if route.startswith("/execution-logs"):
                assert answer.status_code == 200, (route, asked)
