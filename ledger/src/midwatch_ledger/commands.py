"""`midwatch-ledger`: serve, migrate, rebuild, replay, report, doctor, keys, prices."""

from __future__ import annotations

import logging

import typer

from midwatch_ledger import key_commands, price_commands, retention_commands
from midwatch_ledger.replay_commands import replay
from midwatch_ledger.report_commands import report
from midwatch_ledger.terminal import (
    EXIT_FAILED,
    checked_database,
    settings_or_exit,
    told_failures,
)

application = typer.Typer(
    help="The record of what LLM agents did. Settings come from MIDWATCH_LEDGER_* variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
application.add_typer(key_commands.application, name="keys")
application.add_typer(price_commands.application, name="prices")
for command in (retention_commands.archive, retention_commands.restore, retention_commands.erase):
    application.command()(command)
application.command()(replay)
application.command()(report)


@application.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        from midwatch_ledger import __version__

        typer.echo(__version__)
        raise typer.Exit


@application.command()
def serve() -> None:
    """Migrate the database, then serve until SIGTERM."""
    settings = settings_or_exit()
    from midwatch_ledger.serving import serve as serve_ledger

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with told_failures(settings):
        serve_ledger(settings)


@application.command()
def migrate() -> None:
    """Bring the database to this program's schema; safe beside running ledgers."""
    from midwatch_ledger.opening import open_database
    from midwatch_ledger.store.migrate import migrate as migrate_database

    settings = settings_or_exit()
    with told_failures(settings):
        database = open_database(settings)
        before, after = migrate_database(database)
        database.close()
    if before == after:
        typer.echo(f"{database.location}: at {after} already")
    else:
        typer.echo(f"{database.location}: migrated from {before or 'nothing'} to {after}")


@application.command()
def rebuild() -> None:
    """Make the sums by minute and hour anew from the rows; safe beside running ledgers."""
    from midwatch_ledger.services import rollups

    settings = settings_or_exit()
    with checked_database(settings) as database:
        minutes = rollups.rebuild(database)
        typer.echo(f"{database.location}: {minutes} minutes are summed up anew")


@application.command()
def doctor() -> None:
    """Check settings, database and schema; exit with 1 if something is wrong."""
    from midwatch_ledger.diagnosis import diagnose

    settings = settings_or_exit()
    failed = False
    for finding in diagnose(settings):
        typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.subject}: {finding.told}")
        failed = failed or not finding.ok
    if failed:
        raise typer.Exit(EXIT_FAILED)
