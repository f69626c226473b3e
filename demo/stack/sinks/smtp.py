"""A real mail server that keeps what it receives: `python -m stack.sinks.smtp`.

It speaks SMTP on one port and answers `GET /messages?after=` on another.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from aiosmtpd.smtp import SMTP
from starlette.applications import Starlette

from stack.sinks.mail import Authenticator, MailHandler
from stack.sinks.mailbox import Mailbox
from stack.sinks.reading import reading_routes

_MAX_MAIL_BYTES = 10 * 1024 * 1024


def smtp_factory(mailbox: Mailbox, username: str = "", password: str = "") -> SMTP:
    """Return the protocol of one connection; with a username, senders must log in."""
    return SMTP(
        MailHandler(mailbox, login_needed=bool(username)),
        data_size_limit=_MAX_MAIL_BYTES,
        hostname="mail.midwatch.invalid",
        ident="midwatch demo mail",
        authenticator=Authenticator(username, password) if username else None,
        auth_require_tls=False,  # Loopback only: nobody listens on the way.
        # aiosmtpd asks for a LOGIN in words that Go programs do not understand.
        auth_exclude_mechanism=["LOGIN"],
    )


async def serve(host: str, smtp_port: int, http_port: int, mailbox: Mailbox) -> None:
    """Serve both ports until SIGTERM or SIGINT."""
    username = os.environ.get("SMTP_USERNAME", "")
    password = os.environ.get("SMTP_PASSWORD", "")
    loop = asyncio.get_running_loop()
    mail = await loop.create_server(
        lambda: smtp_factory(mailbox, username, password), host, smtp_port
    )
    application = Starlette(routes=list(reading_routes(mailbox)))
    config = uvicorn.Config(
        application, host=host, port=http_port, access_log=False, log_level="warning"
    )
    async with mail:
        await uvicorn.Server(config).serve()


def main(
    host: Annotated[str, typer.Option(envvar="HOST")] = "127.0.0.1",
    smtp_port: Annotated[int, typer.Option(envvar="SMTP_PORT")] = 8025,
    port: Annotated[int, typer.Option(envvar="PORT")] = 8026,
    mailbox: Annotated[Path | None, typer.Option(envvar="MAILBOX_FILE")] = None,
) -> None:
    """Serve until SIGTERM. A login comes from SMTP_USERNAME and SMTP_PASSWORD: it is a secret."""
    # With every login aiosmtpd warns of an attribute that it sets itself.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    asyncio.run(serve(host, smtp_port, port, Mailbox(mailbox)))


if __name__ == "__main__":
    typer.run(main)
