"""The sums by minute and hour: kept current, and always what a rebuild would make."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from midwatch_ledger.models import LlmCallLog, PerformanceMetric
from midwatch_ledger.models.rollups import DURATION_BOUNDS_MS, DURATION_CLASSES
from midwatch_ledger.services.rollups import catch_up, rebuild, sum_up
from midwatch_ledger.store import rollups as store
from midwatch_ledger.store.writing import delete_trace

TRACES = [f"{number:032x}" for number in range(1, 5)]


@pytest.fixture
def several(open_ledger: Any, postgres: Any, used_template: str) -> Any:
    """A ledger on PostgreSQL, where several write at once."""
    return open_ledger(postgres.create_database(used_template))


def summed(ledger: Any, **wanted: Any) -> list[dict[str, Any]]:
    """Sum up what is stale, and give the sums that match."""
    catch_up(ledger.database)
    return [
        row
        for row in ledger.rows(PerformanceMetric)
        if all(row[name] == value for name, value in wanted.items())
    ]


def turn(otlp: Any, trace_id: str, *, at: float = 0.0) -> list[Any]:
    """Give the spans of a turn in a trace that begins so many seconds after the start."""
    begun = type(otlp)(trace_id=trace_id, start=otlp.start + int(at * 1e9))
    return list(begun.turn())


def test_a_minute_has_the_sums_of_what_began_in_it(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())

    calls = summed(ledger, resolution="minute", kind="llm_call")

    assert {row["agent"]: (row["count"], row["cost"], row["priced"]) for row in calls} == {
        "supervisor": (1, Decimal("0.0003"), 1),
        "monitor": (1, Decimal("0.0009"), 1),
    }
    assert {(row["service"], row["model"], row["provider"]) for row in calls} == {
        ("security-agent", "gpt-small", "openai")
    }
    assert sum(row["input_tokens"] for row in calls) == 200


def test_durations_are_counted_in_their_classes(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())

    (row,) = summed(ledger, resolution="minute", kind="llm_call", agent="supervisor")

    assert row["duration_ms"] == row["slowest_ms"] == 300
    counted = [row[name] for name in DURATION_CLASSES]
    assert counted.index(1) == DURATION_BOUNDS_MS.index(500)
    assert sum(counted) == row["count"]


def test_hours_are_the_sums_of_their_minutes(ledger: Any) -> None:
    for number, trace_id in enumerate(TRACES):
        ledger.send(*turn(ledger.otlp, trace_id, at=number * 45))

    rows = summed(ledger)

    for name in ("count", "duration_ms", "cost", "input_tokens"):
        by_resolution: defaultdict[str, Any] = defaultdict(Decimal)
        for row in rows:
            by_resolution[row["resolution"]] += row[name]
        assert by_resolution["minute"] == by_resolution["hour"] > 0, name
    assert len({row["bucket"] for row in rows if row["resolution"] == "minute"}) > 1
    assert len({row["bucket"] for row in rows if row["resolution"] == "hour"}) == 1


def test_a_late_parent_moves_a_call_to_its_agent(ledger: Any) -> None:
    supervisor, call = ledger.otlp.agent(2, None, "supervisor"), ledger.otlp.chat(3, 2)
    ledger.send(call)
    assert [row["agent"] for row in summed(ledger, kind="llm_call", resolution="minute")] == [""]

    ledger.send(supervisor)

    found = summed(ledger, kind="llm_call", resolution="minute")
    assert [(row["agent"], row["count"]) for row in found] == [("supervisor", 1)]


def test_a_trace_whose_beginning_comes_late_is_counted_where_it_began(ledger: Any) -> None:
    first, *rest = turn(ledger.otlp, TRACES[0])
    for span in rest:
        span.start_time_unix_nano += 120 * 10**9
        span.end_time_unix_nano += 120 * 10**9
    ledger.send(*rest)
    (before,) = summed(ledger, kind="trace", resolution="minute")

    ledger.send(first)

    (after,) = summed(ledger, kind="trace", resolution="minute")
    assert after["bucket"] < before["bucket"]
    assert after["count"] == 1


def test_what_is_deleted_is_in_no_sum(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())
    summed(ledger)

    ledger.client.delete(f"/execution-logs/executions/{ledger.otlp.trace_id}")

    assert summed(ledger) == []


def test_repeated_telemetry_changes_no_sum(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())
    before = summed(ledger)

    ledger.send(*ledger.otlp.turn())

    assert summed(ledger) == before


# SQLite has one writer, so that nothing can come in between: these two are about PostgreSQL.
def test_a_mark_set_while_sums_are_made_is_not_lost(several: Any) -> None:
    ledger = several
    ledger.send(*turn(ledger.otlp, TRACES[0]))
    with ledger.database.writing() as connection:
        assert store.take_turn(connection)
        (minute,) = store.take_stale(connection, 10)
        store.sum_up_minute(connection, minute)
        ledger.send(*turn(ledger.otlp, TRACES[1]))

    (row,) = summed(ledger, kind="trace", resolution="minute")
    assert row["count"] == 2


def test_one_replica_at_a_time_sums_up(several: Any) -> None:
    ledger = several
    ledger.send(*ledger.otlp.turn())
    with ledger.database.writing() as connection:
        assert store.take_turn(connection)
        assert sum_up(ledger.database) == 0


def test_a_rebuild_makes_the_same_sums_from_nothing_but_the_rows(ledger: Any) -> None:
    for number, trace_id in enumerate(TRACES):
        ledger.send(*turn(ledger.otlp, trace_id, at=number * 1800))
    before = summed(ledger)

    assert rebuild(ledger.database) == 4
    assert ledger.rows(PerformanceMetric) == before


def test_sums_are_made_without_being_asked_for(open_ledger: Any, sqlite_url: str) -> None:
    ledger = open_ledger(sqlite_url, rollup_seconds=0.1)

    ledger.send(*ledger.otlp.turn())

    deadline = time.monotonic() + 20
    while not ledger.rows(PerformanceMetric):
        assert time.monotonic() < deadline
        time.sleep(0.05)


# Each example empties the database itself, so that it can be one for all of them.
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), pauses=st.lists(st.integers(0, 10), max_size=3))
def test_however_telemetry_comes_the_sums_are_those_of_a_rebuild(
    ledger: Any, seed: int, pauses: list[int]
) -> None:
    chance = random.Random(seed)  # noqa: S311 -- an order, not a secret
    spans = [
        span
        for number, trace_id in enumerate(TRACES)
        for span in turn(ledger.otlp, trace_id, at=number * 40)
    ]
    chance.shuffle(spans)
    sent = 0
    while spans:
        some = chance.randint(1, 4)
        ledger.send(*spans[:some])
        del spans[:some]
        if sent in pauses:
            sum_up(ledger.database)
        sent += 1

    kept = summed(ledger)
    total = sum(row["total_cost"] for row in ledger.rows(LlmCallLog))
    hours = [row for row in kept if (row["resolution"], row["kind"]) == ("hour", "llm_call")]
    assert sum(row["cost"] for row in hours) == total
    rebuild(ledger.database)
    assert ledger.rows(PerformanceMetric) == kept
    with ledger.database.writing() as connection:
        for trace_id in TRACES:
            delete_trace(connection, trace_id)
    assert summed(ledger) == []
