"""History at other prices: a dry run tells the difference, a job makes it, sums follow exactly."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from midwatch_ledger.commands import application
from midwatch_ledger.models import (
    AuditEntry,
    CostDetail,
    LlmCallLog,
    PerformanceMetric,
    Repricing,
    Span,
    WorkflowTrace,
)
from midwatch_ledger.services import repricing
from midwatch_ledger.services.rollups import catch_up, rebuild
from midwatch_ledger.store import repricing as store
from typer.testing import CliRunner

BEGIN = datetime.fromtimestamp(1_795_000_000, UTC)
PERIOD = {
    "start_date": (BEGIN - timedelta(days=1)).isoformat(),
    "end_date": (BEGIN + timedelta(days=1)).isoformat(),
}


def price(model: str, into: str, out: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "input_per_million": into, "output_per_million": out, **more}


def imported(ledger: Any, version: str, *prices: dict[str, Any], since: str | None = None) -> None:
    document = {"version": version, "effective_date": since, "prices": list(prices)}
    ledger.client.post("/prices/house", json=document).raise_for_status()


def turns(ledger: Any, count: int = 3) -> None:
    """Send turns with two calls each, a day and an hour apart from one another."""
    for number in range(count):
        of_turn = type(ledger.otlp)(
            trace_id=f"{number + 1:032x}", start=ledger.otlp.start + number * 3600 * 10**9
        )
        body = of_turn.traces(*of_turn.turn()).SerializeToString()
        headers = {"content-type": "application/x-protobuf"}
        ledger.client.post("/v1/traces", content=body, headers=headers).raise_for_status()


def repriced(ledger: Any, **wanted: Any) -> dict[str, Any]:
    """Begin a job over the API, and give it as it ended."""
    given = {"table": "house", **PERIOD, **wanted}
    begun = ledger.client.post("/repricings", json=given)
    assert begun.status_code == 202, begun.text
    path = f"/repricings/{begun.json()['id']}"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        job: dict[str, Any] = ledger.client.get(path).json()
        if job["state"] not in ("waiting", "running"):
            return job
        time.sleep(0.02)
    raise AssertionError(f"not done in time: {job}")


def sums(ledger: Any) -> list[Any]:
    """Bring the sums up to date, and give all of them."""
    catch_up(ledger.database)
    return [ledger.rows(PerformanceMetric), ledger.rows(CostDetail)]


def test_a_dry_run_tells_the_difference_and_changes_nothing(ledger: Any) -> None:
    turns(ledger)
    imported(ledger, "1", price("gpt-*", "10", "50"))
    calls, before = ledger.rows(LlmCallLog), sums(ledger)

    job = repriced(ledger, dry_run=True)

    assert (job["state"], job["calls"], job["changed"], job["unmatched"]) == ("done", 6, 6, 0)
    assert (job["cost_before"], job["cost_after"]) == (0.0036, 0.012)
    assert job["difference"] == 0.0084
    (model,) = job["by_model"]
    assert (model["provider"], model["model"], model["difference"]) == (
        "openai",
        "gpt-small",
        0.0084,
    )
    assert ledger.rows(LlmCallLog) == calls
    assert sums(ledger) == before


def test_calls_spans_turns_and_sums_have_the_new_cost_as_a_rebuild_has(ledger: Any) -> None:
    turns(ledger)
    sums(ledger)
    imported(ledger, "1", price("gpt-*", "10", "50"), since="2026-01-01")

    job = repriced(ledger, dry_run=False)

    calls = ledger.rows(LlmCallLog)
    assert job["changed"] == 6
    assert {(row["input_cost"], row["output_cost"], row["total_cost"]) for row in calls} == {
        (Decimal("0.001"), Decimal("0.001"), Decimal("0.002"))
    }
    assert {
        (row["price_table"], row["price_version"], row["price_effective_date"]) for row in calls
    } == {("house", "1", "2026-01-01")}
    spans = [row["cost"] for row in ledger.rows(Span) if row["role"] == "llm_call"]
    assert spans == [Decimal("0.002")] * 6
    assert [row["total_cost"] for row in ledger.rows(WorkflowTrace)] == [Decimal("0.004")] * 3
    kept = sums(ledger)
    rebuild(ledger.database)
    assert sums(ledger) == kept
    (audited,) = [row for row in ledger.rows(AuditEntry) if row["action"] == "price history anew"]
    assert (audited["subject"], audited["changed"]) == (job["id"], {"llm_call_logs": 6})


def test_each_call_has_the_price_that_was_in_force_when_it_began(ledger: Any) -> None:
    day = BEGIN.date()
    turns(ledger, 1)
    imported(ledger, "always", price("gpt-*", "1", "1"))
    imported(ledger, "then", price("gpt-*", "2", "2"), since=day.isoformat())
    imported(ledger, "later", price("gpt-*", "3", "3"), since=(day + timedelta(days=1)).isoformat())

    repriced(ledger, dry_run=False)
    assert {row["price_version"] for row in ledger.rows(LlmCallLog)} == {"then"}

    repriced(ledger, dry_run=False, version="later")
    assert {row["price_version"] for row in ledger.rows(LlmCallLog)} == {"later"}


def test_only_what_is_asked_for_changes_and_a_price_is_never_guessed(ledger: Any) -> None:
    otlp = ledger.otlp
    ledger.send(
        otlp.chat(1, gen_ai__request__model="gpt-a"),
        otlp.chat(2, gen_ai__request__model="gpt-b"),
        otlp.chat(3, gen_ai__request__model="unknown"),
        otlp.chat(4, gen_ai__request__model="gpt-a", midwatch__llm__service_tier="batch"),
    )
    half = price("gpt-*", "5", "25", service_tier="batch")
    imported(ledger, "1", half, price("gpt-*", "10", "50"))

    one = repriced(ledger, dry_run=False, model="gpt-b")
    rest = repriced(ledger, dry_run=False)

    assert (one["calls"], one["changed"]) == (1, 1)
    assert (rest["calls"], rest["changed"], rest["unmatched"]) == (4, 2, 1)
    costs = {row["span_id"][-1]: row["total_cost"] for row in ledger.rows(LlmCallLog)}
    assert costs == {
        "1": Decimal("0.002"),
        "2": Decimal("0.002"),
        "3": Decimal("0.0003"),
        "4": Decimal("0.001"),
    }


def test_doing_it_again_changes_nothing(ledger: Any) -> None:
    turns(ledger)
    imported(ledger, "1", price("gpt-*", "10", "50"))
    repriced(ledger, dry_run=False)
    calls = ledger.rows(LlmCallLog)

    assert repriced(ledger, dry_run=False)["changed"] == 0
    assert ledger.rows(LlmCallLog) == calls


@pytest.fixture
def idle(open_ledger: Any, migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a ledger whose own thread leaves the jobs to the test."""
    monkeypatch.setattr("midwatch_ledger.services.repricer.step", lambda *_: False)
    return open_ledger(migrated_url)


