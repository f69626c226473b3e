"""The console's pages: what they show, to whom, and what their forms do."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from midwatch_ledger.models import AlertAction, AuditEntry
from midwatch_ledger.services.conversations import items
from midwatch_ledger.services.messages import read

PAGE = {"accept": "text/html,*/*;q=0.8"}
COOKIE = "midwatch-session"
QUESTION = '[{"role": "user", "parts": [{"type": "text", "content": "Is db-7 <b>well</b>?"}]}]'
CALLS = (
    '[{"role": "assistant", "parts": [{"type": "tool_call", "name": "read_metrics", '
    '"arguments": {"host": "db-7"}}]}]'
)
ANSWER = '[{"role": "assistant", "parts": [{"type": "text", "content": "Yes, it is."}]}]'


@pytest.fixture
def told(open_ledger: Callable[..., Any], migrated_url: str, otlp: Any) -> Any:
    """Give a ledger with a turn and what was said in it."""
    ledger = open_ledger(migrated_url, cookie_secure=False)
    said = {"gen_ai__input__messages": QUESTION}
    ledger.send(
        otlp.span(
            1, name="POST /chat", seconds=4, session__id="session-7", midwatch__turn__outcome="ok"
        ),
        otlp.agent(2, 1, "monitor", at=0.1, seconds=3.5),
        otlp.chat(3, 2, at=0.2, seconds=0.5, **said, **{"gen_ai__output__messages": CALLS}),
        otlp.tool(
            4,
            2,
            "read_metrics",
            at=1,
            **{
                "gen_ai__tool__call__arguments": '{"host": "db-7"}',
                "gen_ai__tool__call__result": "1",
            },
        ),
        otlp.chat(5, 2, at=2.5, seconds=1, **said, **{"gen_ai__output__messages": ANSWER}),
    )
    ledger.send_events(
        otlp.event("guardrail.decided", span=2, at=0.15, gate="input", decision="allow")
    )
    return ledger


@pytest.fixture
def person(told: Any, log_in: Callable[..., Any]) -> Callable[..., dict[str, str]]:
    """Log somebody in; give what their browser sends."""
    return lambda **grants: {**log_in(told.database, **grants).cookie(COOKIE), **PAGE}


def page(ledger: Any, path: str, headers: dict[str, str] = PAGE, status: int = 200) -> str:
    answer = ledger.client.get(path, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return str(answer.text)


def text_of(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def alert(ledger: Any, fingerprint: str, status: str = "firing", **annotations: str) -> None:
    given = {
        "status": status,
        "fingerprint": fingerprint,
        "startsAt": "2026-11-21T10:00:00Z",
        "endsAt": "2026-11-21T10:05:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "labels": {"alertname": "AgentSilent", "severity": "critical", "agent": "monitor"},
        "annotations": {"summary": "monitor is silent", **annotations},
    }
    ledger.client.post("/alerts/webhook", json={"alerts": [given]}).raise_for_status()


def test_a_session_is_a_conversation_beside_its_waterfall(told: Any) -> None:
    shown = page(told, "/console/sessions/session-7")
    talk, _, spans = shown.partition('class="spans"')

    said = text_of(talk)
    for earlier, later in (
        ("Is db-7 <b>well</b>?", "guardrail said allow"),
        ("guardrail said allow", "calls read_metrics"),
        ("calls read_metrics", "gave 1"),
        ("gave 1", "Yes, it is."),
    ):
        assert said.index(earlier) < said.index(later), said
    assert "<b>well</b>" not in shown
    names = [name.strip() for name in re.findall(r'class="name">([^<]*)', spans)]
    assert names == ["POST /chat", "span 2", "span 3", "span 4", "span 5"]
    assert re.findall(r'x="([\d.]+)%" width="([\d.]+)%"', spans)[3] == ("25.0", "25.0")
    links = set(re.findall(r'href="#([^"]+-[0-9a-f]{16})"', shown))
    assert links
    assert links <= set(re.findall(r'<details id="([^"]+)"', shown))


def test_nothing_in_a_page_is_a_script_or_a_style_that_its_policy_forbids(told: Any) -> None:
    answer = told.client.get("/console/sessions/session-7", headers=PAGE)

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script" not in answer.text
    assert not re.search(r"<[^>]+\s(style|on\w+)=", answer.text)


@pytest.mark.parametrize(("per_page", "per_read"), [(2, 3), (1, 1), (50, 200)])
def test_sessions_are_listed_once_newest_first_over_all_pages(
    told: Any, otlp: Any, monkeypatch: pytest.MonkeyPatch, per_page: int, per_read: int
) -> None:
    monkeypatch.setattr("midwatch_ledger.api.console._PER_PAGE", per_page)
    monkeypatch.setattr("midwatch_ledger.services.sessions._TRACES_PER_READ", per_read)
    # The turns of s-0 and s-1 take turns; one trace has no session.
    for number in range(6):
        one = type(otlp)(trace_id=f"{number + 1:032x}", start=otlp.start + number * 10**10)
        session = {} if number == 3 else {"session__id": f"s-{number % 2}"}
        told.otlp = one
        told.send(one.chat(1, **session))

    found: list[str] = []
    path: str | None = "/console/sessions"
    while path:
        shown = page(told, path)
        found += re.findall(r'<td><a href="/console/sessions/([^"]+)"', shown)
        following = re.search(r'rel="next" href="([^"]+)"', shown)
        path = html.unescape(following[1]) if following else None

    assert found == ["s-1", "s-0", f"{4:032x}", "session-7"]


def test_sessions_are_found_by_id_and_by_filters(told: Any) -> None:
    assert "session-7" in page(told, "/console/sessions?agent=monitor")
    assert "No session is kept" in page(told, "/console/sessions?agent=nobody")
    assert "Is db-7" in text_of(page(told, f"/console/sessions?find={told.otlp.trace_id}"))
    assert "no session, trace or call" in page(told, "/console/sessions?find=x%2Fy", status=404)
    assert "begin at" in page(told, "/console/sessions?after=x", status=422)


def test_the_first_page_is_the_list_of_sessions(told: Any) -> None:
    assert "session-7" in page(told, "/")


@pytest.mark.parametrize(("role", "sees"), [("viewer", False), ("oncall", True)])
def test_content_is_shown_by_role(
    told: Any, person: Callable[..., dict[str, str]], role: str, sees: bool
) -> None:
    shown = text_of(page(told, "/console/sessions/session-7", person(every=role)))

    assert ("Yes, it is." in shown) is sees
    assert ("Is db-7" in shown) is sees
    assert ("Content is hidden from this role." in shown) is not sees
    assert "read_metrics" in shown


def test_sessions_of_other_projects_are_not_there(
    told: Any, person: Callable[..., dict[str, str]]
) -> None:
    other = person(shop="admin")

    assert "session-7" not in page(told, "/console/sessions", other)
    page(told, "/console/sessions/session-7", other, status=404)


def test_an_alert_is_acknowledged_in_the_name_of_who_is_logged_in(
    told: Any, person: Callable[..., dict[str, str]]
) -> None:
    alert(told, "f1", runbook_url="https://runbooks.test/x", dashboard_url="javascript:alert(1)")
    headers = person(every="oncall")
    led = told.client.get("/alerts/f1", headers=headers, follow_redirects=False)
    assert led.headers["location"] == "/console/alerts/f1"
    shown = page(told, "/console/alerts/f1", headers)
    assert "https://runbooks.test/x" in shown
    assert "javascript:" not in shown
    token = re.search(r'name="csrf_token" value="([^"]+)"', shown)
    assert token

    done = told.client.post(
        "/console/alerts/f1/acknowledge",
        data={"csrf_token": token[1], "note": "on it <i>"},
        headers=headers,
    )

    assert done.status_code == 200
    assert "Taken on by ada@example.com" in text_of(done.text)
    assert "on it &lt;i&gt;" in done.text
    assert (
        told.client.get("/alerts/f1", headers=headers | {"accept": "application/json"}).json()[
            "acknowledged_by"
        ]
        == "ada@example.com"
    )
    (entry,) = [row for row in told.rows(AuditEntry) if "acknowledge" in row["action"]]
    assert entry["actor"] == "user:ada@example.com"


def test_notes_and_giving_back_follow_in_order(told: Any) -> None:
    alert(told, "f2")
    for what, note in (("acknowledge", ""), ("notes", "disk is full"), ("withdraw", "")):
        told.client.post(f"/console/alerts/f2/{what}", data={"note": note}).raise_for_status()
    alert(told, "f2", status="resolved")

    shown = text_of(page(told, "/alerts/f2"))

    assert re.search("took it on.*noted disk is full.*gave it back", shown)
    assert told.client.post("/console/alerts/f2/acknowledge", headers=PAGE).status_code == 409
    assert told.client.post("/console/alerts/f2/notes", headers=PAGE).status_code == 422
    assert "Acknowledge" not in shown


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        ({}, {}),
        ({"csrf_token": "guessed"}, {}),
        (None, {"origin": "https://evil.example"}),
        (None, {"origin": "null"}),
    ],
)
def test_a_form_without_the_token_or_from_elsewhere_does_nothing(
    told: Any,
    person: Callable[..., dict[str, str]],
    data: dict[str, str] | None,
    headers: dict[str, str],
) -> None:
    alert(told, "f3")
    browser = person(every="admin")
    token = "csrf-" + browser["cookie"].partition("=")[2]

    answer = told.client.post(
        "/console/alerts/f3/acknowledge",
        data={"csrf_token": token} if data is None else data,
        headers={**browser, **headers},
    )

    assert answer.status_code == 403
    assert told.rows(AlertAction) == []


def test_a_viewer_has_no_buttons_and_no_way_around_them(
    told: Any, person: Callable[..., dict[str, str]]
) -> None:
    alert(told, "f4")
    browser = person(every="viewer")

    assert "needs the role oncall" in page(told, "/console/alerts/f4", browser)
    token = "csrf-" + browser["cookie"].partition("=")[2]
    tried = told.client.post(
        "/console/alerts/f4/acknowledge", data={"csrf_token": token}, headers=browser
    )
    assert tried.status_code == 403
    assert "oncall" in tried.text


def test_whoever_is_not_logged_in_is_led_to_the_login_and_back(
    open_ledger: Callable[..., Any], sqlite_url: str, tmp_path: Any
) -> None:
    (tmp_path / "key").write_text("a-key")
    ledger = open_ledger(
        sqlite_url,
        api_key_file=tmp_path / "key",
        oidc_issuer="https://login.test",
        oidc_client_id="x",
        public_url="https://ledger.test",
    )
    path = "/alerts/f1?x=1"

    led = ledger.client.get(path, headers=PAGE, follow_redirects=False)

    assert (led.status_code, led.headers["location"]) == (302, "/login?next=/alerts/f1%3Fx%3D1")
    assert ledger.client.get(path).status_code == 401
    assert ledger.client.post("/console/logout", headers=PAGE).status_code == 401


def test_who_sends_a_key_with_the_request_needs_no_login(
    open_ledger: Callable[..., Any], sqlite_url: str, tmp_path: Any
) -> None:
    (tmp_path / "key").write_text("a-key")
    ledger = open_ledger(sqlite_url, api_key_file=tmp_path / "key")

    page(ledger, "/console/sessions", {**PAGE, "authorization": "Bearer a-key"})


def test_logging_out_ends_the_session(told: Any, person: Callable[..., dict[str, str]]) -> None:
    # The session must end also for requests that come at once: nothing is believed any longer.
    browser = person(every="viewer")
    page(told, "/console/sessions", browser)
    token = "csrf-" + browser["cookie"].partition("=")[2]

    answer = told.client.post("/console/logout", data={"csrf_token": token}, headers=browser)

    assert "You are logged out" in answer.text
    assert "Max-Age=0" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, []),
        ("plain words", [("", "plain words")]),
        ('{"prompt": "one value"}', [("", "one value")]),
        ("[1, 2", [("", "[1, 2")]),
        ('[{"role": "user", "content": "openai"}]', [("user", "openai")]),
        (
            '[{"role": "system", "content": [{"type": "text", "text": "parts"}]}]',
            [("system", "parts")],
        ),
        ([{"role": "user", "parts": ["a", {"type": "image"}]}], [("user", "a")]),
    ],
)
def test_messages_are_read_in_the_forms_that_libraries_write(content: Any, said: Any) -> None:
    assert [(one.role, one.text) for one in read(content)] == said


def test_tool_calls_are_read_in_the_form_of_chat_completions() -> None:
    call = {"function": {"name": "search", "arguments": '{"q": 1}'}}
    (said,) = read([{"role": "assistant", "content": None, "tool_calls": [call]}])

    assert [(part.kind, part.name, part.text) for part in said.parts] == [
        ("call", "search", '{"q": 1}')
    ]


def test_a_trace_without_agents_has_no_conversation() -> None:
    assert items({"spans": [], "events": []}, [], []) == []
