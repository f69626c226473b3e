"""What the incident suite keeps of a quiet time and of incidents, and how it is judged."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from incidents.platform import PLATFORM
from incidents.registry import ALL_INCIDENTS
from stack.demo.run import PAGE_SECONDS

from tests.bench import incident_times, quiet_hour
from tests.bench.incident_alarms import alarms_of
from tests.bench.incident_page import merged, page
from tests.bench.incident_report import CONSEQUENCES, Alarm, Course, Protocol
from tests.bench.incident_suite import Suite
from tests.bench.quiet_hour import QuietTime, Watch


def alert(name: str, state: str, value: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, "service_name": "s"}, "state": state, "value": value}


def watched(monkeypatch: pytest.MonkeyPatch, answers: list[list[dict[str, Any]]]) -> QuietTime:
    """What a watch keeps whose looks get these alerts, one list after the other."""
    left = list(answers)
    monkeypatch.setattr(quiet_hour, "LOOK_SECONDS", 0.0)

    def answer(_: httpx.Request) -> httpx.Response:
        alerts = left.pop(0) if left else []
        return httpx.Response(200, json={"data": {"alerts": alerts}})

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        return Watch("http://prometheus", http, lambda _: None).run(0.05)


def test_an_alert_that_fired_is_a_false_alarm_and_one_that_waited_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watchdog = alert("Watchdog", "firing", "1")
    quiet = watched(
        monkeypatch,
        [
            [watchdog, alert("A", "pending", "3"), alert("B", "pending", "1")],
            [watchdog, alert("A", "firing", "5")],
            [watchdog],
            [watchdog, alert("B", "pending", "1")],
        ],
    )
    assert (quiet.false_alarms, quiet.pending, quiet.good) == (["A"], ["B"], False)
    assert [(one.name, one.fired, one.values) for one in quiet.stirrings] == [
        ("A", True, (3.0, 5.0)),
        ("B", False, (1.0, 1.0)),
        ("B", False, (1.0, 1.0)),
    ]


def test_a_time_in_which_nobody_answered_is_not_quiet() -> None:
    assert QuietTime(looks=100).good
    assert not QuietTime(looks=0).good
    assert not QuietTime(looks=100, missed=50).good


def run(began: str, *incidents: dict[str, Any]) -> dict[str, Any]:
    return {
        "began": began,
        "processors": 2,
        "load": 1.0,
        "quiet": None,
        "incidents": list(incidents),
    }


def incident(name: str, alert_name: str, *others: str) -> dict[str, Any]:
    told = {"slack": 12.0, "smtp": 12.5}
    seen = {"alert": alert_name, "severity": "critical", "firing_seconds": 8.0, "problem": ""}
    return {
        "incident": name,
        "over_seconds": 20.0,
        "unexpected": list(others),
        "failure": "",
        "alerts": [seen | {"message_seconds": told}],
    }


def test_of_an_incident_in_two_runs_the_last_counts_and_what_follows_is_no_false_alarm() -> None:
    first = run("2026-11-21T10:00:00+00:00", incident("collector-down", "CollectorDown", "Odd"))
    second = run(
        "2026-11-21T11:00:00+00:00",
        incident("collector-down", "CollectorDown"),
        incident("tool-outage", "AgentToolFailureRatioHigh", "ExportBreakerOpen", "Odd"),
    )
    text = page(merged([first, second]))
    assert (
        "| collector-down | CollectorDown | critical | 8.0 s | 12.0 s | 12.5 s | 20.0 s |  |"
        in text
    )
    # The breaker opened in the incident before and fires only now.
    assert "unexpected: Odd; ExportBreakerOpen followed" in text


def test_what_follows_from_one_of_those_caused_together_follows_beside_the_others_too() -> None:
    slow = incident("ledger-slow", "LedgerLagHigh") | {"beside": ["PrometheusStorageFailing"]}
    full = incident("disk-full", "PrometheusStorageFailing", "CollectorDataRefused", "Odd")
    full["beside"] = ["LedgerLagHigh"]
    began = "2026-11-21T10:00:00+00:00"
    assert "unexpected: Odd; CollectorDataRefused followed" in page(
        merged([run(began, full, slow)])
    )
    alone = incident("tool-outage", "AgentToolFailureRatioHigh")
    text = page(merged([run(began, full, slow, alone)]))
    assert "unexpected: CollectorDataRefused; unexpected: Odd" in text


def test_what_nobody_can_tell_is_not_waited_for_and_what_is_told_late_is_said_to_be() -> None:
    silent = Alarm("ComponentDown", severity="warning", firing=70.0, ways=(), over=300.0)
    late = Alarm("PrometheusNotificationsFailing", severity="warning", firing=20.0, late=True)
    by_mail = Alarm("AlertmanagerNotificationsFailing", firing=80.0, ways=("smtp",))
    assert (silent.awaited, silent.problem) == (False, "")
    assert (late.awaited, late.problem) == (False, "no message in slack")
    assert (by_mail.awaited, by_mail.problem) == (True, "no message in smtp")
    late.told["slack"] = late.over = 95.0
    by_mail.told["smtp"] = 110.0
    course = Course("alertmanager-down", [silent, late, by_mail], over=300.0)
    assert course.good
    text = page(merged([run("2026-11-21T10:00:00+00:00", course.as_json())]))
    assert "| 70.0 s | - | - | 300.0 s | nobody left to tell |" in text
    assert "| 20.0 s | 95.0 s | - | 95.0 s | told when it is over |" in text
    assert "| 80.0 s | - | 110.0 s | - | told by smtp only |" in text


def test_what_is_known_of_incidents_and_their_alerts_is_of_some_that_there_are() -> None:
    catalogue = Path(__file__).resolve().parents[2] / "prometheus-rules" / "catalog.yaml"
    alerts = set(yaml.safe_load(catalogue.read_text(encoding="utf-8"))["alerts"])
    assert set(CONSEQUENCES) | set(incident_times.LONG) <= set(ALL_INCIDENTS)
    assert set().union(*CONSEQUENCES.values()) <= alerts
    for incident in ALL_INCIDENTS.values():
        assert set(incident.alerts) <= alerts


def test_each_alert_has_an_incident_that_causes_it() -> None:
    catalogue = Path(__file__).resolve().parents[2] / "prometheus-rules" / "catalog.yaml"
    alerts = set(yaml.safe_load(catalogue.read_text(encoding="utf-8"))["alerts"])
    caused = {alarm.name for incident in ALL_INCIDENTS.values() for alarm in alarms_of(incident)}
    assert caused == alerts - {"Watchdog"}


def test_the_newest_record_has_seen_each_alert_and_each_page_in_time() -> None:
    newest = max((Path(__file__).resolve().parents[2] / "docs/benchmarks").glob("incidents-*.json"))
    record = json.loads(newest.read_text(encoding="utf-8"))
    expected = {alarm.name: alarm for one in ALL_INCIDENTS.values() for alarm in alarms_of(one)}
    seen = {found["alert"]: found for one in record["incidents"] for found in one["alerts"]}
    assert set(seen) == set(expected)
    for name, found in seen.items():
        assert found["firing_seconds"] is not None, name
        if found["severity"] == "critical":
            assert set(found["message_seconds"]) == {"slack", "smtp"}, name
            assert max(found["message_seconds"].values()) < expected[name].promised, name
    assert record["quiet"]["minutes"] >= 60
    assert not [one for one in record["quiet"]["stirrings"] if one["fired"]]


def test_an_incident_that_a_stack_can_not_have_is_skipped_and_not_kept(tmp_path: Path) -> None:
    (one,) = [incident for incident in PLATFORM if incident.name == "endless-trace"]
    stack: Any = SimpleNamespace(
        programs=dict, record=SimpleNamespace(directory=str(tmp_path)), url=lambda _: ""
    )
    protocol = Protocol(tmp_path / "kept.json")
    protocol.note_course(Suite(stack, SimpleNamespace(alerts=list)).run(one))  # type: ignore[arg-type]
    assert protocol.good
    assert json.loads((tmp_path / "kept.json").read_text())["incidents"] == []
    assert "needs tempo" in protocol.courses[0].skipped


def test_of_several_alerts_each_says_when_it_was_over() -> None:
    quick = Alarm(
        "AgentRouteSkew", severity="warning", firing=20.0, told={"slack": 40.0}, over=60.0
    )
    long = Alarm("AgentHandoffLoop", severity="warning", firing=10.0, told={"slack": 30.0})
    course = Course("unlike-other-days", [quick, long])
    text = page(merged([run("2026-11-21T10:00:00+00:00", course.as_json())]))
    assert "AgentRouteSkew | warning | 20.0 s | 40.0 s | - | 60.0 s |" in text
    assert "AgentHandoffLoop | warning | 10.0 s | 30.0 s | - | - |" in text


def test_only_incidents_whose_alerts_take_long_are_waited_for_longer_than_others() -> None:
    usual = (
        incident_times.message_seconds("tool-outage"),
        incident_times.over_seconds("tool-outage"),
    )
    silent = incident_times.message_seconds("simulation-unasked")
    # Half an hour without a run, five minutes' hold, and the message.
    assert usual[0] < 35 * 60 < silent
    assert incident_times.over_seconds("unhappy-people") > usual[1]
    assert incident_times.promised_seconds("CollectorDown") == PAGE_SECONDS
    assert incident_times.promised_seconds("AgentErrorBudgetBurn") > 120 + PAGE_SECONDS


def test_what_was_caused_at_the_same_time_is_counted_and_told_in_its_own_row() -> None:
    both = run(
        "2026-11-21T10:00:00+00:00",
        incident("tool-outage", "AgentToolFailureRatioHigh", "AgentSilent", "AgentErrorBudgetBurn")
        | {"beside": ["AgentSilent"]},
    )
    assert "| 20.0 s | AgentErrorBudgetBurn followed; alerts of incidents beside it: 1 |" in page(
        merged([both])
    )
