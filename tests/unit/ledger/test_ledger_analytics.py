"""Conversations, outcomes, trends and comparisons, asked over HTTP."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from midwatch_ledger.services.rollups import catch_up

START = datetime.fromtimestamp(1_795_000_000, UTC)
AROUND = {
    "start_date": (START - timedelta(hours=1)).isoformat(),
    "end_date": (START + timedelta(hours=3)).isoformat(),
}
PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def asked(shared_ledger: Any) -> Any:
    """Give a ledger with one turn, for who changes nothing."""
    shared_ledger.send(*shared_ledger.otlp.turn())
    return shared_ledger


def ask(ledger: Any, route: str, **parameters: Any) -> Any:
    catch_up(ledger.database)
    answer = ledger.client.get(f"/analytics/{route}", params={**AROUND, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def turns(ledger: Any, count: int, *, first: int = 1, every: float = 30.0) -> list[Any]:
    """Give builders of telemetry for turns of their own, one after the other."""
    kind = type(ledger.otlp)
    return [
        kind(trace_id=f"{first + n:032x}", start=ledger.otlp.start + int(n * every * 1e9))
        for n in range(count)
    ]


def named(answers: list[Any], **wanted: Any) -> Any:
    (found,) = [one for one in answers if all(one[name] == value for name, value in wanted.items())]
    return found


def calls_of_two_models(ledger: Any) -> None:
    """Send 60 calls each of two models; the second is dearer, slower and fails more often."""
    chance = random.Random(1)  # noqa: S311 -- a simulation
    spans = []
    for otlp in turns(ledger, 60, every=12.0):
        for number, (model, cost, seconds, failing) in enumerate(
            (("small", 0.001, 0.4, 0.05), ("large", 0.01, 2.0, 0.4)), start=1
        ):
            spans.append(
                otlp.chat(
                    number,
                    gen_ai__request__model=model,
                    midwatch__llm__cost_usd=cost * chance.uniform(0.8, 1.2),
                    seconds=seconds * chance.uniform(0.5, 1.5),
                    error="RateLimitError" if chance.random() < failing else None,
                )
            )
    ledger.send(*spans)


def test_the_flow_has_agents_as_nodes_and_what_follows_as_edges(ledger: Any) -> None:
    other = turns(ledger, 1, first=9)[0].agent(1, None, "supervisor", error="ValueError")
    ledger.send(*(span for otlp in turns(ledger, 3) for span in otlp.turn()), other)
    ledger.send_events(ledger.otlp.event("handoff", from_agent="supervisor", to_agent="monitor"))

    flow = ask(ledger, "conversations")

    supervisor = named(flow["nodes"], agent="supervisor")
    assert (supervisor["runs"], supervisor["turns_begun"], supervisor["turns_ended"]) == (4, 4, 1)
    assert (supervisor["drop_off_ratio"], supervisor["turns_ended_failed"]) == (0.25, 1)
    monitor = named(flow["nodes"], agent="monitor")
    assert (monitor["turns_begun"], monitor["drop_off_ratio"]) == (0, 1.0)
    (edge,) = flow["edges"]
    assert (edge["from"], edge["to"], edge["count"], edge["handoffs"]) == (
        *("supervisor", "monitor"),
        *(3, 1),
    )
    assert 500 <= edge["median_ms"] <= 1000
    assert flow["turns"] == 4


def test_outcomes_have_rates_with_intervals_by_agent(ledger: Any) -> None:
    begun = turns(ledger, 10, every=2.0)
    ledger.send(*(span for otlp in begun for span in otlp.turn()))
    ledger.send_events(
        *(
            otlp.event("outcome.recorded", outcome="qualified", success=number < 8)
            for number, otlp in enumerate(begun)
        )
    )

    told = ask(ledger, "outcomes", group_by=["agent"])

    (group,) = told["outcomes"]
    assert group["group"] == {"agent": "supervisor"}
    assert (group["success"]["count"], group["success"]["ratio"]) == (8, 0.8)
    assert group["success"]["lower"] == pytest.approx(0.4902, abs=1e-4)
    (turn,) = told["turns"]
    assert [(one["outcome"], one["ratio"]) for one in turn["outcomes"]] == [("ok", 1.0)]


def test_outcomes_are_told_by_prompt_version_and_over_time(ledger: Any) -> None:
    spans = []
    for number, otlp in enumerate(turns(ledger, 4)):
        version = str(1 + number % 2)
        call = otlp.chat(8, 1, gen_ai__prompt__name="greeting", gen_ai__prompt__version=version)
        spans += [*otlp.turn(), call]
    ledger.send(*spans)

    told = ask(ledger, "outcomes", group_by=["prompt_version"], over_time=True)

    groups = [one["group"]["prompt_version"] for one in told["turns"]]
    assert sorted(groups) == ["1", "1", "2", "2"]
    assert len({one["start"] for one in told["turns"]}) > 1


def test_a_step_in_a_measure_is_found_with_its_time_and_levels(ledger: Any) -> None:
    chance = random.Random(2)  # noqa: S311 -- a simulation
    spans = []
    for number, otlp in enumerate(turns(ledger, 48, every=60.0)):
        seconds = chance.uniform(0.9, 1.1) * (1.0 if number < 30 else 3.0)
        spans.append(otlp.chat(1, seconds=seconds))
    ledger.send(*spans)

    trend = ask(ledger, "trends", kind="llm_call", measure="avg_ms")

    assert trend["enough"]
    (step,) = trend["steps"]
    moved = datetime.fromisoformat(step["at"]) - START
    assert abs(moved - timedelta(minutes=30)) <= timedelta(seconds=2 * trend["point_seconds"])
    assert step["before"] == pytest.approx(1000, rel=0.1)
    assert step["after"] == pytest.approx(3000, rel=0.1)
    assert step["confidence"] > 0.99


def test_a_sum_is_zero_where_nothing_happened_and_points_add_up(asked: Any) -> None:
    trend = ask(asked, "trends", kind="llm_call", measure="cost_usd")

    values = [point["value"] for point in trend["points"]]
    assert len(values) > 100
    assert sum(values) == pytest.approx(0.0012)
    assert trend["outliers"] == trend["steps"] == []


def test_two_points_tell_no_change(asked: Any) -> None:
    trend = ask(asked, "trends", kind="llm_call", measure="p95_ms")

    assert (trend["enough"], trend["trend"]) == (False, None)


def test_two_models_are_compared_by_every_measure(ledger: Any) -> None:
    calls_of_two_models(ledger)

    told = ask(ledger, "compare", by="model", baseline="small", candidate="large")

    assert (told["baseline"]["count"], told["candidate"]["count"]) == (60, 60)
    for measure in ("failure_ratio", "avg_ms", "p95_ms", "cost_usd"):
        assert named(told["measures"], measure=measure)["verdict"] == "worse", measure
    cost = named(told["measures"], measure="cost_usd")
    assert cost["effect"]["lower"] < 0.009 < cost["effect"]["upper"]
    assert cost["effect"]["relative"] == pytest.approx(9, rel=0.15)
    tokens = named(told["measures"], measure="input_tokens")
    assert (tokens["verdict"], tokens["effect"]["estimate"]) == ("no_difference", 0)


def test_a_model_compared_with_itself_differs_in_nothing(ledger: Any) -> None:
    calls_of_two_models(ledger)

    told = ask(ledger, "compare", by="model", baseline="large", candidate="large")

    assert {one["verdict"] for one in told["measures"]} == {"no_difference"}


def test_two_windows_are_compared(ledger: Any) -> None:
    ledger.send(
        *(
            otlp.chat(1, seconds=1.0 + 0.01 * number + (2.0 if number >= 50 else 0.0))
            for number, otlp in enumerate(turns(ledger, 100, every=6.0))
        )
    )
    middle = START + timedelta(seconds=50 * 6)

    told = ask(
        ledger,
        "compare",
        start_date=middle.isoformat(),
        end_date=(middle + timedelta(minutes=6)).isoformat(),
    )

    assert named(told["measures"], measure="avg_ms")["verdict"] == "worse"
    assert told["baseline"]["end_date"] <= told["candidate"]["start_date"]


def test_few_cases_have_no_verdict(asked: Any) -> None:
    told = ask(asked, "compare", by="agent", baseline="supervisor", candidate="monitor")

    assert {one["verdict"] for one in told["measures"]} == {"too_few"}


@pytest.mark.parametrize(
    ("route", "wrong", "told"),
    [
        ("compare", {"by": "model", "baseline": "a"}, "give `by`, `baseline` and `candidate`"),
        ("compare", {"by": "user", "baseline": "a", "candidate": "b"}, "query.by"),
        ("compare", {"baseline_end_date": datetime.now(UTC).isoformat()}, "the windows overlap"),
        ("trends", {"measure": "joy"}, "query.measure"),
        ("trends", {"confidence": "2"}, "query.confidence"),
        ("conversations", {"model": "small"}, "can't be narrowed by model"),
        ("outcomes", {"start_date": "2020-01-01"}, "400 days at most"),
        ("outcomes", {"group_by": ["user"]}, "query.group_by"),
    ],
)
def test_a_wrong_question_is_told_what_is_allowed(
    asked: Any, route: str, wrong: Any, told: str
) -> None:
    answer = asked.client.get(f"/analytics/{route}", params=wrong)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]
