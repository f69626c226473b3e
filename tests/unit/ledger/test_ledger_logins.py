"""Logging in with a provider of OpenID Connect, sessions, and pages of others."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import RSAKey
from midwatch_ledger.models import LoginAttempt, LoginSession, User
from midwatch_ledger.settings import Settings, SettingsError, load_settings
from midwatch_ledger.store import access
from sqlalchemy import update

CLIENT, SECRET = "midwatch", "the-secret-of-the-client"
COOKIE = "__Host-midwatch-session"
US = "https://ledger.test"
_KEY = RSAKey.generate_key(2048, parameters={"kid": "one"})


class Provider(ThreadingHTTPServer):
    """A small provider: who logs in is whoever `user` says; `claims` may lie."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.key = _KEY
        self.user: dict[str, Any] = {
            "sub": "42",
            "email": "ada@example.com",
            "name": "Ada",
            "groups": ["sre"],
        }
        self.claims: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.signing: Any = self.key
        self.asked: dict[str, dict[str, str]] = {}
        self.exchanges = True

    def authorize(self, url: str) -> str:
        """Do what a person does on the provider's pages; give where the browser goes then."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert query["client_id"] == CLIENT
        assert "openid" in query["scope"].split()
        code = f"code-{len(self.asked)}"
        self.asked[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Exchange a code, once, for whoever proves to be the one that asked for it."""
        if not self.exchanges:
            return 502, {}
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self.asked.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or authorization != f"Basic {expected}":
            return 400, {"error": "invalid_grant"}
        if challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "nonce": asked["nonce"],
            "iat": now,
            "exp": now + 300,
            **self.user,
            **self.claims,
        }
        header = {"alg": self.algorithm, "kid": "one"}
        made = jwt.encode(header, claims, self.signing, algorithms=[self.algorithm])
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": made}


