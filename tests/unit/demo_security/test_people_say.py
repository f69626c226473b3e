"""What people say of the answers reaches the service's telemetry."""

from __future__ import annotations

import pytest


@pytest.fixture
def said(monkeypatch):
    """What is handed to Midwatch."""
    calls = []
    monkeypatch.setattr("midwatch.feedback", lambda **given: calls.append(given))
    monkeypatch.setattr("midwatch.outcome", lambda *given: calls.append(given))
    return calls


def test_thumbs_are_of_the_turn_and_what_came_of_it_is_of_the_session(client, said):
    client.post("/chat", json={"message": "Show the status", "session_id": "s"})
    answer = client.post("/chat", json={"message": "Show the status", "session_id": "s"}).get_json()
    body = {"session_id": "s", "thumbs": "down", "solved": False}
    response = client.post("/feedback", json=body)
    assert (response.status_code, response.get_json()["turn_id"]) == (201, "2")
    assert said == [
        {
            "thumbs": "down",
            "session_id": "s",
            "turn_id": "2",
            "trace_id": answer["trace_id"],
        },
        ("unsolved", False),
    ]
    said.clear()
    client.post("/feedback", json={"session_id": "s", "turn_id": "1", "solved": True})
    assert said == [("solved", True)]


def test_a_turn_that_nobody_remembers_is_not_found(client, said):
    client.post("/chat", json={"message": "Show the status", "session_id": "s"})
    for body in ({"session_id": "other"}, {"session_id": "s", "turn_id": "7"}):
        response = client.post("/feedback", json={**body, "thumbs": "up"})
        assert (response.status_code, response.get_json()["error"]["code"]) == (404, "unknown_turn")
    assert said == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"session_id": "s"}, "(body)"),
        ({"session_id": "s", "thumbs": "sideways"}, "thumbs"),
        ({"thumbs": "up"}, "session_id"),
        ({"session_id": "s", "solved": "yes"}, "solved"),
        (None, "(body)"),
    ],
)
def test_what_says_nothing_is_refused_with_what_to_send(client, said, body, field):
    response = client.post("/feedback", json=body)
    error = response.get_json()["error"]
    assert response.status_code == 422
    assert [problem["field"] for problem in error["problems"]] == [field]
    assert "thumbs (up or down) or solved (bool)" in error["message"]
    assert said == []
