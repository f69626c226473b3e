"""Daily reports: over HTTP, from the command line, and by mail at their hour, once."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from midwatch_ledger.mail_setup import daily_reports
from midwatch_ledger.services.duties import Duties
from midwatch_ledger.services.rollups import catch_up
from midwatch_ledger.settings import Settings, SettingsError, load_settings

from tests.free_ports import free_port

DAY = datetime.fromtimestamp(1_795_000_000, UTC).replace(hour=0, minute=0, second=0)
NEXT_DAY = DAY + timedelta(days=1)
MAILED = {
    "report_hour": 6,
    "report_to": ["ops@example.com", "boss@example.com"],
    "report_from": "midwatch@example.com",
    "smtp_security": "none",
}


class Mailbox:
    """Takes mail, and remembers it; refuses it while it is closed."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.closed = False

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.closed:
            return "451 come back later"
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, dict[str, Any]]]:
    """A mail server on this machine, and the settings that name it."""
    box = Mailbox()
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, {**MAILED, "smtp_host": "127.0.0.1", "smtp_port": port}
    controller.stop()


@pytest.fixture
def filled(ledger: Any, fillings: Any) -> Any:
    """A ledger with a day's telemetry."""
    fillings.fill(ledger, fill)
    return ledger


def fill(ledger: Any) -> None:
    kind, start = type(ledger.otlp), ledger.otlp.start
    turns = [kind(f"{n + 1:032x}", start + n * 5 * 10**9).turn() for n in range(30)]
    ledger.send(*(span for turn in turns for span in turn))
    ledger.send_events(
        ledger.otlp.event("outcome.recorded", outcome="solved", success=True),
        ledger.otlp.event("feedback.recorded", kind="thumb", value="down"),
    )
    catch_up(ledger.database)


def duties(ledger: Any, settings: dict[str, Any], now: datetime) -> Duties:
    chosen = Settings(database_url="sqlite:///unused.db", **settings)
    return Duties(ledger.database, daily_reports(chosen), pause_seconds=1, now=lambda: now)


def path() -> str:
    return f"/analytics/reports/{DAY.date().isoformat()}"


def test_a_report_tells_a_day_as_json(filled: Any) -> None:
    told = filled.client.get(path()).raise_for_status().json()

    assert (told["day"], told["turns"]["count"], told["complete"]) == ("2026-11-18", 30, True)
    assert told["calls"]["cost_usd"] == pytest.approx(30 * 0.0012)
    assert [item["subject"] for item in told["cost_by_agent"]] == ["monitor", "supervisor"]
    assert told["dearest_sessions"][0]["subject"] == "session-7"
    assert told["feedback"] == {"positive": 0, "negative": 1, "neutral": 0}
    assert told["outcomes"][0]["success"]["ratio"] == 1.0


@pytest.mark.parametrize(
    "ask", [{"params": {"format": "markdown"}}, {"headers": {"accept": "text/markdown"}}]
)
def test_a_report_tells_a_day_as_markdown(filled: Any, ask: Any) -> None:
    answer = filled.client.get(path(), **ask)

    assert answer.headers["content-type"].startswith("text/markdown")
    assert "# Midwatch, 2026-11-18 (UTC)" in answer.text
    assert "- 30 turns, 0 failed" in answer.text
    assert "| monitor | $0.0270 | 75.0% | 30 |" in answer.text


def test_names_of_others_make_no_markdown_of_their_own(ledger: Any) -> None:
    name = "evil](http://bad) | x\n# Title"
    ledger.send(ledger.otlp.agent(1, None, name), ledger.otlp.chat(2, 1))
    catch_up(ledger.database)

    text = ledger.client.get(path(), params={"format": "markdown"}).text

    assert "evil\\](http://bad) \\| x \\# Title" in text


def test_a_day_that_is_not_over_is_not_complete(ledger: Any) -> None:
    today = datetime.now(UTC).date().isoformat()

    assert ledger.client.get(f"/analytics/reports/{today}").json()["complete"] is False
    text = ledger.client.get(f"/analytics/reports/{today}", params={"format": "markdown"}).text
    assert "Not complete" in text
    assert "No turns." in text


@pytest.mark.parametrize("day", ["2999-01-01", "1999-12-31", "yesterday"])
def test_days_that_cant_be_reported_are_refused(ledger: Any, day: str) -> None:
    answer = ledger.client.get(f"/analytics/reports/{day}")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_report_is_mailed_at_its_hour_and_once(
    filled: Any, mailbox: tuple[Mailbox, dict[str, Any]]
) -> None:
    box, settings = mailbox

    duties(filled, settings, NEXT_DAY + timedelta(hours=5, minutes=59)).make_pass()
    assert box.messages == []
    for hour in (6, 7, 8):
        duties(filled, settings, NEXT_DAY + timedelta(hours=hour)).make_pass()

    (message,) = box.messages
    assert message["Subject"] == "Midwatch 2026-11-18: 30 turns, 0.0% failed, $0.0360"
    assert message["To"] == "ops@example.com, boss@example.com"
    assert "30 turns" in message.get_body().get_content()
    (attached,) = message.iter_attachments()
    assert json.loads(attached.get_content())["turns"]["count"] == 30