class _Pages(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        provider = self.server
        if self.path == "/.well-known/openid-configuration":
            self._answer(
                200,
                {
                    "issuer": provider.issuer,
                    "authorization_endpoint": f"{provider.issuer}/authorize",
                    "token_endpoint": f"{provider.issuer}/token",
                    "jwks_uri": f"{provider.issuer}/keys",
                },
            )
        else:
            self._answer(200, {"keys": [provider.key.as_dict(private=False)]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self._answer(*self.server.token(form, self.headers.get("Authorization", "")))

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Provider()
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def ledger_of(
    open_ledger: Callable[..., Any], migrated_url: str, provider: Provider, tmp_path: Any
) -> Callable[..., Any]:
    (tmp_path / "client-secret").write_text(SECRET)

    def start(**settings: Any) -> Any:
        given = {
            "oidc_issuer": provider.issuer,
            "oidc_client_id": CLIENT,
            "oidc_client_secret_file": tmp_path / "client-secret",
            "oidc_roles": {"sre": "oncall", "shop-team": {"shop": "admin"}, "bosses": "admin"},
            "public_url": US,
            **settings,
        }
        opened = open_ledger(migrated_url, **given)
        opened.client.base_url = US
        opened.client.follow_redirects = False
        return opened

    return start


def log_in(client: TestClient, provider: Provider, target: str = "/whoami") -> Any:
    """Go all the way, as a browser does; give the last answer."""
    begun = client.get("/login", params={"next": target})
    assert begun.status_code == 302, begun.text
    back = provider.authorize(begun.headers["location"])
    assert back.startswith(f"{US}/login/callback?")
    return client.get(back)


def test_a_person_logs_in_and_has_the_roles_of_their_groups(
    ledger_of: Any, provider: Provider
) -> None:
    provider.user["groups"] = ["sre", "shop-team", "unheard-of"]
    ledger = ledger_of()
    answer = log_in(ledger.client, provider)

    assert (answer.status_code, answer.headers["location"]) == (302, "/whoami")
    who = ledger.client.get("/whoami").raise_for_status().json()
    assert who["name"] == "user:ada@example.com"
    assert who["grants"] == {"*": "oncall", "shop": "admin"}
    assert ledger.client.get("/execution-logs/executions").status_code == 200
    assert ledger.client.get("/audit").status_code == 403


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(
    ledger_of: Any, provider: Provider
) -> None:
    answer = log_in(ledger_of().client, provider)
    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE)]

    for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/", "expires="):
        assert attribute in cookie
    plain = log_in(ledger_of(cookie_secure=False).client, provider)
    assert all("Secure" not in cookie for cookie in plain.headers.get_list("set-cookie"))


def test_no_token_is_kept_that_could_be_used_again(ledger_of: Any, provider: Provider) -> None:
    ledger = ledger_of()
    log_in(ledger.client, provider)
    token = ledger.client.cookies[COOKIE]

    kept = str([ledger.rows(table) for table in (LoginSession, LoginAttempt, User)])

    assert token not in kept
    assert ledger.rows(LoginAttempt) == []
    assert len(ledger.rows(LoginSession)) == 1


def test_logging_in_again_renews_who_somebody_is(ledger_of: Any, provider: Provider) -> None:
    ledger = ledger_of()
    log_in(ledger.client, provider)
    provider.user.update(groups=["bosses"], email="ada@new.example.com")
    log_in(ledger.client, provider)

    (user,) = ledger.rows(User)
    assert (user["email"], user["grants"]) == ("ada@new.example.com", {"*": "admin"})
    assert ledger.client.get("/audit").status_code == 200


def test_who_has_no_role_is_not_let_in(ledger_of: Any, provider: Provider) -> None:
    provider.user["groups"] = ["unheard-of"]
    ledger = ledger_of()
    answer = log_in(ledger.client, provider)

    assert answer.status_code == 403
    assert "none of your groups has a role" in answer.json()["detail"]
    assert COOKIE not in ledger.client.cookies


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "of another login"},
        {"aud": "another-client"},
        {"iss": "https://another.example.com"},
        {"exp": 1_000_000_000},
        {"sub": None},
    ],
    ids=str,
)
def test_an_identity_that_does_not_hold_is_refused(
    ledger_of: Any, provider: Provider, lie: dict[str, Any]
) -> None:
    provider.claims = lie
    ledger = ledger_of()
    answer = log_in(ledger.client, provider)

    assert answer.status_code == 400
    assert "proves nothing" in answer.json()["detail"]
    assert ledger.rows(LoginSession) == []


def test_a_signature_of_somebody_else_is_refused(ledger_of: Any, provider: Provider) -> None:
    ledger = ledger_of()
    provider.signing = RSAKey.generate_key(2048, parameters={"kid": "one"})

    assert log_in(ledger.client, provider).status_code == 400


def test_a_state_is_good_once_and_for_the_browser_that_got_it(
    ledger_of: Any, provider: Provider
) -> None:
    ledger = ledger_of()
    begun = ledger.client.get("/login")
    back = provider.authorize(begun.headers["location"])
    stranger = TestClient(ledger.client.app, base_url=US, follow_redirects=False)

    assert stranger.get(back).status_code == 400
    cookies = dict(ledger.client.cookies)
    assert ledger.client.get(back).status_code == 302
    again = TestClient(ledger.client.app, base_url=US, cookies=cookies, follow_redirects=False)
    assert again.get(back).status_code == 400


@pytest.mark.parametrize("target", ["https://evil.example.com", "//evil.example.com", "/\\evil"])
def test_a_login_leads_nowhere_else(ledger_of: Any, target: str) -> None:
    assert ledger_of().client.get("/login", params={"next": target}).status_code == 422


def test_a_provider_that_is_away_is_told_as_unavailable(ledger_of: Any, provider: Provider) -> None:
    ledger = ledger_of()
    provider.shutdown()
    provider.server_close()

    answer = ledger.client.get("/login")

    assert answer.status_code == 503
    assert answer.headers["retry-after"]


