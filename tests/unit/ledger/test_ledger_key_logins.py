"""Browsers that show an API key once: who gets in, with what rights, and until when."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from midwatch_ledger.models import AlertAction, LoginSession, User
from midwatch_ledger.services import authentication, keys
from midwatch_ledger.services.keys import KeyWanted

PAGE = {"accept": "text/html,*/*;q=0.8"}
COOKIE = "__Host-midwatch-session"
US = "https://ledger.test"
ADMIN_KEY = "the-key-of-the-admins"


@pytest.fixture
def ledger(open_ledger: Callable[..., Any], migrated_url: str, tmp_path: Any) -> Any:
    """Give a ledger with keys and no provider, as the chart installs it."""
    (tmp_path / "key").write_text(ADMIN_KEY)
    opened = open_ledger(migrated_url, api_key_file=tmp_path / "key")
    opened.client.base_url = US
    opened.client.follow_redirects = False
    opened.client.headers.update(PAGE)
    return opened


def made(ledger: Any, *scopes: str, project: str | None = None) -> str:
    with ledger.database.writing() as connection:
        wanted = KeyWanted("ada", scopes, project)
        return keys.create(connection, wanted, "test", datetime.now(UTC))[1]


def show(ledger: Any, key: str, target: str = "/whoami", **headers: str) -> Any:
    return ledger.client.post("/login/key", data={"key": key, "next": target}, headers=headers)


def test_a_browser_without_a_provider_is_led_to_the_form_and_back_to_its_page(ledger: Any) -> None:
    path = "/console/sessions?agent=monitor"

    first = ledger.client.get(path)
    second = ledger.client.get(first.headers["location"])
    form = ledger.client.get(second.headers["location"])
    wanted = re.search(r'name="next" value="([^"]*)"', form.text)
    entered = show(ledger, ADMIN_KEY, wanted.group(1) if wanted else "")

    assert (first.status_code, second.status_code, form.status_code) == (302, 302, 200)
    assert (entered.status_code, entered.headers["location"]) == (303, path)
    assert ledger.client.get(path).status_code == 200


def test_a_session_has_the_rights_of_its_key_and_no_more(ledger: Any) -> None:
    show(ledger, made(ledger, "read", project="shop"))

    who = ledger.client.get("/whoami").raise_for_status().json()

    assert who["name"].startswith("key:ada (")
    assert (who["grants"], who["scopes"]) == ({"shop": "viewer"}, ["read"])
    assert ledger.client.get("/execution-logs/executions").status_code == 200
    assert ledger.client.get("/audit").status_code == 403


def test_what_opens_nothing_is_told_so_and_opens_no_session(ledger: Any) -> None:
    for wrong in ("", "x", "mwk_0123456789ab_guess", "k" * 2000):
        answer = show(ledger, wrong)

        assert answer.status_code == 403
        assert "opens nothing here" in answer.text
        assert "set-cookie" not in answer.headers
    assert ledger.rows(LoginSession) == []


def test_a_session_ends_with_its_key(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "_KEPT_SECONDS", 0.0)
    key = made(ledger, "read")
    show(ledger, key)
    before = ledger.client.get("/whoami").status_code
    with ledger.database.writing() as connection:
        keys.revoke(connection, key.split("_")[1], datetime.now(UTC))

    assert (before, ledger.client.get("/whoami").status_code) == (200, 401)


def test_a_session_of_a_key_file_ends_when_the_file_has_another_key(
    ledger: Any, open_ledger: Callable[..., Any], migrated_url: str, tmp_path: Any
) -> None:
    show(ledger, ADMIN_KEY)
    cookies = ledger.client.cookies
    (tmp_path / "key").write_text("another-key")
    renewed = open_ledger(migrated_url, api_key_file=tmp_path / "key")

    answer = renewed.client.get("/whoami", headers={"cookie": f"{COOKIE}={cookies[COOKIE]}"})

    assert answer.status_code == 401


def test_logging_out_ends_the_session(ledger: Any) -> None:
    show(ledger, ADMIN_KEY)
    token = ledger.client.cookies[COOKIE]
    csrf = ledger.client.get("/whoami").json()["csrf_token"]

    left = ledger.client.post("/console/logout", data={"csrf_token": csrf})

    assert (left.status_code, ledger.rows(LoginSession)) == (200, [])
    again = ledger.client.get("/whoami", headers={"cookie": f"{COOKIE}={token}"})
    assert again.status_code == 401


def test_a_page_of_somebody_else_logs_nobody_in(ledger: Any) -> None:
    assert show(ledger, ADMIN_KEY, origin="https://evil.test").status_code == 403
    assert show(ledger, ADMIN_KEY, origin=US).status_code == 303


def test_nobody_is_led_away_after_the_login(ledger: Any) -> None:
    for target in ("https://evil.test/", "//evil.test", "/\\evil.test", "console"):
        assert show(ledger, ADMIN_KEY, target).status_code == 422
    assert ledger.rows(LoginSession) == []


def test_neither_key_nor_cookie_is_kept_or_shown(ledger: Any) -> None:
    key = made(ledger, "read")
    answers = [show(ledger, key), show(ledger, ADMIN_KEY), show(ledger, "mistyped-key")]

    kept = str([ledger.rows(table) for table in (LoginSession, User)])

    secrets = (key, ADMIN_KEY, ledger.client.cookies[COOKIE])
    assert not [secret for secret in secrets if secret in kept]
    assert all("mistyped-key" not in answer.text for answer in answers)


def test_keys_can_be_tried_only_so_often(
    open_ledger: Callable[..., Any], sqlite_url: str, tmp_path: Any
) -> None:
    (tmp_path / "key").write_text(ADMIN_KEY)
    ledger = open_ledger(sqlite_url, api_key_file=tmp_path / "key", address_failures_per_minute=3)

    tried = [show(ledger, f"guess-{number}").status_code for number in range(4)]

    assert tried == [403, 403, 403, 429]


@pytest.mark.parametrize(
    ("scopes", "buttons", "status"), [(("read",), False, 403), (("alerts",), True, 303)]
)
def test_a_key_for_alerts_takes_one_on_in_the_browser(
    ledger: Any, scopes: tuple[str, ...], buttons: bool, status: int
) -> None:
    alert = {
        "status": "firing",
        "fingerprint": "f1",
        "startsAt": "2026-11-21T10:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "labels": {"alertname": "AgentSilent", "severity": "critical"},
        "annotations": {"summary": "monitor is silent"},
    }
    admin = {"authorization": f"Bearer {ADMIN_KEY}"}
    ledger.client.post(
        "/alerts/webhook", json={"alerts": [alert]}, headers=admin
    ).raise_for_status()
    show(ledger, made(ledger, *scopes))
    csrf = ledger.client.get("/whoami").json()["csrf_token"]

    page = ledger.client.get("/console/alerts/f1").text
    taken = ledger.client.post("/console/alerts/f1/acknowledge", data={"csrf_token": csrf})

    assert ("Acknowledge</button>" in page) is buttons
    assert taken.status_code == status
    assert [row["actor"].startswith("ada (") for row in ledger.rows(AlertAction)] == (
        [True] if buttons else []
    )
