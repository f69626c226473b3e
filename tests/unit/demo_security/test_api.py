"""The service over HTTP."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from midwatch.instruments.turn_state import LOOP_REPEATS
from security_agent.assistant.readiness import ReadinessCheck
from security_agent.assistant.sessions import SessionBusyError, SessionStore


def chat(client, message, **more):
    return client.post("/chat", json={"message": message, **more})


def test_a_question_about_the_appliance_is_answered_with_what_the_appliance_says(client, appliance):
    answer = chat(client, "What is the current status?").get_json()
    assert (answer["outcome"], answer["route"]) == ("answered", ["monitor"])
    assert f"{appliance.get('/api/status').json()['open_alerts']} open alerts" in answer["answer"]


def test_a_question_about_policy_is_answered_with_citations(client):
    answer = chat(client, "How long are security logs kept?").get_json()
    assert "one year" in answer["answer"]
    assert answer["citations"] == ["log-retention#what-is-kept-and-for-how-long"]


def test_a_request_for_two_agents_is_passed_on(client):
    answer = chat(client, "Show the status and then set the mode to strict").get_json()
    assert answer["route"] == ["monitor", "config_manager"]
    assert answer["needs_confirmation"] is True
    assert "requests a minute" in answer["answer"]


def test_a_follow_up_is_understood_from_the_session(client):
    chat(client, "How long are security logs kept?", session_id="s")
    answer = chat(client, "Where is that written down?", session_id="s").get_json()
    assert "log-retention#what-is-kept-and-for-how-long" in answer["citations"]


def test_a_change_is_confirmed_across_turns_of_a_session_only(client, appliance):
    asked = chat(client, "Block 203.0.113.5 for scanning").get_json()
    assert asked["pending_action"]["arguments"]["address"] == "203.0.113.5"
    chat(client, "yes", confirm=True, session_id="another")
    assert appliance.get("/api/blocks").json()["blocks"] == []
    chat(client, "go on", confirm=True, session_id=asked["session_id"])
    assert appliance.get("/api/blocks").json()["blocks"][0]["address"] == "203.0.113.5"


def test_metrics_endpoint_includes_agent_metrics(client):
    chat(client, "Show the status")
    text = client.get("/metrics").text
    assert "security_agent_chat_requests_total 1.0" in text
    assert "security_agent_chat_failures_total 0.0" in text
    assert "security_agent_chat_request_latency_seconds_count 1.0" in text
    assert 'security_agent_agent_route_total{selected_agent="monitor"} 1' in text
    assert (
        'security_agent_agent_tool_calls_total{agent="monitor",tool="tool_get_status",status="ok"}'
        in text
    )
    assert "security_agent_agent_turn_latency_seconds_count 1" in text


def test_each_family_of_metrics_is_described_once(client):
    chat(client, "Show the status")
    client.get("/readyz")
    kinds = [line for line in client.get("/metrics").text.splitlines() if line[:6] == "# TYPE"]
    assert len(kinds) == len({line.split()[2] for line in kinds})


def test_a_handoff_loop_goes_some_rounds_and_ends_with_an_answer(client, model_server):
    model_server.fault("handoff-loop")
    reply = chat(client, "Show the status")
    answer = reply.get_json()
    assert (reply.status_code, answer["outcome"]) == (200, "handoff_limit")
    assert answer["route"] == ["monitor", "config_manager"] * 3 + ["monitor"]
    assert 'from_agent="monitor",to_agent="supervisor"} 3' in client.get("/metrics").text


def test_a_handoff_loop_lasts_longer_than_it_takes_to_be_seen_as_one(client, model_server):
    model_server.fault("handoff-loop")
    chat(client, "Show the status")
    repeats = re.findall(r"agent_handoff_total\{.*\} (\d+)", client.get("/metrics").text)
    assert max(map(int, repeats)) > LOOP_REPEATS


def test_irrelevant_retrieval_is_escalated_to_a_person(client, model_server):
    model_server.fault("irrelevant-retrieval")
    answer = chat(client, "How long are security logs kept?").get_json()
    assert (answer["outcome"], answer["citations"]) == ("escalated", [])
    assert "a person should answer" in answer["answer"]


def test_a_tool_outage_is_told_and_is_no_failure_of_the_chat(client, appliance):
    appliance.fault("unavailable")
    reply = chat(client, "Show the alerts")
    assert (reply.status_code, reply.get_json()["outcome"]) == (200, "tool_failed")
    assert "503" in reply.get_json()["answer"]
    assert "security_agent_chat_failures_total 0.0" in client.get("/metrics").text


@pytest.mark.parametrize(
    ("fault", "parameters", "status", "code"),
    [
        ("rate-limit", {"retry_after_seconds": 7}, 503, "model_rate_limited"),
        ("server-error", {"status": 503}, 502, "model_error"),
        ("malformed-body", {}, 502, "model_bad_answer"),
        ("cut-stream", {"after_chunks": 1}, 503, "model_unreachable"),
        ("timeout", {}, 503, "model_timeout"),
    ],
)
def test_a_turn_that_cannot_be_answered_says_why_and_what_to_do(
    client, model_server, monkeypatch, fault, parameters, status, code
):
    monkeypatch.setenv("SECURITY_AGENT_MODEL_TIMEOUT_SECONDS", "0.4")
    model_server.fault(fault, **parameters)
    reply = chat(client, "How long are security logs kept?")
    assert reply.status_code == status
    error = reply.get_json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["remedy"]
    assert "security_agent_chat_failures_total 1.0" in client.get("/metrics").text
    if fault == "rate-limit":
        assert reply.headers["Retry-After"] == "7"


def test_a_turn_ends_when_its_time_is_over(client, model_server, monkeypatch):
    monkeypatch.setenv("SECURITY_AGENT_TURN_SECONDS", "1")
    model_server.fault("slow", extra_seconds=0.5)
    started = time.perf_counter()
    reply = chat(client, "How long are security logs kept?")
    assert time.perf_counter() - started < 3
    assert reply.get_json()["error"]["code"] in {"turn_timeout", "model_timeout"}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"message"}),
        ({"message": "   "}, {"message"}),
        (
            {"message": 5, "confirm": "yes", "session_id": "a b"},
            {"message", "confirm", "session_id"},
        ),
        ({"message": "x", "mesage": "y"}, {"mesage"}),
        (["x"], {"(body)"}),
    ],
)
def test_a_wrong_body_is_refused_with_all_its_problems(client, body, fields):
    reply = client.post("/chat", json=body)
    assert reply.status_code == 422
    assert {p["field"] for p in reply.get_json()["error"]["problems"]} == fields


def test_a_body_that_is_no_json_or_too_large_is_refused(client):
    assert client.post("/chat", data="hello").status_code == 422
    assert chat(client, "x" * 70_000).status_code in {413, 422}
    assert client.get("/nowhere").get_json()["error"]["code"] == "not_found"


def test_readiness_says_that_nothing_is_missing(client, appliance, model_server):
    reply = client.get("/readyz")
    assert reply.status_code == 200
    fine = {"ok": True, "reason": ""}
    assert reply.get_json() == {
        "ready": True,
        "degraded": False,
        "checks": {"model_server": fine, "appliance": fine},
    }
    assert "security_agent_service_ready 1.0" in client.get("/metrics").text


def test_without_its_model_provider_the_service_is_not_ready(client, appliance, model_server):
    model_server.fault("server-error", status=503)
    reply = client.get("/readyz")
    assert reply.status_code == 503
    assert reply.get_json()["ready"] is False
    assert reply.get_json()["checks"] == {
        "model_server": {"ok": False, "reason": "answers with status 503"},
        "appliance": {"ok": True, "reason": ""},
    }
    assert "security_agent_service_ready 0.0" in client.get("/metrics").text
    assert client.get("/healthz").status_code == 200


def test_without_its_appliance_it_is_ready_degraded_and_answers(client, appliance, model_server):
    appliance.fault("unavailable")
    reply = client.get("/readyz")
    assert reply.status_code == 200
    body = reply.get_json()
    assert (body["ready"], body["degraded"]) == (True, True)
    assert body["checks"]["appliance"] == {"ok": False, "reason": "answers with status 503"}
    assert "security_agent_service_ready 1.0" in client.get("/metrics").text
    assert chat(client, "Show the status").status_code == 200


def test_readiness_is_asked_once_in_a_while_only():
    asked = []

    def probe() -> str:
        asked.append(1)
        return ""

    check = ReadinessCheck({"x": probe})
    assert all(check.check().ready for _time in range(5))
    assert len(asked) == 1


def test_a_session_can_be_read_back(client):
    answer = chat(client, "Show the status", session_id="mine").get_json()
    turns = client.get("/sessions/mine").get_json()["turns"]
    assert [(t["message"], t["trace_id"]) for t in turns] == [
        ("Show the status", answer["trace_id"])
    ]
    assert client.get("/sessions/other").status_code == 404


def test_sessions_are_bounded_and_the_one_unused_longest_is_forgotten():
    store = SessionStore(2)
    for session_id in ("a", "b", "a", "c"):
        with store.turn(session_id, 1) as context:
            context["turns"] = [{"session": session_id}]
    assert len(store) == 2
    assert store.turns("b") is None
    assert store.turns("a") == [{"session": "a"}]


def test_a_session_has_one_turn_at_a_time():
    store, entered, leave = SessionStore(2), threading.Event(), threading.Event()

    def hold() -> None:
        with store.turn("a", 1):
            entered.set()
            leave.wait(5)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        assert entered.wait(5)
        with pytest.raises(SessionBusyError), store.turn("a", 0.01):
            pass
        leave.set()
        held.result()
