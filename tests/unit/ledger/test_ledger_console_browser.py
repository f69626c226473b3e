"""The console in a real Chromium: seen, used by keyboard alone, in light and in dark."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.migrate import migrate
from sqlalchemy import make_url

# Tests are imported by file: their folder is on no path.
if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))

import browser

from tests.free_ports import free_port

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(browser.PROGRAM is None, reason="chromium is not on PATH: install it"),
]

KEY = "the-admin-key-of-this-test"
ASKED = '[{"role": "user", "parts": [{"type": "text", "content": "%s"}]}]'
SAID = '[{"role": "assistant", "parts": [{"type": "text", "content": "%s"}]}]'
CALLS = (
    '[{"role": "assistant", "parts": [{"type": "tool_call", "name": "read_metrics", '
    '"arguments": {"host": "db-7", "since": "10 min"}}]}]'
)
NAMES = (
    "POST /chat",
    "invoke_agent supervisor",
    "chat gpt-small",
    "invoke_agent monitor",
    "execute_tool read_metrics",
    "chat gpt-small",
)
TAB, ENTER = ("Tab", 9), ("Enter", 13, "\r")


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    address = f"127.0.0.1:{free_port()}"
    (folder / "key").write_text(KEY)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "from midwatch_ledger.cli import main; main()", "serve"],
            stdout=log,
            stderr=log,
            env={
                "PYTHONPATH": os.pathsep.join(sys.path),
                "MIDWATCH_LEDGER_DATABASE_URL": f"sqlite:///{folder}/ledger.db",
                "MIDWATCH_LEDGER_LISTEN": address,
                "MIDWATCH_LEDGER_API_KEY_FILE": str(folder / "key"),
                "MIDWATCH_LEDGER_COOKIE_SECURE": "false",
            },
        )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://{address}/readyz").status_code == 200:
                return process, f"http://{address}"
        except httpx.TransportError:
            time.sleep(0.1)
    process.kill()
    raise AssertionError((folder / "log").read_text())


def fill(url: str, builder: Any) -> None:
    """Have two turns of one session and an alert kept."""
    headers = {"authorization": f"Bearer {KEY}"}
    for number, (asked, said) in enumerate(
        (
            (
                "Is db-7 well? It was slow this morning.",
                "db-7 is well: 41 ms at the 95th percentile.",
            ),
            ("And how full is its disk?", "71 %. At this pace it is full in nine days."),
        )
    ):
        otlp = builder(trace_id=uuid.uuid4().hex, start=time.time_ns() - (60 - 30 * number) * 10**9)
        asks = {"gen_ai__input__messages": ASKED % asked}
        spans = (
            otlp.span(
                1,
                name="POST /chat",
                seconds=4,
                session__id="session-7",
                midwatch__turn__entry_agent="supervisor",
                midwatch__turn__outcome="resolved",
                midwatch__project="operations",
            ),
            otlp.agent(2, 1, "supervisor", at=0.1, seconds=3.8),
            otlp.chat(
                3,
                2,
                name="chat gpt-small",
                at=0.2,
                seconds=0.6,
                **asks,
                **{"gen_ai__output__messages": CALLS},
            ),
            otlp.agent(4, 2, "monitor", at=0.9, seconds=2.9),
            otlp.tool(
                5,
                4,
                "read_metrics",
                at=1.0,
                seconds=0.7,
                **{
                    "gen_ai__tool__call__arguments": '{"host": "db-7", "since": "10 min"}',
                    "gen_ai__tool__call__result": '{"p95_ms": 41, "disk_used": 0.71}',
                },
            ),
            otlp.chat(
                6,
                4,
                name="chat gpt-small",
                at=1.8,
                seconds=1.9,
                **asks,
                **{"gen_ai__output__messages": SAID % said},
            ),
        )
        # As the shim names spans.
        for span, name in zip(spans, NAMES, strict=True):
            span.name = name
        events = (
            otlp.event("guardrail.decided", span=2, at=0.15, gate="input", decision="allow"),
            otlp.event("handoff", span=4, at=0.85, from_agent="supervisor", to_agent="monitor"),
        )
        for path, body in (("/v1/traces", otlp.traces(*spans)), ("/v1/logs", otlp.logs(*events))):
            protobuf = {"content-type": "application/x-protobuf", **headers}
            sent = httpx.post(f"{url}{path}", content=body.SerializeToString(), headers=protobuf)
            sent.raise_for_status()
    alert = {
        "status": "firing",
        "fingerprint": "a1b2c3d4e5f60718",
        "startsAt": "2026-11-21T10:00:00Z",
        "labels": {"alertname": "AgentToolFailureRatioHigh", "severity": "critical"},
        "annotations": {"summary": "Half of the calls of read_metrics fail"},
    }
    httpx.post(
        f"{url}/alerts/webhook", json={"alerts": [alert]}, headers=headers
    ).raise_for_status()


@pytest.fixture(scope="module")
def console(
    tmp_path_factory: pytest.TempPathFactory, otlp: Any, log_in: Callable[..., Any]
) -> Iterator[tuple[browser.Tab, str, Path]]:
    """Give a tab that is logged in, and the address of a ledger with a session and an alert."""
    folder = tmp_path_factory.mktemp("console")
    database = Database(make_url(f"sqlite:///{folder}/ledger.db"))
    migrate(database)
    login = log_in(database, every="oncall")
    database.close()
    process, url = serve(folder)
    profile = tmp_path_factory.mktemp("browser")
    try:
        fill(url, type(otlp))
        with browser.open_browser(profile) as tab:
            tab.ask("Network.setCookie", name="midwatch-session", value=login.token, url=url)
            yield tab, url, Path(os.environ.get("MIDWATCH_PICTURES", str(folder)))
    finally:
        process.terminate()
        assert process.wait(60) == 0


def contrast(tab: browser.Tab, selector: str) -> float:
    """Give the contrast of an element's text with what is behind it, as WCAG reckons it."""
    script = """(selector => {
      const light = color => {
        const parts = color.match(/[\\d.]+/g).slice(0, 3).map(value => {
          const part = value / 255;
          return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
      };
      const element = document.querySelector(selector);
      let behind = element;
      while (/rgba\\(.*, 0\\)|transparent/.test(getComputedStyle(behind).backgroundColor))
        behind = behind.parentElement;
      const both = [light(getComputedStyle(element).color),
                    light(getComputedStyle(behind).backgroundColor)].sort((a, b) => b - a);
      return (both[0] + 0.05) / (both[1] + 0.05);
    })"""
    return float(tab.value(f"{script}({selector!r})"))


