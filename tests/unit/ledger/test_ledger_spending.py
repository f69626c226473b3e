"""Bottlenecks, attribution of cost, recommendations and S5's metrics, asked over HTTP."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from midwatch_ledger.models import Span
from midwatch_ledger.services.rollups import catch_up
from midwatch_ledger.store import samples
from sqlalchemy import delete

START = datetime.fromtimestamp(1_795_000_000, UTC)
AROUND = {
    "start_date": (START - timedelta(hours=1)).isoformat(),
    "end_date": (START + timedelta(hours=3)).isoformat(),
}


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


def turns(ledger: Any, count: int, *, every: int = 1) -> list[Any]:
    """Give builders of telemetry for turns of their own, so many seconds apart."""
    kind = type(ledger.otlp)
    return [
        kind(trace_id=f"{1 + n:032x}", start=ledger.otlp.start + n * every * 10**9)
        for n in range(count)
    ]


def named(answers: list[Any], **wanted: Any) -> Any:
    (found,) = [one for one in answers if all(one[name] == value for name, value in wanted.items())]
    return found


def priced(otlp: Any, number: int, model: str, **more: Any) -> Any:
    """Give a call whose costs are known; `large` is ten times as dear as `small`."""
    dear = {"small": 1, "large": 10}[model]
    inputs = more.pop("inputs", 500)
    return otlp.chat(
        number,
        **{
            "gen_ai__request__model": model,
            "gen_ai__usage__input_tokens": inputs,
            "gen_ai__usage__output_tokens": 100,
            "midwatch__llm__input_cost_usd": inputs * dear * 1e-6,
            "midwatch__llm__output_cost_usd": 100 * dear * 1e-6,
            "midwatch__llm__cost_usd": (inputs + 100) * dear * 1e-6,
            **more,
        },
    )


def send_each_model(ledger: Any, count: int, failing: str | None = None) -> None:
    """Send turns with a call of each model; every other call of the small one may fail."""
    spans = []
    for number, otlp in enumerate(turns(ledger, count)):
        error = failing if number % 2 else None
        spans += [priced(otlp, 1, "small", error=error), priced(otlp, 2, "large")]
    ledger.send(*spans)


def advice(ledger: Any, kind: str, **parameters: Any) -> list[Any]:
    told = ask(ledger, "recommendations", **parameters)
    return [item for item in told["items"] if item["kind"] == kind]


def test_bottlenecks_divide_the_time_of_turns(ledger: Any) -> None:
    ledger.send(*(span for otlp in turns(ledger, 5) for span in otlp.turn()))

    told = ask(ledger, "bottlenecks")

    assert (told["sampled_traces"], told["sampled_spans"]) == (5, 35)
    assert told["avg_turn_ms"] == 4000
    model = named(told["parts"], kind="model", name="gpt-small")
    assert (model["spans"], model["own_ms"]) == (10, 5 * 1300)
    tool = named(told["parts"], kind="tool", name="read_metrics")
    assert tool["critical_share"] == pytest.approx(0.2 / 4, abs=0.001)
    assert sum(part["critical_share"] for part in told["parts"]) == pytest.approx(1)
    assert {part["agent"] for part in told["agents"]} == {"", "supervisor", "monitor"}


def test_bottlenecks_look_at_no_more_traces_than_asked_for(ledger: Any) -> None:
    ledger.send(*(otlp.chat(1) for otlp in turns(ledger, 40, every=30)))

    told = ask(ledger, "bottlenecks", sample=20)

    assert told["sampled_traces"] == 20


def test_bottlenecks_are_narrowed_to_an_entry_agent(ledger: Any) -> None:
    first, second = turns(ledger, 2)
    ledger.send(*first.turn())
    ledger.send(second.agent(1, None, "other"))

    assert ask(ledger, "bottlenecks", agent="other")["sampled_traces"] == 1


def test_samples_have_whole_traces_and_no_more_spans_than_are_wanted(ledger: Any) -> None:
    ledger.send(*(span for otlp in turns(ledger, 3) for span in otlp.turn()))
    begin, end = START - timedelta(days=3), START + timedelta(days=3)

    def sampled(most: int) -> Counter[str]:
        with ledger.database.reading() as connection:
            found = samples.traces(connection, [begin], end, {}, 100)
            return Counter(row["trace_id"] for row in samples.spans(connection, found, most))

    for most, whole in ((100, 3), (21, 3), (20, 2), (14, 2), (13, 1), (6, 0)):
        assert sampled(most) == {f"{n:032x}": 7 for n in range(1, 1 + whole)}
    with ledger.database.writing() as connection:
        connection.execute(delete(Span).where(Span.trace_id == f"{1:032x}"))
    # What is gone by now leaves room for others.
    assert sampled(14) == {f"{n:032x}": 7 for n in (2, 3)}


@pytest.mark.parametrize(
    ("by", "subject"),
    [("agent", "monitor"), ("model", "gpt-small"), ("session", "session-7"), ("project", "")],
)
def test_cost_is_attributed(asked: Any, by: str, subject: str) -> None:
    told = ask(asked, "costs", by=by)

    cost = 0.0009 if by == "agent" else 0.0012
    assert told["items"][0]["subject"] == subject
    assert told["items"][0]["cost_usd"] == pytest.approx(cost)
    assert told["items"][0]["share"] == pytest.approx(cost / 0.0012)
    assert told["total"]["cost_usd"] == pytest.approx(0.0012)


def test_the_dearest_calls_are_told_with_what_they_took(asked: Any) -> None:
    told = ask(asked, "costs", by="call", limit=1)

    (item,) = told["items"]
    assert item["subject"] == f"{asked.otlp.trace_id}:{7:016x}"
    assert (item["call"]["model"], item["call"]["input_tokens"]) == ("gpt-small", 100)
    assert item["share"] == pytest.approx(0.75)


def test_single_calls_are_not_searched_in_long_periods(asked: Any) -> None:
    wrong = {"by": "call", "start_date": "2026-11-01", "end_date": "2026-11-20"}

    answer = asked.client.get("/analytics/costs", params=wrong)

    assert answer.status_code == 422
    assert "shorten the period" in answer.json()["detail"]


def test_a_cheaper_model_is_advised_for_short_calls_at_prices_really_paid(ledger: Any) -> None:
    send_each_model(ledger, 40)

    (item,) = advice(ledger, "cheaper_model")

    assert item["subject"] == {"provider": "openai", "model": "large", "instead": "small"}
    assert item["saving_usd"] == pytest.approx(40 * 600 * 9e-6)
    assert item["monthly_usd"] == pytest.approx(item["saving_usd"] * 180, rel=0.01)
    assert item["evidence"]["relative_price"] == pytest.approx(0.1)


def test_a_cheaper_model_that_fails_more_is_not_advised(ledger: Any) -> None:
    send_each_model(ledger, 80, failing="RateLimitError")

    assert advice(ledger, "cheaper_model") == []


def test_prompts_that_come_again_are_told_by_digest_only(ledger: Any) -> None:
    asked = "What is the meaning of the word watch?"
    texts = [asked if number < 5 else f"question {number}" for number in range(10)]
    ledger.send(
        *(
            priced(otlp, 1, "large", gen_ai__input__messages=text)
            for otlp, text in zip(turns(ledger, 10), texts, strict=True)
        )
    )

    (item,) = advice(ledger, "cache_answers")

    assert item["evidence"]["prompts"] == [
        {"sha256": hashlib.sha256(asked.encode()).hexdigest()[:16], "calls": 5}
    ]
    assert item["share_of_cost"] == pytest.approx(0.4)
    assert "meaning" not in str(item)


def test_long_prompts_failures_and_unpriced_models_are_told(ledger: Any) -> None:
    spans = []
    for number, otlp in enumerate(turns(ledger, 30)):
        spans += [
            priced(otlp, 1, "large", inputs=8000, error="Timeout" if number < 3 else None),
            otlp.chat(2, gen_ai__request__model="secret", midwatch__llm__cost_usd=""),
        ]
    ledger.send(*spans)

    told = ask(ledger, "recommendations")["items"]

    long = named(told, kind="shorter_prompts")
    assert long["saving_usd"] == pytest.approx(30 * 8000e-5 * 0.2, rel=0.02)
    assert named(told, kind="retries")["saving_usd"] == pytest.approx(3 * 8100e-5)
    unpriced = named(told, kind="unpriced_model")
    assert (unpriced["subject"]["model"], unpriced["saving_usd"]) == ("secret", None)
    assert unpriced["evidence"]["calls_without_cost"] == 30


def test_turns_that_loop_are_told_with_what_they_cost_beyond_the_usual(ledger: Any) -> None:
    spans = []
    for number, otlp in enumerate(turns(ledger, 10)):
        dear = 0.05 if number == 3 else 0.001
        call = otlp.chat(2, 1, midwatch__llm__cost_usd=dear)
        spans += [otlp.agent(1, None, "supervisor"), call]
    ledger.send(*spans)
    loop = turns(ledger, 4)[3]
    request = loop.logs(loop.event("handoff.loop", from_agent="a", to_agent="b", repeats=4))
    ledger.client.post(
        "/v1/logs",
        content=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
    )

    (item,) = advice(ledger, "loops")

    assert item["evidence"]["looping_turns"] == 1
    assert item["saving_usd"] == pytest.approx(0.05 - 0.0059)


def test_what_saves_too_little_is_left_out(ledger: Any) -> None:
    send_each_model(ledger, 40)

    assert advice(ledger, "cheaper_model", min_saving_usd=1) == []


def test_an_empty_record_has_nothing_to_tell(ledger: Any) -> None:
    assert ask(ledger, "recommendations")["items"] == []
    assert ask(ledger, "bottlenecks")["parts"] == []
    assert ask(ledger, "costs", by="user")["items"] == []
    assert ask(ledger, "workflow-metrics")["agents"] == []


def test_the_metrics_of_s5_are_told_of_each_agent_and_of_the_whole(ledger: Any) -> None:
    ledger.send(*(span for otlp in turns(ledger, 4) for span in otlp.turn()))
    event = ledger.otlp.event
    ledger.send_events(
        event("decision.made", agent="monitor", decision="page", correct=True),
        event("decision.made", agent="monitor", decision="wait", correct=False),
        event("decision.made", agent="monitor", decision="look"),
        event(
            "collaboration.finished",
            workflow_type="triage",
            outcome="ok",
            participants=["monitor", "supervisor"],
        ),
        event(
            "collaboration.finished",
            workflow_type="triage",
            outcome="error",
            participants=["monitor"],
        ),
        event("conflict.detected", conflict_type="price", participants=["monitor"]),
        event("conflict.detected", conflict_type="stock", participants=["monitor"]),
        event("conflict.resolved", conflict_type="price", resolution="vote"),
    )

    told = ask(ledger, "workflow-metrics")

    monitor = named(told["agents"], agent_id="monitor")
    assert monitor["operation_count"] == 4
    assert monitor["average_response_time"] == pytest.approx(2.5)
    assert (monitor["success_rate"], monitor["decision_accuracy"]) == (1.0, 0.5)
    assert (monitor["collaboration_score"], monitor["tool_usage_stats"]) == (
        0.5,
        {"read_metrics": 4},
    )
    assert told["system"]["total_events_processed"] == 4
    assert told["system"]["average_workflow_duration"] == pytest.approx(4.0)
    assert told["system"]["agent_coordination_efficiency"] == 0.5
    assert told["system"]["conflict_resolution_rate"] == 0.5
    assert told["system"]["system_throughput"] == pytest.approx(4 / 240, rel=0.02)
