"""The mail server takes well-formed mail from those who log in."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

import pytest
from aiosmtpd.controller import Controller
from stack.sinks.mail import MailHandler
from stack.sinks.mailbox import Mailbox
from stack.sinks.smtp import smtp_factory


class _Server(Controller):
    def __init__(self, mailbox: Mailbox, port: int) -> None:
        super().__init__(MailHandler(mailbox), hostname="127.0.0.1", port=port)
        self._mailbox = mailbox

    def factory(self) -> object:
        return smtp_factory(self._mailbox, "user", "password")


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def client(mailbox: Mailbox, free_port: int) -> Iterator[smtplib.SMTP]:
    server = _Server(mailbox, free_port)
    server.start()
    try:
        with smtplib.SMTP("127.0.0.1", free_port, timeout=5) as connection:
            yield connection
    finally:
        server.stop()


def a_mail() -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Midwatch <midwatch@example.com>"
    mail["To"] = "on-call@example.com"
    mail["Subject"] = "[FIRING:1] Überlast"
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail.set_content("It burns.")
    mail.add_alternative("<p>It burns.</p>", subtype="html")
    return mail


def test_a_well_formed_mail_is_kept_with_its_parts(client: smtplib.SMTP, mailbox: Mailbox) -> None:
    client.login("user", "password")
    client.send_message(a_mail())
    (kept,) = mailbox.after(0)
    assert kept["subject"] == "[FIRING:1] Überlast"
    assert kept["text"].strip() == "It burns."
    assert "<p>" in kept["html"]
    assert kept["envelope"]["to"] == ["on-call@example.com"]


def test_without_a_login_nothing_is_taken(client: smtplib.SMTP) -> None:
    with pytest.raises(smtplib.SMTPException, match="530"):
        client.send_message(a_mail())


def test_a_wrong_password_is_refused(client: smtplib.SMTP) -> None:
    with pytest.raises(smtplib.SMTPAuthenticationError):
        client.login("user", "guess")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"Subject: x\r\n\r\nno sender", b"no From header"),
        (b"From: a@example.com\r\n\r\nno date", b"no Date header"),
        (
            b"From: a@example.com\r\nDate: yesterday\r\n\r\nx",
            b"Date header",
        ),
        (
            b"From: a@example.com\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
            b"Subject: a\r\nSubject: b\r\n\r\nx",
            b"more than one Subject header",
        ),
        (
            b"From: a@example.com\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
            b'Content-Type: multipart/mixed; boundary="b"\r\n\r\nno boundary',
            b"in the body",
        ),
    ],
)
def test_a_malformed_mail_is_refused_with_the_reason(
    client: smtplib.SMTP, mailbox: Mailbox, content: bytes, fault: bytes
) -> None:
    client.login("user", "password")
    with pytest.raises(smtplib.SMTPDataError) as caught:
        client.sendmail("a@example.com", ["b@example.com"], content)
    answer = caught.value.smtp_error
    assert fault in (answer if isinstance(answer, bytes) else answer.encode())
    assert mailbox.after(0) == []


def test_an_address_that_is_none_is_refused(client: smtplib.SMTP) -> None:
    client.login("user", "password")
    assert client.mail("nobody")[0] == 553
    assert client.mail("a@example.com")[0] == 250
    assert client.rcpt("nobody")[0] == 553


def test_a_mailbox_has_lost_nothing_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = tmp_path_factory.mktemp("mail") / "received.jsonl"
    Mailbox(file).add({"subject": "x"})
    again = Mailbox(file)
    assert again.add({"subject": "y"}) == 2
    assert [message["subject"] for message in again.after(0)] == ["x", "y"]