def test_a_key_typed_into_the_form_opens_the_page_that_was_wanted(
    console: tuple[browser.Tab, str, Path],
) -> None:
    tab, url, _ = console
    (before,) = tab.ask("Network.getCookies", urls=[url])["cookies"]
    tab.ask("Network.deleteCookies", name=before["name"], url=url)
    try:
        tab.ask("Page.navigate", url=f"{url}/console/sessions/session-7")
        tab.wait_for("location.pathname === '/login/key' && document.readyState === 'complete'")
        assert contrast(tab, "label") >= 4.5
        tab.type(KEY)
        tab.press(*ENTER)
        there = "location.pathname === '/console/sessions/session-7'"
        tab.wait_for(f"{there} && document.readyState === 'complete'")
        assert tab.value("document.querySelector('.who').textContent").startswith("key:admin")
    finally:
        tab.ask("Network.setCookie", name=before["name"], value=before["value"], url=url)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_session_is_seen_side_by_side_and_readable(
    console: tuple[browser.Tab, str, Path], scheme: str
) -> None:
    tab, url, pictures = console
    tab.appear(scheme)
    tab.open(f"{url}/console/sessions/session-7")

    talk, spans = (
        tab.value(
            f"(box => [box.left, box.right, box.top])(document.querySelector('{one}')"
            ".getBoundingClientRect())"
        )
        for one in (".talk", ".spans")
    )
    assert talk[1] <= spans[0]
    assert talk[2] == spans[2]
    for selector in (".text", ".muted", "summary .name", ".badge.good", "a.to", ".item.note p"):
        assert contrast(tab, selector) >= 4.5, selector
    bars = tab.value(
        "[...document.querySelectorAll('.bar rect')].map(one => one.getBoundingClientRect().width)"
    )
    assert len(bars) == 12
    assert min(bars) > 0
    (pictures / f"console-session-{scheme}.png").write_bytes(tab.picture())


def test_a_narrow_screen_has_no_scrolling_sideways(console: tuple[browser.Tab, str, Path]) -> None:
    tab, url, _ = console
    tab.appear("light", width=400)
    for path in ("/console/sessions", "/console/sessions/session-7", "/alerts/a1b2c3d4e5f60718"):
        tab.ask("Page.navigate", url=url + path)
        tab.wait_for("document.readyState === 'complete' && location.pathname.length > 1")
        assert tab.value("document.documentElement.scrollWidth") <= 400


def test_the_way_from_the_list_to_a_span_needs_only_keys(
    console: tuple[browser.Tab, str, Path],
) -> None:
    tab, url, pictures = console
    tab.appear("light")
    tab.open(f"{url}/console/sessions")
    (pictures / "console-sessions.png").write_bytes(tab.picture())

    def press_until(script: str) -> None:
        for _ in range(60):
            tab.press(*TAB)
            if tab.value(script):
                return
        raise AssertionError(f"no key leads to {script}")

    press_until("document.activeElement.textContent === 'session-7'")
    tab.press(*ENTER)
    tab.wait_for("location.pathname === '/console/sessions/session-7'")
    tab.wait_for("document.readyState === 'complete'")
    press_until("document.activeElement.tagName === 'SUMMARY'")
    outline = tab.value("getComputedStyle(document.activeElement).outlineStyle")
    tab.press(*ENTER)

    assert outline == "solid"
    tab.wait_for("document.activeElement.parentElement.open === true")


def test_an_alert_is_acknowledged_from_its_page_by_keyboard(
    console: tuple[browser.Tab, str, Path],
) -> None:
    tab, url, pictures = console
    tab.appear("light")
    tab.ask("Page.navigate", url=f"{url}/alerts/a1b2c3d4e5f60718")
    tab.wait_for("location.pathname === '/console/alerts/a1b2c3d4e5f60718'")
    tab.wait_for("document.readyState === 'complete'")
    tab.value("document.querySelector('#note').focus()")
    tab.type("looking at the metrics server")
    tab.press(*TAB)
    tab.press(*ENTER)

    tab.wait_for("document.body && document.body.innerText.includes('took it on')")

    shown = tab.value("document.body.innerText")
    assert "looking at the metrics server" in shown
    assert "ada@example.com" in shown
    (pictures / "console-alert.png").write_bytes(tab.picture())


def test_no_page_made_the_browser_complain(console: tuple[browser.Tab, str, Path]) -> None:
    tab, _, _ = console

    assert tab.complaints() == []
