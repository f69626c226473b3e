"""Sends reports by mail."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Literal

import orjson

from midwatch_ledger.services import report_text

_TIMEOUT_SECONDS = 30.0


class MailError(Exception):
    """The mail server didn't take the message; the text says why."""


@dataclass(frozen=True)
class MailServer:
    """Where mail goes through; `password` is asked for only with a user."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None = None
    password: str | None = None


def report_message(report: dict[str, Any], sender: str, recipients: Sequence[str]) -> EmailMessage:
    """Return a report as mail: Markdown to read, JSON attached."""
    message = EmailMessage()
    message["Subject"] = report_text.subject(report)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    # The same for every attempt, so that whoever gets it twice can tell.
    message["Message-ID"] = f"<report-{report['day']}@midwatch.ledger>"
    message.set_content(report_text.markdown(report))
    message.add_attachment(
        orjson.dumps(report, option=orjson.OPT_INDENT_2),
        maintype="application",
        subtype="json",
        filename=f"midwatch-{report['day']}.json",
    )
    return message


def send(message: EmailMessage, server: MailServer) -> None:
    """Hand a message to the mail server.

    Raises:
        MailError: it didn't take it.
    """
    try:
        with _connected(server) as connection:
            if server.security == "starttls":
                connection.starttls(context=ssl.create_default_context())
            if server.user is not None and server.password is not None:
                connection.login(server.user, server.password)
            connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise MailError(
            f"the mail server {server.host}:{server.port} didn't take the report: {error}"
        ) from error


def _connected(server: MailServer) -> smtplib.SMTP:
    if server.security == "tls":
        return smtplib.SMTP_SSL(
            server.host,
            server.port,
            timeout=_TIMEOUT_SECONDS,
            context=ssl.create_default_context(),
        )
    return smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_SECONDS)
