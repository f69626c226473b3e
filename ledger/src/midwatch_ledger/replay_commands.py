"""`midwatch-ledger replay`: dead letters once more."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from midwatch_ledger.services.replaying import replay as replay_all
from midwatch_ledger.terminal import EXIT_FAILED, checked_database, settings_or_exit


def replay() -> None:
    """Store dead letters where they belong, after what was wrong is fixed; exit 1 if some stay.

    Safe beside running ledgers, and to repeat: nothing is stored twice.
    """
    with checked_database(settings_or_exit()) as database:
        done = replay_all(database, datetime.now(UTC))
        typer.echo(f"{database.location}: {done.stored} dead letters are stored where they belong")
    for reason, count in sorted(done.kept.items()):
        typer.echo(f"  {count} stay: {reason}")
    if done.kept:
        raise typer.Exit(EXIT_FAILED)
