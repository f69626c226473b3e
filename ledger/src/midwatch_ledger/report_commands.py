"""`midwatch-ledger report`: print a day's report, or mail it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from midwatch_ledger.terminal import EXIT_FAILED, checked_database, settings_or_exit


def report(
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day (UTC); else yesterday."),
    ] = None,
    form: Annotated[
        Literal["markdown", "json"], typer.Option("--format", help="How to print it.")
    ] = "markdown",
    send: Annotated[bool, typer.Option("--send", help="Mail it instead of printing it.")] = False,
) -> None:
    """Print the report of a day, or mail it by MIDWATCH_LEDGER_REPORT_* and _SMTP_*."""
    from midwatch_ledger.mail_setup import mail_server
    from midwatch_ledger.services import mailing, report_text, reports
    from midwatch_ledger.store.details import DAY, day_of

    settings = settings_or_exit()
    now = datetime.now(UTC)
    start = day_of(now) - DAY if day is None else day.replace(tzinfo=UTC)
    if start > now:
        typer.echo(f"midwatch-ledger: {start.date()} isn't here yet; give a day that is", err=True)
        raise typer.Exit(EXIT_FAILED)
    server = mail_server(settings)
    if send and server is None:
        typer.echo(
            "midwatch-ledger: no mail is set up; set MIDWATCH_LEDGER_REPORT_TO, "
            "MIDWATCH_LEDGER_REPORT_FROM and MIDWATCH_LEDGER_SMTP_HOST",
            err=True,
        )
        raise typer.Exit(EXIT_FAILED)
    with checked_database(settings) as database, database.reading() as connection:
        made = reports.as_document(reports.report(connection, start, now))
    if not send or server is None:
        text = report_text.markdown(made) if form == "markdown" else _json(made)
        typer.echo(text, nl=False)
        return
    try:
        message = mailing.report_message(made, settings.report_from or "", settings.report_to)
        mailing.send(message, server)
    except mailing.MailError as error:
        typer.echo(f"midwatch-ledger: {error}", err=True)
        raise typer.Exit(EXIT_FAILED) from None
    typer.echo(f"sent the report of {made['day']} to {', '.join(settings.report_to)}")


def _json(made: dict[str, object]) -> str:
    import orjson

    return orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