def begun(ledger: Any) -> Any:
    imported(ledger, "1", price("gpt-*", "10", "50"))
    given = {"table": "house", **PERIOD, "dry_run": False}
    return ledger.client.post("/repricings", json=given).raise_for_status().json()["id"]


def test_a_job_that_is_interrupted_goes_on_where_it_was(
    idle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns(idle)
    begun(idle)
    now = BEGIN + timedelta(days=2)
    assert repricing.step(idle.database, now, calls_at_once=2)
    with idle.database.reading() as connection:
        halfway = store.listed(connection, 1, 0)[0]

    class KilledError(BaseException):
        """Stands for the end of the process in the middle of a part."""

    def dies(*_: Any, **__: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(store, "change", dies)
        with pytest.raises(KilledError):
            repricing.step(idle.database, now, calls_at_once=2)
    while repricing.step(idle.database, now, calls_at_once=2):
        pass

    (job,) = idle.rows(Repricing)
    assert (halfway["state"], halfway["calls"]) == ("running", 2)
    assert (job["state"], job["calls"], job["changed"]) == ("done", 6, 6)
    assert {row["total_cost"] for row in idle.rows(LlmCallLog)} == {Decimal("0.002")}


def test_a_call_that_is_late_in_its_turn_is_added_to_the_new_costs(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())
    imported(ledger, "1", price("gpt-*", "10", "50"))
    repriced(ledger, dry_run=False)

    ledger.send(ledger.otlp.chat(8, 4, midwatch__llm__cost_usd=0.5), *ledger.otlp.turn())

    (trace,) = ledger.rows(WorkflowTrace)
    assert trace["total_cost"] == Decimal("0.504")


def test_a_job_that_fails_says_so_and_a_job_that_is_cancelled_stops(
    idle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns(idle)
    cancelled, failed = begun(idle), begun(idle)
    answer = idle.client.post(f"/repricings/{cancelled}/cancel").raise_for_status().json()
    with monkeypatch.context() as patched:
        patched.setattr(store, "next_calls", lambda *_: 1 / 0)
        repricing.step(idle.database, datetime.now(UTC))

    assert answer["state"] == "cancelled"
    told = idle.client.get(f"/repricings/{failed}").json()
    assert (told["state"], told["error"]) == (
        "failed",
        "ZeroDivisionError; the ledger's log says more",
    )
    assert not repricing.step(idle.database, datetime.now(UTC))


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"table": "nothing"}, "import it first"),
        ({"version": "2"}, "it has 1"),
        ({"end_date": PERIOD["start_date"]}, "an end that is later"),
        ({"start_date": "2026-11-21T10:00:00"}, "start_date"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused_with_the_remedy(
    open_ledger: Any, sqlite_url: str, wrong: dict[str, Any], remedy: str
) -> None:
    ledger = open_ledger(sqlite_url)
    imported(ledger, "1", price("gpt-*", "10", "50"))

    answer = ledger.client.post("/repricings", json={"table": "house", **PERIOD, **wrong})

    assert answer.status_code == 422
    assert remedy in answer.json()["detail"]


def test_the_command_shows_the_difference_and_makes_it(
    idle: Any, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns(idle)
    imported(idle, "1", price("gpt-*", "10", "50"))
    monkeypatch.setenv("MIDWATCH_LEDGER_DATABASE_URL", migrated_url)
    arguments = ["prices", "reprice", "house", "--start", PERIOD["start_date"][:10]]
    arguments += ["--end", PERIOD["end_date"][:10]]
    runner = CliRunner()

    dry = runner.invoke(application, [*arguments, "--dry-run"])
    calls = {row["total_cost"] for row in idle.rows(LlmCallLog)}
    real = runner.invoke(application, arguments)

    assert (dry.exit_code, real.exit_code) == (0, 0), dry.output + real.output
    assert "6 of 6 calls would change" in dry.output
    assert "0.003600000  0.012000000  +0.008400000" in dry.output
    assert calls == {Decimal("0.0003"), Decimal("0.0009")}
    assert "6 of 6 calls changed" in real.output
    assert {row["total_cost"] for row in idle.rows(LlmCallLog)} == {Decimal("0.002")}
