"""The door: limits, headers, request ids, foreign pages; and the log of every change."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from midwatch_ledger.models import AuditEntry, Budget
from midwatch_ledger.services import keys
from midwatch_ledger.services.keys import KeyWanted
from midwatch_ledger.services.rates import RateLimit
from sqlalchemy import delete, text, update

BUDGET = {"scope": "agent", "scope_value": "monitor", "period": "day", "amount_usd": 5}


def key(ledger: Any, *scopes: str, name: str = "test") -> dict[str, str]:
    with ledger.database.writing() as connection:
        wanted = KeyWanted(name, scopes)
        _, secret = keys.create(connection, wanted, "tester", datetime.now(UTC))
    return {"authorization": f"Bearer {secret}"}


def test_a_bucket_fills_evenly_and_holds_a_minute() -> None:
    moments = [0.0]
    limit = RateLimit(60, monotonic=lambda: moments[-1])

    assert [limit.take("a") for _ in range(60)] == [0.0] * 60
    assert limit.take("a") == pytest.approx(1.0)
    assert limit.take("b") == 0.0
    moments.append(2.5)
    assert [limit.take("a") for _ in range(3)] == [0.0, 0.0, pytest.approx(0.5)]
    moments.append(10_000.0)
    assert sum(limit.take("a") == 0.0 for _ in range(100)) == 60


def test_who_asks_too_often_is_told_when_to_come_back(open_ledger: Any, sqlite_url: str) -> None:
    ledger = open_ledger(sqlite_url, requests_per_minute=5)
    headers = key(ledger, "read")
    answers = [ledger.client.get("/budgets", headers=headers) for _ in range(7)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 12
    assert answers[-1].headers["content-type"] == "application/problem+json"
    assert ledger.client.get("/budgets", headers=key(ledger, "read", name="b")).status_code == 200


def test_an_address_has_a_limit_of_its_own(open_ledger: Any, sqlite_url: str) -> None:
    ledger = open_ledger(sqlite_url, address_requests_per_minute=3)
    answers = [
        ledger.client.get("/budgets", headers=key(ledger, "read", name=str(number))).status_code
        for number in range(4)
    ]

    assert answers == [200, 200, 200, 429]


def test_guessing_keys_is_slowed_down(open_ledger: Any, sqlite_url: str) -> None:
    ledger = open_ledger(sqlite_url, address_failures_per_minute=4)
    right = key(ledger, "read")
    wrong = {"authorization": "Bearer mwk_0123456789ab_guess"}
    answers = [ledger.client.get("/budgets", headers=wrong).status_code for _ in range(6)]

    assert answers == [401] * 4 + [429] * 2
    assert ledger.client.get("/budgets", headers=right).status_code == 429


def test_ingest_and_probes_have_no_such_limit(open_ledger: Any, sqlite_url: str) -> None:
    ledger = open_ledger(sqlite_url, requests_per_minute=1, address_requests_per_minute=1)

    sent = [ledger.send(ledger.otlp.chat(number)).status_code for number in range(1, 6)]

    assert sent == [200] * 5
    assert [ledger.client.get("/healthz").status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("path", ["/healthz", "/budgets", "/nothing", "/openapi.json"])
def test_every_answer_carries_the_headers_of_security(
    open_ledger: Any, sqlite_url: str, path: str
) -> None:
    headers = open_ledger(sqlite_url).client.get(path).headers

    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])


def test_an_answer_that_nobody_foresaw_carries_them_too(
    open_ledger: Any, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(sqlite_url)

    def fail(*_: object) -> None:
        raise RuntimeError("swordfish")

    monkeypatch.setattr("midwatch_ledger.services.budgets.standing", fail)
    answer = ledger.client.get("/budgets")

    assert answer.status_code == 500
    assert "swordfish" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1.2_X", True), ("a b", False), ("x" * 65, False), ("<b>", False)]
)
def test_a_request_id_is_kept_if_it_is_one(
    open_ledger: Any, sqlite_url: str, given: str, kept: bool
) -> None:
    answer = open_ledger(sqlite_url).client.get("/healthz", headers={"x-request-id": given})

    assert (answer.headers["x-request-id"] == given) is kept


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8088", 200), ("localhost", 200), ("[::1]:8088", 200), ("evil.example.com", 403)],
)
def test_an_open_ledger_is_not_led_to_by_names_of_others(
    open_ledger: Any, sqlite_url: str, host: str, status: int
) -> None:
    answer = open_ledger(sqlite_url).client.get("/budgets", headers={"host": host})

    assert answer.status_code == status


def test_a_foreign_page_changes_nothing_in_an_open_ledger(
    open_ledger: Any, sqlite_url: str
) -> None:
    client = open_ledger(sqlite_url).client
    body: dict[str, object] = {"budgets": []}

    foreign = client.put("/budgets", json=body, headers={"origin": "https://evil.example.com"})

    assert foreign.status_code == 403
    assert client.put("/budgets", json=body).status_code == 200
    own = {"origin": "http://testserver"}
    assert client.put("/budgets", json=body, headers=own).status_code == 200


def test_every_change_says_who_did_what_and_when(ledger: Any) -> None:
    headers = {**key(ledger, "admin", name="ops"), "x-request-id": "change-1"}
    for amount in (5, 5, 7):
        given = {"budgets": [{**BUDGET, "amount_usd": amount}]}
        ledger.client.put("/budgets", json=given, headers=headers).raise_for_status()
    ledger.client.post("/prompts", json={"name": "greeting", "by": "x"}, headers=headers)

    entries = ledger.client.get("/audit", headers=headers).raise_for_status().json()["items"]

    assert [entry["action"] for entry in entries] == ["POST /prompts"] + ["PUT /budgets"] * 3
    assert {entry["actor"].split(" ")[0] for entry in entries} == {"key:ops"}
    assert {entry["request_id"] for entry in entries} == {"change-1"}
    first, last = entries[-1], entries[1]
    assert (first["before_digest"], first["changed"]) == (None, {"budgets": 1})
    assert last["before_digest"] != last["after_digest"]
    assert all(entry["after_digest"].startswith("sha256:") for entry in entries)
    assert len(ledger.rows(Budget)) == 1


def test_what_changes_nothing_and_what_is_refused_leaves_no_entry(ledger: Any) -> None:
    headers = key(ledger, "admin")
    for _ in range(2):
        ledger.client.post("/prompts", json={"name": "greeting", "by": "x"}, headers=headers)
    ledger.client.put("/budgets", json={"budgets": [{"scope": "?"}]}, headers=headers)
    ledger.client.get("/budgets", headers=headers)

    assert [row["action"] for row in ledger.rows(AuditEntry)] == ["POST /prompts"]


def test_a_change_that_fails_is_neither_there_nor_in_the_log(
    ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the log can't be written")

    monkeypatch.setattr("midwatch_ledger.store.auditing.record", fail)
    answer = ledger.client.put("/budgets", json={"budgets": [BUDGET]})

    assert answer.status_code == 500
    assert ledger.rows(Budget) == []
    assert ledger.rows(AuditEntry) == []


def test_telemetry_is_no_change(ledger: Any, otlp: Any) -> None:
    ledger.send(*otlp.turn())

    assert ledger.rows(AuditEntry) == []


@pytest.mark.parametrize(
    "statement",
    [update(AuditEntry).values(actor="nobody"), delete(AuditEntry)],
    ids=["update", "delete"],
)
def test_the_log_only_grows(ledger: Any, statement: Any) -> None:
    ledger.client.put("/budgets", json={"budgets": [BUDGET]}).raise_for_status()
    before = ledger.rows(AuditEntry)

    with (
        pytest.raises(Exception, match="the audit log only grows"),
        ledger.database.writing() as connection,
    ):
        connection.execute(statement)

    assert ledger.rows(AuditEntry) == before
    assert len(before) == 1


def test_the_log_cannot_be_emptied_either(ledger: Any) -> None:
    if ledger.database.is_sqlite:
        pytest.skip("SQLite has no TRUNCATE")
    with (
        pytest.raises(Exception, match="the audit log only grows"),
        ledger.database.writing() as connection,
    ):
        connection.execute(text("TRUNCATE audit_log"))
