"""Details beside the sums: flows, outcomes, feedback and prompts, in whatever order they come."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from midwatch_ledger.models import CostDetail, PerformanceMetric
from midwatch_ledger.services.rollups import catch_up, rebuild, sum_up, work_out_details
from midwatch_ledger.store import attribution
from midwatch_ledger.store.writing import delete_trace

TRACES = [f"{number:032x}" for number in range(1, 4)]


def details(ledger: Any, kind: str, *names: str) -> dict[tuple[str, ...], int]:
    """Give how many there are of a kind, by dimensions."""
    catch_up(ledger.database)
    found: dict[tuple[str, ...], int] = {}
    for row in ledger.rows(PerformanceMetric):
        if (row["resolution"], row["kind"]) == ("minute", kind):
            key = tuple(row[name] for name in names)
            found[key] = found.get(key, 0) + row["count"]
    return found


def asked(otlp: Any, number: int, variant: str = "warm", **more: Any) -> Any:
    """Give a model call by a managed prompt."""
    return otlp.chat(
        number,
        1,
        **{
            "at": 0.2,
            "gen_ai__prompt__name": "greeting",
            "gen_ai__prompt__version": "2",
            "midwatch__prompt__label": "production",
            "midwatch__prompt__variant": variant,
            **more,
        },
    )


def outcome(otlp: Any, name: str = "solved", success: object = True, **more: Any) -> Any:
    return otlp.event("outcome.recorded", outcome=name, success=success, **more)


def test_a_flow_leads_from_each_agent_to_the_next_and_ends(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())

    assert details(ledger, "flow", "agent", "target", "status") == {
        ("supervisor", "monitor", "completed"): 1,
        ("monitor", "", "completed"): 1,
    }
    (first,) = [row for row in ledger.rows(PerformanceMetric) if row["target"] == "monitor"][:1]
    assert first["duration_ms"] == 900


def test_an_outcome_counts_for_the_agent_and_minute_of_its_turn(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())
    ledger.send_events(outcome(ledger.otlp, at=300))

    assert details(ledger, "outcome", "agent", "step", "status") == {
        ("supervisor", "solved", "completed"): 1
    }
    minutes = {row["kind"]: row["bucket"] for row in ledger.rows(PerformanceMetric)}
    assert minutes["outcome"] == minutes["trace"]


@pytest.mark.parametrize("told", [True, "true", False, "false"])
def test_success_is_read_however_it_is_written(ledger: Any, told: object) -> None:
    ledger.send_events(outcome(ledger.otlp, success=told))

    wanted = "completed" if told in (True, "true") else "failed"
    assert details(ledger, "outcome", "status") == {(wanted,): 1}


def test_an_outcome_that_comes_before_its_turn_is_counted_once(ledger: Any) -> None:
    ledger.send_events(outcome(ledger.otlp, at=300))
    assert details(ledger, "outcome", "agent") == {("",): 1}

    ledger.send(*ledger.otlp.turn())

    assert details(ledger, "outcome", "agent") == {("supervisor",): 1}


def test_prompts_have_the_outcomes_and_feedback_of_the_turns_that_used_them(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn(), asked(ledger.otlp, 8), asked(ledger.otlp, 9))
    ledger.send_events(
        outcome(ledger.otlp), ledger.otlp.event("feedback.recorded", kind="thumb", value="down")
    )

    names = ("prompt", "prompt_version", "label", "variant", "status")
    used = ("greeting", "2", "production", "warm")
    assert details(ledger, "prompt_turn", *names) == {(*used, "completed"): 1}
    assert details(ledger, "prompt_outcome", *names) == {(*used, "completed"): 1}
    assert details(ledger, "prompt_feedback", *names) == {(*used, "failed"): 1}


def test_feedback_given_over_the_api_is_counted(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())
    for value, about in (("up", {"trace_id": ledger.otlp.trace_id}), ("down", {"session_id": "s"})):
        given = {"kind": "thumb", "value": value, "by": "ada", **about}
        ledger.client.post("/feedback", json=given).raise_for_status()

    assert details(ledger, "feedback", "agent", "status") == {
        ("supervisor", "completed"): 1,
        ("", "failed"): 1,
    }


def test_transitions_decisions_and_conflicts_are_counted(ledger: Any) -> None:
    ledger.send_events(
        ledger.otlp.event("handoff", from_agent="a", to_agent="b"),
        ledger.otlp.event("decision.made", agent="a", decision="buy", correct=False),
        ledger.otlp.event("conflict.resolved", conflict_type="price", resolution="vote"),
    )

    assert details(ledger, "transition", "agent", "target", "step") == {("a", "b", "handoff"): 1}
    assert details(ledger, "event", "step", "agent", "target", "status") == {
        ("decision.made", "a", "buy", "failed"): 1,
        ("conflict.resolved", "", "price", "completed"): 1,
    }


def test_details_wait_until_their_minute_has_settled(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())
    sum_up(ledger.database, wait=True)

    now = datetime.now(UTC)
    assert work_out_details(ledger.database, before=now - timedelta(minutes=1)) == 0
    assert work_out_details(ledger.database, before=now + timedelta(minutes=1), wait=True) == 2


def test_service_versions_are_told_apart(ledger: Any) -> None:
    for number, version in enumerate(("1.0", "1.1")):
        otlp = type(ledger.otlp)(trace_id=TRACES[number])
        request = otlp.traces(*otlp.turn())
        attribute = request.resource_spans[0].resource.attributes.add()
        attribute.key, attribute.value.string_value = "service.version", version
        ledger.client.post(
            "/v1/traces",
            content=request.SerializeToString(),
            headers={"content-type": "application/x-protobuf"},
        )

    for kind in ("trace", "execution", "llm_call", "flow"):
        assert details(ledger, kind, "service_version").keys() == {("1.0",), ("1.1",)}


def test_costs_of_a_day_are_told_by_session_user_and_task(ledger: Any) -> None:
    spans = []
    for number, trace_id in enumerate(TRACES):
        otlp = type(ledger.otlp)(trace_id=trace_id, start=ledger.otlp.start + number * 10**9)
        root, *rest = otlp.turn()
        for name, value in (("user.hash", f"u{number % 2}"), ("midwatch.call_id", "task-1")):
            attribute = root.attributes.add()
            attribute.key, attribute.value.string_value = name, value
        spans += [root, *rest]
    ledger.send(*spans)
    catch_up(ledger.database)

    rows = {(row["scope"], row["subject"]): row for row in ledger.rows(CostDetail)}
    assert rows["user", "u0"]["cost"] == Decimal("0.0024")
    assert rows["user", "u1"]["turns"] == 1
    assert rows["session", "session-7"]["turns"] == rows["task", "task-1"]["turns"] == 3


def test_beyond_the_dearest_of_a_day_the_rest_is_one_sum(ledger: Any) -> None:
    calls = []
    for number, trace_id in enumerate(TRACES):
        otlp = type(ledger.otlp)(trace_id=trace_id)
        more = {"session__id": f"s{number}", "midwatch__llm__cost_usd": 0.001 * (number + 1)}
        calls.append(otlp.chat(1, **more))
    ledger.send(*calls)
    day = datetime.fromtimestamp(ledger.otlp.start / 1e9, UTC).replace(
        hour=0, minute=0, second=0, microsecond=0
    )

    with ledger.database.writing() as connection:
        attribution.work_out_day(connection, day, kept=1)

    rows = {row["subject"]: row for row in ledger.rows(CostDetail) if row["scope"] == "session"}
    assert {name: row["cost"] for name, row in rows.items()} == {
        "s2": Decimal("0.003"),
        "": Decimal("0.003"),
    }
    assert rows[""]["turns"] == 2


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), pauses=st.lists(st.integers(0, 12), max_size=3))
def test_however_telemetry_comes_the_details_are_those_of_a_rebuild(
    ledger: Any, seed: int, pauses: list[int]
) -> None:
    chance = random.Random(seed)  # noqa: S311 -- an order, not a secret
    sent: list[tuple[Any, Any]] = []
    for number, trace_id in enumerate(TRACES):
        otlp = type(ledger.otlp)(trace_id=trace_id, start=ledger.otlp.start + number * 40 * 10**9)
        sent += [(ledger.send, span) for span in [*otlp.turn(), asked(otlp, 8)]]
        told = [outcome(otlp, at=90), otlp.event("handoff", from_agent="a", to_agent="b")]
        told.append(otlp.event("feedback.recorded", kind="stars", value="5", at=200))
        sent += [(ledger.send_events, event) for event in told]
    chance.shuffle(sent)
    requests = 0
    while sent:
        send, record = sent.pop()
        some = [record]
        while sent and sent[-1][0] == send and len(some) < 4:
            some.append(sent.pop()[1])
        send(*some)
        if requests in pauses:
            catch_up(ledger.database)
        requests += 1

    catch_up(ledger.database)
    kept = ledger.rows(PerformanceMetric), ledger.rows(CostDetail)
    rebuild(ledger.database)
    assert (ledger.rows(PerformanceMetric), ledger.rows(CostDetail)) == kept
    assert details(ledger, "prompt_feedback", "status") == {("completed",): 3}
    with ledger.database.writing() as connection:
        for trace_id in TRACES:
            delete_trace(connection, trace_id)
    catch_up(ledger.database)
    assert ledger.rows(PerformanceMetric) == ledger.rows(CostDetail) == []
