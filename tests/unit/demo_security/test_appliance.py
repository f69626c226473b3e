"""The appliance: what it knows, what it refuses, and its faults."""

from __future__ import annotations

import time

import httpx
import pytest
from appliance.world import World


def test_the_mode_can_be_read_and_changed(appliance):
    assert appliance.put("/api/mode", {"mode": "strict"}).json()["previous"] == "balanced"
    assert appliance.get("/api/mode").json() == {"mode": "strict"}


@pytest.mark.parametrize("body", [{"mode": "loose"}, {}, {"mode": "strict", "now": True}])
def test_a_wrong_mode_is_refused(appliance, body):
    answer = appliance.put("/api/mode", body)
    assert answer.status_code == 422
    assert answer.json()["problems"]


def test_an_address_can_be_blocked_and_unblocked(appliance):
    blocked = appliance.post("/api/blocks", {"address": "203.0.113.0/24"})
    assert blocked.status_code == 201
    assert appliance.get("/api/status").json()["blocked"] == 1
    assert appliance.delete("/api/blocks/203.0.113.0/24").status_code == 200
    assert appliance.delete("/api/blocks/203.0.113.0/24").status_code == 404


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.0/8", "nobody"])
def test_addresses_that_must_not_be_blocked_are_refused(appliance, address):
    answer = appliance.post("/api/blocks", {"address": address})
    assert answer.status_code == 422
    assert address in answer.json()["detail"]


def test_alerts_can_be_read_by_severity(appliance):
    alerts = appliance.get("/api/alerts?severity=high").json()["alerts"]
    assert alerts
    assert {alert["severity"] for alert in alerts} == {"high"}
    assert appliance.get("/api/alerts?severity=huge").status_code == 422


def test_reports_cover_a_day_or_a_week(appliance):
    day, week = (appliance.get(f"/api/reports/{p}").json() for p in ("day", "week"))
    assert week["blocked_requests"] == 7 * day["blocked_requests"]
    assert appliance.get("/api/reports/year").status_code == 422


def test_the_same_seed_gives_the_same_alerts():
    def seen(seed: int) -> list[tuple[str, str]]:
        return [(alert.rule, alert.source) for alert in World(seed).alerts]

    assert seen(3) == seen(3)
    assert seen(3) != seen(4)


def test_unavailable_for_all_operations_is_an_appliance_that_is_not_ready(appliance):
    appliance.fault("unavailable")
    assert appliance.get("/api/status").status_code == 503
    assert appliance.get("/readyz").status_code == 503
    assert appliance.get("/healthz").status_code == 200


def test_a_fault_for_one_operation_leaves_the_others_and_the_readiness_alone(appliance):
    appliance.fault("unavailable", operation="alerts")
    assert appliance.get("/api/alerts").status_code == 503
    assert appliance.get("/api/status").status_code == 200
    assert appliance.get("/readyz").status_code == 200


def test_slow_adds_its_seconds_and_hang_never_answers(appliance):
    appliance.fault("slow", extra_seconds=0.2)
    started = time.perf_counter()
    assert appliance.get("/api/status").status_code == 200
    assert time.perf_counter() - started >= 0.2
    appliance.fault("hang")
    with pytest.raises(httpx.ReadTimeout):
        appliance.get("/api/status", timeout=0.2)


def test_an_unknown_operation_is_refused_with_the_known_ones(appliance):
    answer = appliance.put("/control/faults/slow", {"operation": "coffee"})
    assert answer.status_code == 422
    assert "blocks" in answer.json()["problems"][0]["message"]
