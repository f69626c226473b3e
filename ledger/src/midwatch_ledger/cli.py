"""`midwatch-ledger`: serve, migrate, rebuild, doctor."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from midwatch_ledger import __version__, serving
from midwatch_ledger.diagnosis import diagnose
from midwatch_ledger.services import rollups
from midwatch_ledger.settings import Settings, SettingsError, load_settings
from midwatch_ledger.store.database import DatabaseUnavailableError
from midwatch_ledger.store.migrate import SchemaError, check_schema
from midwatch_ledger.store.migrate import migrate as migrate_database

EXIT_FAILED = 1
EXIT_MISCONFIGURED = 2

application = typer.Typer(
    help="The record of what LLM agents did. Settings come from MIDWATCH_LEDGER_* variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line."""
    application()


@application.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@application.command()
def serve() -> None:
    """Migrate the database, then serve until SIGTERM."""
    settings = _settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with _told_failures(settings):
        serving.serve(settings)


@application.command()
def migrate() -> None:
    """Bring the database to this program's schema; safe beside running ledgers."""
    settings = _settings()
    with _told_failures(settings):
        database = serving.open_database(settings)
        before, after = migrate_database(database)
        database.close()
    if before == after:
        typer.echo(f"{database.location}: at {after} already")
    else:
        typer.echo(f"{database.location}: migrated from {before or 'nothing'} to {after}")


@application.command()
def rebuild() -> None:
    """Make the sums by minute and hour anew from the rows; safe beside running ledgers."""
    settings = _settings()
    with _told_failures(settings):
        database = serving.open_database(settings)
        check_schema(database)
        minutes = rollups.rebuild(database)
        database.close()
    typer.echo(f"{database.location}: {minutes} minutes are summed up anew")


@application.command()
def doctor() -> None:
    """Check settings, database and schema; exit with 1 if something is wrong."""
    settings = _settings()
    failed = False
    for finding in diagnose(settings):
        typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.subject}: {finding.told}")
        failed = failed or not finding.ok
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        typer.echo("midwatch-ledger: wrong settings:", err=True)
        for problem in error.problems:
            typer.echo(f"  {problem}", err=True)
        raise typer.Exit(EXIT_MISCONFIGURED) from None


@contextmanager
def _told_failures(settings: Settings) -> Iterator[None]:
    """Tell foreseeable failures in a line, with the remedy, instead of a stack."""
    try:
        yield
    except (serving.ListenError, SchemaError) as error:
        typer.echo(f"midwatch-ledger: {error}", err=True)
    except DatabaseUnavailableError as error:
        location = settings.sqlalchemy_url.render_as_string(hide_password=True)
        typer.echo(
            f"midwatch-ledger: can't use the database {location}: {error}; check that it runs and "
            "that MIDWATCH_LEDGER_DATABASE_URL is right",
            err=True,
        )
    except OSError as error:
        typer.echo(
            f"midwatch-ledger: {error}; give this user the right to write there or name another "
            "file in MIDWATCH_LEDGER_DATABASE_URL",
            err=True,
        )
    else:
        return
    raise typer.Exit(EXIT_FAILED)
