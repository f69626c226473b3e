"""What a strict mail server takes: messages that keep to RFC 5322, from senders who log in."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from stack.sinks.mailbox import Mailbox

_MANDATORY = ("From", "Date")
_SINGLE = ("From", "To", "Subject", "Date", "Message-ID", "Reply-To", "Cc", "Sender")
_ADDRESS = re.compile(r"[^@\s<>]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


class MailHandler:
    """Checks each mail as it arrives and keeps those that pass.

    Args:
        mailbox: gets them.
        login_needed: senders must have logged in.
    """

    def __init__(self, mailbox: Mailbox, *, login_needed: bool = False) -> None:
        self._mailbox = mailbox
        self._login_needed = login_needed

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse senders that have not logged in or are no mail address."""
        if self._login_needed and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if not _ADDRESS.fullmatch(address):
            return "553 5.1.7 Bad sender address syntax"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse recipients that are no mail address."""
        if not _ADDRESS.fullmatch(address):
            return "553 5.1.3 Bad recipient address syntax"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Refuse malformed messages, keep the others."""
        content = cast(bytes, envelope.content)
        message = message_from_bytes(content, policy=default_policy)
        faults = message_faults(message)
        if faults:
            return f"550 5.6.0 Malformed message: {'; '.join(faults)}"
        number = self._mailbox.add(
            {
                "envelope": {"from": envelope.mail_from, "to": list(envelope.rcpt_tos)},
                **described(message),
            }
        )
        return f"250 2.0.0 Ok: kept as {number}"


class Authenticator:
    """Lets in the one user there is."""

    def __init__(self, username: str, password: str) -> None:
        self._expected = LoginPassword(username.encode(), password.encode())

    def __call__(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        """Return whether the login is right."""
        return AuthResult(success=data == self._expected, handled=False)


def message_faults(message: EmailMessage) -> list[str]:
    """Return what breaks RFC 5322 or MIME in a message; empty when it is well formed."""
    faults = [f"no {name} header" for name in _MANDATORY if message[name] is None]
    for name in _SINGLE:
        if len(message.get_all(name, [])) > 1:
            faults.append(f"more than one {name} header")
    for header in ("From", "To", "Cc", "Date"):
        value = message[header]
        if value is not None and value.defects:
            faults.append(f"the {header} header can't be read")
    if message["Date"] is not None and message["Date"].datetime is None:
        faults.append("the Date header is no date")
    for part in message.walk():
        faults += [f"{type(defect).__name__} in the body" for defect in part.defects]
    return list(dict.fromkeys(faults))


def described(message: EmailMessage) -> dict[str, Any]:
    """Return the parts of a mail that people read."""
    return {
        "headers": {name: str(value) for name, value in message.items()},
        "subject": str(message["Subject"] or ""),
        "text": _body(message, "plain"),
        "html": _body(message, "html"),
    }


def _body(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body(preferencelist=(kind,))
    return str(part.get_content()) if part is not None else None