def test_a_provider_that_fails_in_the_middle_of_a_login_is_told_as_unavailable(
    ledger_of: Any, provider: Provider
) -> None:
    provider.exchanges = False

    answer = log_in(ledger_of().client, provider)

    assert answer.status_code == 503
    assert answer.headers["retry-after"]


def test_a_session_ends_in_time_and_by_logging_out(ledger_of: Any, provider: Provider) -> None:
    ledger = ledger_of(session_hours=0.0001)
    log_in(ledger.client, provider)
    deadline = time.monotonic() + 20
    while ledger.client.get("/whoami").status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ledger.client.get("/whoami").status_code == 401

    lasting = ledger_of()
    log_in(lasting.client, provider)
    token = lasting.client.cookies[COOKIE]
    csrf = lasting.client.get("/whoami").json()["csrf_token"]
    assert lasting.client.post("/logout", headers={"x-csrf-token": csrf}).status_code == 204
    assert COOKIE not in lasting.client.cookies
    old = {"cookie": f"{COOKIE}={token}"}
    assert lasting.client.get("/whoami", headers=old).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-csrf-token": "guessed"},
        {"x-csrf-token": "right", "origin": "https://evil.example.com"},
    ],
    ids=["none", "guessed", "other origin"],
)
def test_a_page_of_others_changes_nothing_with_the_cookie_of_a_browser(
    ledger_of: Any, provider: Provider, headers: dict[str, str]
) -> None:
    provider.user["groups"] = ["bosses"]
    ledger = ledger_of()
    log_in(ledger.client, provider)
    csrf = ledger.client.get("/whoami").json()["csrf_token"]
    given = {name: csrf if value == "right" else value for name, value in headers.items()}

    assert ledger.client.put("/budgets", json={"budgets": []}, headers=given).status_code == 403
    right = {"x-csrf-token": csrf, "origin": US}
    assert ledger.client.put("/budgets", json={"budgets": []}, headers=right).status_code == 200


def test_without_a_provider_no_answer_of_one_is_taken(ledger: Any) -> None:
    answer = ledger.client.get("/login/callback", params={"state": "x", "code": "y"})

    assert answer.status_code == 404
    assert "MIDWATCH_LEDGER_OIDC_ISSUER" in answer.json()["detail"]


def test_a_user_whose_session_is_of_another_ledger_is_unknown(
    ledger_of: Any, provider: Provider
) -> None:
    ledger = ledger_of()
    log_in(ledger.client, provider)
    with ledger.database.writing() as connection:
        connection.execute(update(LoginSession).values(digest="0" * 64))
        assert access.session(connection, "1" * 64, ledger.rows(User)[0]["created_at"]) is None
    ledger.client.app.state.authenticator.forget(ledger.client.cookies[COOKIE])

    assert ledger.client.get("/whoami").status_code == 401


def test_wrong_settings_of_a_login_are_told_with_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIDWATCH_LEDGER_OIDC_ISSUER", "https://login.example.com")
    with pytest.raises(SettingsError) as told:
        load_settings()
    (problem,) = told.value.problems
    for name in ("OIDC_CLIENT_ID", "PUBLIC_URL", "OIDC_ROLES"):
        assert f"MIDWATCH_LEDGER_{name}" in problem

    monkeypatch.setenv("MIDWATCH_LEDGER_OIDC_ISSUER", "http://login.example.com")
    monkeypatch.setenv("MIDWATCH_LEDGER_OIDC_ROLES", '{"sre": "king"')
    with pytest.raises(SettingsError) as told:
        load_settings()
    text = "\n".join(told.value.problems)
    assert "must begin with https://" in text
    assert "is not JSON" in text


def test_the_settings_read_roles_by_group_and_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_LEDGER_OIDC_ROLES", '{"a": "viewer", "b": {"shop": "admin"}}')

    assert Settings().oidc_roles == {"a": "viewer", "b": {"shop": "admin"}}
