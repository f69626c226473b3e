from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from retail_simulation import service
from retail_simulation.rules import FALLBACK_CONFIDENCE

DAYS = {"days": 3, "seed": 5}


def records(connect, model_url: str, *days: dict[str, int]) -> dict[str, Any]:
    async def play() -> dict[str, Any]:
        async with connect(model_url) as client:
            reports = []
            for body in days:
                answer = await client.post("/simulation/days", json=body, timeout=120)
                assert answer.status_code == 200, answer.text
                reports.append(answer.json())
            names = ("state", "events", "decisions", "conflicts")
            got = {name: (await client.get(f"/simulation/{name}?limit=500")) for name in names}
            return {name: answer.json() for name, answer in got.items()} | {"reports": reports}

    return asyncio.run(play())


def without_times(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in e.items() if not k.endswith("_time")} for e in events]


def test_the_same_seed_gives_the_same_events_decisions_and_books(connect, model_server) -> None:
    first = records(connect, model_server, DAYS)
    second = records(connect, model_server, {"days": 1, "seed": 9}, DAYS)
    assert first["decisions"] == second["decisions"]
    assert len(first["decisions"]) > 10
    assert first["conflicts"] == second["conflicts"]
    assert first["conflicts"]
    assert first["state"] == second["state"]
    assert without_times(first["events"]) == without_times(second["events"])


def test_agents_decide_with_confidence_talk_collide_and_resolve(connect, model_server) -> None:
    got = records(connect, model_server, {"days": 4, "seed": 9})
    decisions, conflicts, events = got["decisions"], got["conflicts"], got["events"]
    assert {d["agent"] for d in decisions} == {
        "inventory_agent",
        "pricing_agent",
        "promotion_agent",
    }
    assert all(d["source"] == "model" and d["tools_used"] for d in decisions)
    assert len({d["confidence"] for d in decisions}) > 5
    assert any(event["outcome"]["messages"] for event in events)
    assert len({c["conflict_type"] for c in conflicts}) >= 2
    for conflict in conflicts:
        overruled = [
            d for d in decisions if d["trace_id"] == conflict["trace_id"] and not d["accepted"]
        ]
        assert conflict["winner"] in conflict["agents"]
        assert conflict["policy"]
        assert overruled or conflict["resolution"] == "discount_capped"
    assert got["reports"][0]["conflicts"] == len(conflicts)


def test_an_injected_event_is_decided_at_once_and_its_effect_shows(connect, model_server) -> None:
    async def play() -> tuple[dict[str, Any], dict[str, Any]]:
        async with connect(model_server) as client:
            body = {
                "type": "competitor_price_drop",
                "store_id": "station",
                "product_id": "coffee",
            }
            answer = await client.post("/simulation/events", json=body, timeout=60)
            assert answer.status_code == 201, answer.text
            return answer.json(), (await client.get("/simulation/state")).json()

    trace, state = asyncio.run(play())
    assert trace["trigger_source"] == "injected"
    assert trace["end_time"] >= trace["start_time"]
    shelf = next(
        s for s in state["shelves"] if (s["store_id"], s["product_id"]) == ("station", "coffee")
    )
    effects = trace["outcome"]["effects"]
    assert effects
    for effect in effects:
        if effect["description"] == "price in cents":
            assert effect["before"] != effect["after"] == shelf["price_cents"]
        elif effect["description"] == "promotion in per cent":
            assert shelf["promotion"]["percent"] == effect["after"]
        elif effect["description"] == "units on order":
            assert effect["after"] == shelf["on_order"]


