"""Who has taken an alert on: acknowledging, taking it back, notes, and who waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

FINGERPRINT = "a1b2c3d4e5f60718"
WAITING = "midwatch_ledger_alert_unacknowledged_since_timestamp_seconds"
NOW = datetime.now(UTC).replace(microsecond=0)


def fire(ledger: Any, status: str = "firing", *, ago: float = 60, **changes: Any) -> None:
    """Have Alertmanager tell of one alert that began so many seconds ago."""
    alert = {
        "status": status,
        "labels": {
            "alertname": "AgentHandoffLoop",
            "severity": "critical",
            "team": "agents",
            "service_name": "security-agent",
            "agent": "monitor",
        },
        "startsAt": (NOW - timedelta(seconds=ago)).isoformat(),
        "endsAt": NOW.isoformat() if status == "resolved" else None,
        "fingerprint": FINGERPRINT,
        **changes,
    }
    ledger.client.post(
        "/alerts/webhook", json={"version": "4", "alerts": [alert]}
    ).raise_for_status()


def act(ledger: Any, what: str, identifier: str = FINGERPRINT, **given: Any) -> Any:
    return ledger.client.post(f"/alerts/{identifier}/{what}", json={"by": "ada", **given})


def waiting(ledger: Any) -> dict[tuple[str, ...], float]:
    """Give since when alerts wait for somebody, as a fresh scrape shows it."""
    ledger.client.app.state.metrics = fresh_metrics(ledger)
    names = ("alert", "severity", "team", "service", "agent")
    return {
        tuple(sample.labels[name] for name in names): sample.value
        for family in text_string_to_metric_families(ledger.client.get("/metrics").text)
        for sample in family.samples
        if sample.name == WAITING
    }


def fresh_metrics(ledger: Any) -> Any:
    """Give metrics that have not been scraped yet, so that nothing is remembered of the last."""
    from midwatch_ledger.services.observing import DatabaseCollector
    from midwatch_ledger.services.telemetry import LedgerMetrics

    metrics = LedgerMetrics()
    metrics.add(DatabaseCollector(ledger.database))
    return metrics


def test_an_acknowledged_alert_tells_who_has_it(ledger: Any) -> None:
    fire(ledger)

    alert = act(ledger, "acknowledge", note="looking at the appliance").raise_for_status().json()

    assert alert["acknowledged_by"] == "ada"
    assert alert["acknowledged_at"] is not None
    assert [action["note"] for action in alert["actions"]] == ["looking at the appliance"]
    assert ledger.client.get(f"/alerts/{FINGERPRINT}").json() == alert


def test_an_alert_is_found_by_the_id_of_any_of_its_states(ledger: Any) -> None:
    fire(ledger)
    (state,) = ledger.client.get("/monitoring/alerts").json()

    assert act(ledger, "acknowledge", state["id"]).json()["fingerprint"] == FINGERPRINT


def test_to_acknowledge_twice_is_to_acknowledge_once(ledger: Any) -> None:
    fire(ledger)
    first = act(ledger, "acknowledge").json()

    assert act(ledger, "acknowledge", by="grace").json() == first


def test_a_withdrawn_acknowledgement_leaves_the_alert_waiting(ledger: Any) -> None:
    fire(ledger)
    act(ledger, "acknowledge")

    alert = act(ledger, "withdraw", note="off my shift").json()

    assert alert["acknowledged_by"] is None
    assert [action["action"] for action in alert["actions"]] == ["acknowledge", "withdraw"]
    assert len(waiting(ledger)) == 1


def test_a_resolved_alert_is_not_acknowledged_but_takes_notes(ledger: Any) -> None:
    fire(ledger)
    fire(ledger, "resolved")

    refused = act(ledger, "acknowledge")
    noted = act(ledger, "notes", note="it was the certificate")

    assert refused.status_code == 409
    assert "add a note" in refused.json()["detail"]
    assert noted.json()["actions"][0]["note"] == "it was the certificate"


def test_a_new_firing_of_the_same_alert_waits_again(ledger: Any) -> None:
    fire(ledger, ago=600)
    act(ledger, "acknowledge")
    fire(ledger, "resolved", ago=600)
    assert waiting(ledger) == {}

    fire(ledger, ago=30)

    key = ("AgentHandoffLoop", "critical", "agents", "security-agent", "monitor")
    assert waiting(ledger) == {key: (NOW - timedelta(seconds=30)).timestamp()}


def test_of_alerts_that_look_the_same_the_longest_waiting_counts(ledger: Any) -> None:
    fire(ledger, ago=30)
    fire(ledger, ago=90, fingerprint="ffffffffffffffff")

    (since,) = waiting(ledger).values()

    assert since == (NOW - timedelta(seconds=90)).timestamp()


def test_what_fired_weeks_ago_and_was_never_resolved_waits_for_nobody(ledger: Any) -> None:
    fire(ledger, ago=timedelta(days=20).total_seconds())

    assert waiting(ledger) == {}


@pytest.mark.parametrize("what", ["acknowledge", "withdraw", "notes"])
def test_an_unknown_alert_is_told_with_where_to_look(ledger: Any, what: str) -> None:
    answer = act(ledger, what, "0000000000000000", note="?")

    assert answer.status_code == 404
    assert "/monitoring/alerts" in answer.json()["detail"]


def test_nobody_acknowledges_namelessly(ledger: Any) -> None:
    fire(ledger)

    answer = ledger.client.post(f"/alerts/{FINGERPRINT}/acknowledge", json={"by": "", "to": "x"})

    assert answer.status_code == 422
    assert {error["where"] for error in answer.json()["errors"]} == {"body.by", "body.to"}