def test_replicas_that_are_due_together_send_one_mail(
    filled: Any, mailbox: tuple[Mailbox, dict[str, Any]]
) -> None:
    box, settings = mailbox
    now = NEXT_DAY + timedelta(hours=6)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: duties(filled, settings, now).make_pass(), range(4)))

    assert len(box.messages) == 1


def test_a_mail_that_was_refused_is_sent_later(
    filled: Any, mailbox: tuple[Mailbox, dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    box, settings = mailbox
    box.closed = True
    duties(filled, settings, NEXT_DAY + timedelta(hours=6)).make_pass()
    assert "come back later" in caplog.text
    box.closed = False

    duties(filled, settings, NEXT_DAY + timedelta(hours=6, minutes=1)).make_pass()
    assert box.messages == []
    duties(filled, settings, NEXT_DAY + timedelta(hours=6, minutes=6)).make_pass()

    assert len(box.messages) == 1


def test_a_report_waits_for_its_sums_but_not_for_ever(
    filled: Any, mailbox: tuple[Mailbox, dict[str, Any]]
) -> None:
    box, settings = mailbox
    filled.send(filled.otlp.chat(99))
    soon = {**settings, "report_hour": 0}

    duties(filled, soon, NEXT_DAY + timedelta(minutes=1)).make_pass()
    assert box.messages == []
    duties(filled, soon, NEXT_DAY + timedelta(hours=3)).make_pass()

    assert len(box.messages) == 1


def test_mail_goes_encrypted_and_with_a_login(
    filled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    (tmp_path / "password").write_text("watchword\n")
    logins: list[tuple[bytes, bytes]] = []

    def login(_server: Any, _session: Any, _envelope: Any, _mechanism: Any, data: Any) -> Any:
        logins.append((data.login, data.password))
        return AuthResult(success=True)

    box = Mailbox()
    controller = Controller(
        box,
        hostname="localhost",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=login,
        auth_required=True,
    )
    controller.start()
    try:
        settings = {
            **MAILED,
            "smtp_host": "localhost",
            "smtp_port": controller.port,
            "smtp_security": "starttls",
            "smtp_user": "ledger",
            "smtp_password_file": tmp_path / "password",
        }
        duties(filled, settings, NEXT_DAY + timedelta(hours=6)).make_pass()
    finally:
        controller.stop()

    assert len(box.messages) == 1
    assert logins == [(b"ledger", b"watchword")]


def test_without_mail_a_report_is_kept_at_its_hour(filled: Any) -> None:
    now = NEXT_DAY + timedelta(hours=6)

    assert daily_reports(Settings(database_url="sqlite:///unused.db")) is None
    daily = daily_reports(Settings(database_url="sqlite:///unused.db", report_hour=6))
    assert daily is not None
    assert [daily(filled.database, now), daily(filled.database, now)] == [True, False]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("REPORT_TO", "ops@example.com", "SMTP_HOST"),
        ("REPORT_TO", "ops", "no mail address"),
        ("REPORT_HOUR", "24", "less than or equal to 23"),
        ("SMTP_USER", "ledger", "SMTP_PASSWORD_FILE"),
    ],
)
def test_wrong_settings_are_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"MIDWATCH_LEDGER_{name}", value)

    with pytest.raises(SettingsError, match=told):
        load_settings()


def test_reports_dont_go_over_a_network_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_LEDGER_SMTP_HOST", "mail.example.com")
    monkeypatch.setenv("MIDWATCH_LEDGER_SMTP_SECURITY", "none")

    with pytest.raises(SettingsError, match="starttls or tls"):
        load_settings()


def environment(url: str, **settings: Any) -> dict[str, str]:
    given = {"database_url": url, **settings}
    return {f"MIDWATCH_LEDGER_{name.upper()}": str(value) for name, value in given.items()}


def command(url: str, *arguments: str) -> Any:
    program = "from midwatch_ledger.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, "report", *arguments],
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.programs
def test_the_command_prints_a_day(filled: Any, tell: Any) -> None:
    url = filled.database.url.render_as_string(hide_password=False)

    printed = command(url, "--day", "2026-11-18")
    asked = ("report", "--day", "2026-11-18", "--format", "json")
    document = tell(*asked, **environment(url))

    assert "- 30 turns, 0 failed" in printed.stdout
    assert json.loads(document.stdout)["turns"]["count"] == 30


def test_the_command_mails_a_day(
    filled: Any, tell: Any, mailbox: tuple[Mailbox, dict[str, Any]]
) -> None:
    box, settings = mailbox
    settings = {**settings, "report_to": ",".join(settings["report_to"])}
    url = filled.database.url.render_as_string(hide_password=False)

    sent = tell("report", "--day", "2026-11-18", "--send", **environment(url, **settings))

    assert sent.exit_code == 0, sent.stderr
    assert sent.stdout == "sent the report of 2026-11-18 to ops@example.com, boss@example.com\n"
    assert len(box.messages) == 1


def test_the_command_says_what_mail_needs(filled: Any, tell: Any) -> None:
    url = filled.database.url.render_as_string(hide_password=False)

    refused = tell("report", "--send", **environment(url))

    assert refused.exit_code == 1
    assert "set MIDWATCH_LEDGER_REPORT_TO" in refused.stderr