FAULTS = {
    "server-error": {},
    "rate-limit": {"retry_after_seconds": 0},
    "malformed-body": {},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_provider_leads_to_cautious_rules_not_to_errors(
    connect, calm_model_server, fault
) -> None:
    url = f"{calm_model_server}/control/faults/{fault}"
    httpx.put(url, json=FAULTS[fault], trust_env=False).raise_for_status()
    got = records(connect, calm_model_server, DAYS)
    assert got["decisions"]
    for decision in got["decisions"]:
        assert decision["source"] == "fallback"
        assert decision["confidence"] == FALLBACK_CONFIDENCE
    assert any(decision["accepted"] for decision in got["decisions"])
    assert got["reports"][0]["fallback_decisions"] == len(got["decisions"])


def test_an_unreachable_provider_leads_to_rules_and_its_return_to_the_model(
    connect, calm_model_server
) -> None:
    fault = f"{calm_model_server}/control/faults/server-error"

    async def play() -> list[set[str]]:
        sources = []
        async with connect(calm_model_server) as client:
            for action in (httpx.put, httpx.delete):
                action(fault, trust_env=False).raise_for_status()
                await client.post("/simulation/days", json=DAYS, timeout=60)
                decisions = (await client.get("/simulation/decisions")).json()
                sources.append({decision["source"] for decision in decisions})
        return sources

    assert asyncio.run(play()) == [{"fallback"}, {"model"}]


def test_nobody_listening_at_the_providers_address_is_survived(connect) -> None:
    got = records(connect, "http://127.0.0.1:9", {"days": 4, "seed": 5})
    assert {decision["source"] for decision in got["decisions"]} == {"fallback"}


def test_the_memory_of_the_past_is_bounded(connect, monkeypatch) -> None:
    for name in ("_KEPT_TRACES", "_KEPT_DECISIONS", "_KEPT_CONFLICTS"):
        monkeypatch.setattr(service, name, 7)
    got = records(connect, "http://127.0.0.1:9", {"days": 15, "seed": 5})
    assert len(got["events"]) == 7 == len(got["decisions"])
    assert got["state"]["events_handled"] > 7


def test_requests_beyond_the_waiting_room_are_told_to_come_back(connect, model_server) -> None:
    async def play() -> list[httpx.Response]:
        async with connect(model_server) as client:
            calls = (
                client.post("/simulation/days", json={"days": 1}, timeout=60) for _ in range(12)
            )
            return await asyncio.gather(*calls)

    answers = asyncio.run(play())
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == service.MOST_WAITING
    assert statuses.count(429) == 12 - service.MOST_WAITING
    assert all("retry-after" in a.headers for a in answers if a.status_code == 429)
    assert max(a.json()["day"] for a in answers if a.status_code == 200) == service.MOST_WAITING


BAD_REQUESTS = {
    "no days": ("/simulation/days", {}, ["days"]),
    "too many days": ("/simulation/days", {"days": 1000}, ["less than or equal to 60"]),
    "words for days": ("/simulation/days", {"days": "many"}, ["days", "many"]),
    "unknown field": ("/simulation/days", {"days": 1, "weeks": 2}, ["weeks"]),
    "two problems at once": ("/simulation/days", {"days": 0, "seed": -1}, ["days", "seed"]),
    "unknown type": (
        "/simulation/events",
        {"type": "flood", "store_id": "harbour", "product_id": "milk"},
        ["flood", "stockout_risk", "slow_mover"],
    ),
    "unknown shelf": (
        "/simulation/events",
        {"type": "slow_mover", "store_id": "moon", "product_id": "cheese"},
        ["moon", "harbour", "cheese", "milk"],
    ),
    "severity that is no number": (
        "/simulation/events",
        '{"type": "slow_mover", "store_id": "harbour", "product_id": "milk", "severity": NaN}',
        ["severity"],
    ),
    "no JSON": ("/simulation/days", "{days: 1", ["JSON"]),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_bad_request_is_refused_and_told_what_is_allowed(connect, case) -> None:
    path, body, told = BAD_REQUESTS[case]

    async def play() -> httpx.Response:
        async with connect("http://127.0.0.1:9") as client:
            if isinstance(body, str):
                headers = {"content-type": "application/json"}
                return await client.post(path, content=body, headers=headers)
            return await client.post(path, json=body)

    answer = asyncio.run(play())
    assert answer.status_code == 422
    assert [word for word in told if word not in answer.text] == []
