"""`midwatch-ledger keys`: create, list, rotate and revoke API keys."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from midwatch_ledger.services.roles import SCOPES
from midwatch_ledger.terminal import EXIT_FAILED, checked_database, settings_or_exit

if TYPE_CHECKING:
    from sqlalchemy import Connection

application = typer.Typer(help="Make and end API keys.", no_args_is_help=True)

Prefix = Annotated[str, typer.Argument(help="The key's prefix, as `keys list` shows it.")]
_COLUMNS = ("prefix", "name", "scopes", "project", "state", "expires", "last used")


@application.command()
def create(
    name: Annotated[str, typer.Argument(help="Who uses the key.")],
    scope: Annotated[list[str], typer.Option(help=f"Repeatable; one of {', '.join(SCOPES)}.")],
    project: Annotated[
        str | None, typer.Option(help="The only project it opens; left out: all of them.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0.001, help="How long it holds; left out: without end.")
    ] = None,
) -> None:
    """Make a key and print it: this once, nobody can tell it again."""
    from midwatch_ledger.services import keys

    lifetime = None if days is None else timedelta(days=days)
    wanted = keys.KeyWanted(name, tuple(scope), project, lifetime)
    with _changing("create") as (connection, by):
        _, secret = keys.create(connection, wanted, by, datetime.now(UTC))
    typer.echo(secret)


@application.command("list")
def list_keys() -> None:
    """List all keys; no secret is kept that could be shown."""
    from midwatch_ledger.store import access

    now = datetime.now(UTC)
    with checked_database(settings_or_exit()) as database:
        with database.reading() as connection:
            rows = [_shown(key, now) for key in access.keys(connection)]
        widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
        for row in (_COLUMNS, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            typer.echo("  ".join(cells).rstrip())


@application.command()
def rotate(
    prefix: Prefix,
    overlap_hours: Annotated[
        float, typer.Option(min=0, help="How long the old key holds beside the new one.")
    ] = 24.0,
) -> None:
    """Make a key like another and print it; the other ends after the overlap."""
    from midwatch_ledger.services import keys

    with _changing("rotate") as (connection, by):
        overlap = timedelta(hours=overlap_hours)
        _, secret = keys.rotate(connection, prefix, overlap, by, datetime.now(UTC))
    typer.echo(secret)


@application.command()
def revoke(prefix: Prefix) -> None:
    """End a key; ledgers that run notice within five seconds."""
    from midwatch_ledger.services import keys

    with _changing("revoke") as (connection, _):
        ended = keys.revoke(connection, prefix, datetime.now(UTC))
    typer.echo(f"{prefix} ({ended['name']}) has ended")


@contextmanager
def _changing(what: str) -> Iterator[tuple[Connection, str]]:
    """Give a connection whose changes go into the audit log, and who makes them."""
    from midwatch_ledger.models.boundary import Boundary, Origin, within
    from midwatch_ledger.services.keys import KeyRefusedError

    by = f"command line:{getpass.getuser()}"
    boundary = Boundary(None, content=True, origin=Origin(by, f"midwatch-ledger keys {what}"))
    try:
        with (
            checked_database(settings_or_exit()) as database,
            within(boundary),
            database.writing() as connection,
        ):
            yield connection, by
    except KeyRefusedError as error:
        typer.echo(f"midwatch-ledger: {error}", err=True)
        raise typer.Exit(EXIT_FAILED) from None


def _shown(key: dict[str, Any], now: datetime) -> tuple[str, ...]:
    from midwatch_ledger.services import keys

    return (
        key["prefix"],
        key["name"],
        ",".join(key["scopes"]),
        key["project"] or "all",
        "revoked" if key["revoked_at"] else "holds" if keys.holds(key, now) else "expired",
        _time(key["expires_at"]),
        _time(key["last_used_at"]),
    )


def _time(moment: datetime | None) -> str:
    return "never" if moment is None else moment.strftime("%Y-%m-%d %H:%M")
