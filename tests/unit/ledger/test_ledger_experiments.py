"""Experiments with prompts: results by variant, and the guard that rolls back."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from midwatch_ledger.services.guards import check_all
from midwatch_ledger.services.rollups import catch_up

PROTOBUF = {"content-type": "application/x-protobuf"}
HALVES: dict[str, Any] = {
    "experiment": "tone",
    "variants": {
        "plain": {"version": "1", "weight": 1},
        "warm": {"version": "2", "weight": 1},
    },
}


@pytest.fixture
def running(ledger: Any) -> Any:
    """A ledger whose production label stood for version 1 and now for an experiment."""
    return begin(ledger)


@pytest.fixture(scope="module")
def unchanged(shared_ledger: Any) -> Any:
    """One with the same, for who changes nothing."""
    return begin(shared_ledger)


def begin(ledger: Any) -> Any:
    post(ledger, "/prompts", name="greeting")
    for version in ("1", "2", "3"):
        post(ledger, "/prompts/greeting/versions", version=version, template=f"Hello {version}")
    label(ledger, version="1")
    label(ledger, **HALVES)
    return ledger


def post(ledger: Any, path: str, **given: Any) -> None:
    ledger.client.post(path, json={"by": "ada", **given}).raise_for_status()


def label(ledger: Any, **given: Any) -> None:
    path = "/prompts/greeting/labels/production"
    ledger.client.put(path, json={"by": "ada", **given}).raise_for_status()


def guard(ledger: Any, name: str = "production", **limits: Any) -> Any:
    return ledger.client.put(
        f"/experiments/greeting/{name}/guard",
        json={"by": "ada", "control": "plain", "limits": {"min_samples": 20, **limits}},
    )


def use(
    ledger: Any, turns: int, *, warm: dict[str, Any] | None = None, apart_seconds: int = 1
) -> None:
    """Have both variants be used in so many turns each; `warm` says how the second one does."""
    chance = random.Random(4)  # noqa: S311 -- a simulation
    start = int((datetime.now(UTC) - timedelta(seconds=1)).timestamp() * 1e9)
    spans, records = [], []
    for number in range(2 * turns):
        variant, version = (("plain", "1"), ("warm", "2"))[number % 2]
        how = {"cost": 0.001, "seconds": 0.5, "failing": 0.0, "up": 0.9, "success": 0.8}
        how |= (warm or {}) if variant == "warm" else {}
        # Within the experiment, and spread over minutes that lie ahead: clocks differ.
        otlp = type(ledger.otlp)(
            trace_id=f"{number + 1:032x}", start=start + number * apart_seconds * 10**9
        )
        spans.append(otlp.span(1, name="turn", seconds=5, midwatch__turn__outcome="ok"))
        spans.append(
            otlp.chat(
                2,
                1,
                at=0.1,
                seconds=how["seconds"] * chance.uniform(0.8, 1.2),
                midwatch__llm__cost_usd=how["cost"] * chance.uniform(0.8, 1.2),
                gen_ai__prompt__name="greeting",
                gen_ai__prompt__version=version,
                midwatch__prompt__label="production",
                midwatch__prompt__variant=variant,
                error="RateLimitError" if chance.random() < how["failing"] else None,
            )
        )
        thumb = "up" if chance.random() < how["up"] else "down"
        records.append(otlp.event("feedback.recorded", kind="thumb", value=thumb))
        solved = chance.random() < how["success"]
        records.append(otlp.event("outcome.recorded", outcome="solved", success=solved))
    ledger.send(*spans)
    body = ledger.otlp.logs(*records).SerializeToString()
    ledger.client.post("/v1/logs", content=body, headers=PROTOBUF).raise_for_status()
    catch_up(ledger.database)


def later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def results(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("midwatch_ledger.api.experiments._now", later)
    answer = ledger.client.get("/experiments/greeting/production")
    assert answer.status_code == 200, answer.text
    return answer.json()


def history(ledger: Any) -> Any:
    return ledger.client.get("/prompts/greeting/labels/production").json()["items"]


def test_experiments_are_listed_with_state_variants_and_guard(running: Any) -> None:
    guard(running, max_failure_ratio=0.5).raise_for_status()

    (item,) = running.client.get("/experiments").json()["items"]

    assert (item["experiment"], item["state"]) == ("tone", "running")
    assert item["assignment"]["warm"] == {"version": "2", "weight": 1.0}
    assert (item["guard"]["control"], item["guard"]["armed"]) == ("plain", True)


def test_an_experiment_that_ended_is_still_told(running: Any) -> None:
    label(running, version="2")

    (item,) = running.client.get("/experiments").json()["items"]

    assert item["state"] == "ended"
    assert item["ended_at"] > item["started_at"]


def test_other_weights_are_the_same_experiment(running: Any) -> None:
    (before,) = running.client.get("/experiments").json()["items"]
    variants = {**HALVES["variants"], "warm": {"version": "2", "weight": 9}}
    label(running, experiment="tone", variants=variants)

    (item,) = running.client.get("/experiments").json()["items"]

    assert item["started_at"] == before["started_at"]
    assert item["assignment"]["warm"]["weight"] == 9


def test_each_variant_has_uses_cost_latency_feedback_and_outcomes(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(
        running,
        60,
        warm={"cost": 0.004, "seconds": 1.5, "up": 0.2, "success": 0.2},
        apart_seconds=6,
    )

    told = results(running, monkeypatch)

    plain, warm = told["variants"]
    assert (plain["variant"], warm["variant"], told["control"]) == ("plain", "warm", "plain")
    assert (warm["uses"], warm["turns"], plain["against_control"]) == (60, 60, None)
    assert warm["avg_cost_usd"] == pytest.approx(0.004, rel=0.1)
    assert warm["avg_ms"] == pytest.approx(1500, rel=0.1)
    assert warm["success"]["ratio"] == pytest.approx(0.2, abs=0.15)
    assert plain["negative_feedback"]["ratio"] == pytest.approx(0.1, abs=0.12)
    verdicts = {one["measure"]: one["verdict"] for one in warm["against_control"]}
    for measure in ("cost_usd", "avg_ms", "outcome_failure_ratio", "negative_feedback_ratio"):
        assert verdicts[measure] == "worse", measure
    assert verdicts["failure_ratio"] == "no_difference"


@pytest.mark.parametrize(
    ("warm", "limit"),
    [
        ({"failing": 0.6}, {"max_failure_ratio": 0.2}),
        ({"cost": 0.004}, {"max_cost_ratio": 2}),
        ({"seconds": 3.0}, {"max_latency_ratio": 2}),
        ({"up": 0.1}, {"max_negative_feedback_ratio": 0.5}),
        ({"success": 0.1}, {"min_success_ratio": 0.5}),
    ],
)
def test_a_variant_that_breaches_a_limit_is_rolled_back_on_the_record(
    running: Any, warm: dict[str, Any], limit: dict[str, Any]
) -> None:
    guard(running, **limit).raise_for_status()
    use(running, 40, warm=warm, apart_seconds=6)

    assert check_all(running.database, later()) == 1

    newest = history(running)[0]
    (name,) = limit
    assert (newest["assignment"], newest["changed_by"]) == ("1", "midwatch guard")
    assert f"variant 'warm' breaches {name}" in newest["note"]
    (item,) = running.client.get("/experiments").json()["items"]
    assert (item["state"], item["guard"]["armed"]) == ("ended", False)
    assert item["guard"]["verdict"]["breaches"][0]["limit"] == name


def test_within_its_limits_an_experiment_goes_on(running: Any) -> None:
    guard(
        running,
        max_failure_ratio=0.2,
        max_cost_ratio=2,
        max_latency_ratio=2,
        min_success_ratio=0.5,
        max_negative_feedback_ratio=0.5,
    ).raise_for_status()
    use(running, 60)

    assert check_all(running.database, later()) == 0
    assert history(running)[0]["assignment"] == HALVES
    (item,) = running.client.get("/experiments").json()["items"]
    assert item["guard"]["checked_at"] is not None


def test_few_samples_decide_nothing(running: Any) -> None:
    guard(running, max_failure_ratio=0.01, min_samples=50).raise_for_status()
    use(running, 40, warm={"failing": 1.0})

    assert check_all(running.database, later()) == 0


def test_a_guard_that_has_acted_doesnt_act_again(running: Any) -> None:
    guard(running, max_failure_ratio=0.2).raise_for_status()
    use(running, 40, warm={"failing": 0.9})
    check_all(running.database, later())
    label(running, **HALVES)

    assert check_all(running.database, later()) == 0


def test_a_version_that_is_bad_is_not_what_a_guard_goes_back_to(running: Any) -> None:
    label(running, version="2")
    label(running, **HALVES)
    guard(running, max_failure_ratio=0.2).raise_for_status()
    use(running, 40, warm={"failing": 0.9})

    check_all(running.database, later())

    assert history(running)[0]["assignment"] == "1"


def test_what_nobody_watches_any_more_is_not_rolled_back(running: Any) -> None:
    guard(running, max_failure_ratio=0.2).raise_for_status()
    use(running, 40, warm={"failing": 0.9})

    assert running.client.delete("/experiments/greeting/production/guard").status_code == 204
    assert check_all(running.database, later()) == 0
    assert running.client.delete("/experiments/greeting/production/guard").status_code == 404


@pytest.mark.parametrize(
    ("path", "given", "status", "told"),
    [
        ("production", {"limits": {}}, 422, "set at least one of max_failure_ratio"),
        ("production", {"limits": {"max_joy": 1}}, 422, "max_joy"),
        (
            "production",
            {"control": "cold", "limits": {"max_cost_ratio": 2}},
            422,
            "there are plain, warm",
        ),
        ("staging", {"limits": {"max_cost_ratio": 2}}, 404, "has no experiment"),
    ],
)
def test_a_wrong_guard_is_told_what_is_allowed(
    unchanged: Any, path: str, given: Any, status: int, told: str
) -> None:
    address = f"/experiments/greeting/{path}/guard"
    answer = unchanged.client.put(address, json={"by": "ada", **given})

    assert answer.status_code == status
    assert told in answer.json()["detail"]


def test_results_of_no_experiment_are_not_found(unchanged: Any) -> None:
    answer = unchanged.client.get("/experiments/greeting/staging")

    assert answer.status_code == 404
    assert "give it variants" in answer.json()["detail"]
