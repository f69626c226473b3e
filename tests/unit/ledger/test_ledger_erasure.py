"""The right to erasure: nothing is left, nowhere; and what a legal hold forbids."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from midwatch_ledger.models import (
    AuditEntry,
    Base,
    DeadLetter,
    EventRecord,
    LegalHold,
    PerformanceMetric,
    ResourceRecord,
    StaleMinute,
    WorkflowTrace,
)
from midwatch_ledger.services.dead_letters import keep_unstorable
from midwatch_ledger.services.rollups import catch_up

GONE, STAYS = "a" * 32, "b" * 32
SESSION, USER = "session-of-ada", "hash-of-ada"


@pytest.fixture
def filled(ledger: Any, fillings: Any) -> Any:
    """Give a ledger with what Ada did, all over its tables, and what another did."""
    fillings.fill(ledger, fill)
    return ledger


def fill(ledger: Any) -> None:
    for trace_id, session, user in ((GONE, SESSION, USER), (STAYS, "other", "hash-of-bob")):
        build = type(ledger.otlp)(trace_id=trace_id)
        named = {"session__id": session, "user__hash": user}
        ledger.send(
            build.span(1, name="turn", midwatch__turn__outcome="ok", **named),
            build.agent(2, 1, "monitor", **named),
            build.chat(3, 2, gen_ai__input__messages="hello", **named),
        )
        told = {"session.id": session, "user.hash": user}
        events = [
            build.event("handoff", from_agent="a", to_agent="b", **told),
            build.event("guardrail.decided", gate="input", decision="deny", **told),
            build.event("outcome.recorded", outcome="sold", success=True, **told),
        ]
        for event in events:
            ledger.send_events(event)
        stray = build.event("decision.made", decision="buy", agent="a", **told)
        stray.trace_id, stray.span_id = b"", b""
        ledger.send_events(stray)
        for given in ({"trace_id": trace_id}, {"session_id": session}):
            opinion = {"kind": "thumb", "value": "up", "by": user, **given}
            answer = ledger.client.post("/feedback", json=opinion).raise_for_status().json()
            step = {"by": "me", "state": "accepted", "note": "good"}
            ledger.client.patch(f"/feedback/{answer['id']}", json=step).raise_for_status()
        letter = EventRecord(
            id=uuid.uuid4(),
            name="odd",
            resource=ResourceRecord("r", {}),
            unix_nanoseconds=build.start,
            trace_id=None,
            span_id=None,
            severity=None,
            body=None,
            attributes=told,
        )
        with ledger.database.writing() as connection:
            keep_unstorable(connection, letter, "odd", datetime.now(UTC))
    catch_up(ledger.database)


def left(ledger: Any, *words: str) -> dict[str, str]:
    """Give what is left of the words, by table."""
    found = {}
    for mapper in Base.registry.mappers:
        rows = str(ledger.rows(mapper.class_))
        for word in words:
            if word in rows:
                found[mapper.class_.__name__] = word
    return found


@pytest.mark.parametrize("path", [f"/sessions/{SESSION}", f"/users/{USER}"])
def test_nothing_is_left_of_who_is_erased(filled: Any, path: str) -> None:
    assert len(left(filled, GONE, SESSION)) >= 9
    answer = filled.client.delete(path)

    deleted = answer.raise_for_status().json()["deleted"]
    assert deleted["spans"] == 3
    assert deleted["dead_letters"] == 1
    assert left(filled, GONE, SESSION if path.startswith("/sessions") else USER) == {}
    assert filled.client.delete(path).status_code == 404


@pytest.mark.parametrize("path", [f"/sessions/{SESSION}", f"/users/{USER}"])
def test_the_sums_are_as_if_they_had_never_been(
    filled: Any, open_ledger: Callable[..., Any], sqlite_url: str, path: str
) -> None:
    before = filled.rows(PerformanceMetric)
    filled.client.delete(path).raise_for_status()
    after = filled.rows(PerformanceMetric)

    assert filled.rows(StaleMinute) == []
    turns = [row for row in after if (row["kind"], row["resolution"]) == ("trace", "hour")]
    assert sum(row["count"] for row in turns) == 1
    assert len(after) <= len(before)
    assert [row["trace_id"] for row in filled.rows(WorkflowTrace)] == [STAYS]


def test_an_erasure_is_in_the_log_without_saying_of_whom(filled: Any) -> None:
    filled.client.delete(f"/sessions/{SESSION}").raise_for_status()

    entries = [row for row in filled.rows(AuditEntry) if row["action"].startswith("DELETE")]

    (entry,) = entries
    assert entry["action"] == "DELETE /sessions/{session_id}"
    assert entry["subject"].startswith("sha256:")
    assert entry["changed"]["spans"] == 3


@pytest.mark.parametrize(
    ("subject", "value"),
    [("session", SESSION), ("user", USER), ("trace", GONE), ("project", "default")],
)
def test_a_legal_hold_forbids_it_until_it_is_released(
    filled: Any, subject: str, value: str
) -> None:
    given = {"subject": subject, "value": value, "reason": "case 7"}
    held = filled.client.post("/holds", json=given).raise_for_status().json()

    for path in (
        f"/sessions/{SESSION}",
        f"/users/{USER}",
        f"/execution-logs/executions/{GONE}",
    ):
        answer = filled.client.delete(path)
        assert (path, answer.status_code) == (path, 409)
        assert "legal hold" in answer.json()["detail"]
    assert filled.client.get("/holds").json()["items"] == [held]
    assert len(filled.rows(WorkflowTrace)) == 2

    release = f"/holds/{held['id']}/release"
    assert filled.client.post(release).status_code == 204
    assert filled.client.post(release).status_code == 404
    assert filled.client.delete(f"/sessions/{SESSION}").status_code == 200
    (hold,) = filled.rows(LegalHold)
    assert hold["released_by"] == "anyone"


def test_the_hold_of_another_forbids_nothing(filled: Any) -> None:
    given = {"subject": "session", "value": "other", "reason": "case 8"}
    filled.client.post("/holds", json=given).raise_for_status()

    assert filled.client.delete(f"/sessions/{SESSION}").status_code == 200
    assert filled.client.delete("/sessions/other").status_code == 409


def test_nobody_unknown_is_erased(filled: Any) -> None:
    answer = filled.client.delete("/users/nobody")

    assert answer.status_code == 404
    assert len(filled.rows(DeadLetter)) == 2
