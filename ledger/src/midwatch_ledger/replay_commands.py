"""`midwatch-ledger replay`: dead letters once more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from midwatch_ledger.terminal import EXIT_FAILED, checked_database, settings_or_exit

if TYPE_CHECKING:
    from midwatch_ledger.store.database import Database


def replay(
    show: Annotated[
        bool, typer.Option("--list", help="Tell what there is, without its content; store nothing.")
    ] = False,
) -> None:
    """Store dead letters where they belong, after what was wrong is fixed; exit 1 if some stay.

    Safe beside running ledgers, and to repeat: nothing is stored twice.
    """
    from midwatch_ledger.services.replaying import replay as replay_all

    with checked_database(settings_or_exit()) as database:
        if show:
            _show(database)
            return
        done = replay_all(database, datetime.now(UTC))
        typer.echo(f"{database.location}: {done.stored} dead letters are stored where they belong")
    for reason, count in sorted(done.kept.items()):
        typer.echo(f"  {count} stay: {reason}")
    if done.kept:
        raise typer.Exit(EXIT_FAILED)


def _show(database: Database) -> None:
    from midwatch_ledger.store import dead_letters

    with database.reading() as connection:
        letters = dead_letters.overview(connection)
    typer.echo(f"{database.location}: {len(letters)} dead letters")
    for one in letters:
        received = f"{one['received_at'].astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        typer.echo(f"  {one['id']}  {received}  {one['signal']}  {one['reason']}  {one['bytes']} B")
