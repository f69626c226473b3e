"""Alertmanager's webhook and the history that it fills."""

from __future__ import annotations

from typing import Any

import pytest


def notification(status: str = "firing", **changes: Any) -> dict[str, Any]:
    """Give what Alertmanager posts for one alert (its documented payload, version 4)."""
    alert = {
        "status": status,
        "labels": {"alertname": "AgentHandoffLoop", "severity": "critical", "agent": "monitor"},
        "annotations": {"summary": "Agents hand over in a circle"},
        "startsAt": "2026-11-21T10:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2026-11-21T10:05:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "a1b2c3d4e5f60718",
        **changes,
    }
    return {
        "version": "4",
        "groupKey": "{}:{alertname=x}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "ledger",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": [alert],
    }


def history(ledger: Any, **parameters: Any) -> Any:
    return ledger.client.get("/monitoring/alerts", params=parameters).raise_for_status().json()


def test_an_alert_fires_and_resolves_as_two_states(ledger: Any) -> None:
    for status in ("firing", "resolved"):
        assert ledger.client.post("/alerts/webhook", json=notification(status)).status_code == 204

    states = {alert["status"]: alert for alert in history(ledger)}
    assert set(states) == {"firing", "resolved"}
    assert states["firing"]["ends_at"] is None
    assert states["resolved"]["ends_at"] == "2026-11-21T10:05:00Z"
    assert states["firing"]["alert_name"] == "AgentHandoffLoop"
    assert states["firing"]["labels"]["agent"] == "monitor"


def test_a_repeated_notification_changes_nothing(ledger: Any) -> None:
    ledger.client.post("/alerts/webhook", json=notification())
    before = history(ledger)

    ledger.client.post("/alerts/webhook", json=notification())

    assert history(ledger) == before


def test_an_alert_that_fires_anew_is_a_new_entry(ledger: Any) -> None:
    ledger.client.post("/alerts/webhook", json=notification())
    ledger.client.post("/alerts/webhook", json=notification(startsAt="2026-11-21T11:00:00Z"))

    assert [alert["starts_at"][11:13] for alert in history(ledger)] == ["11", "10"]


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"status": "firing"}, 1),
        ({"severity": "warning"}, 0),
        ({"alertname": "AgentHandoffLoop"}, 2),
        ({"start_date": "2026-11-21T10:01:00Z"}, 0),
        ({"limit": 1}, 1),
    ],
)
def test_the_history_is_filtered(ledger: Any, parameters: dict[str, Any], count: int) -> None:
    for status in ("firing", "resolved"):
        ledger.client.post("/alerts/webhook", json=notification(status))

    assert len(history(ledger, **parameters)) == count


def test_a_payload_that_is_not_alertmanagers_is_a_problem_with_every_fault(
    open_ledger: Any, sqlite_url: str
) -> None:
    wrong = notification(status="burning", startsAt="now")

    answer = open_ledger(sqlite_url).client.post("/alerts/webhook", json=wrong)

    told = answer.json()
    assert answer.status_code == 422
    assert {error["where"] for error in told["errors"]} >= {
        "body.alerts.0.status",
        "body.alerts.0.startsAt",
    }
