"""What the commands share: settings or an exit, and failures told in a line.

Modules of commands load what they work with when they work: `--help` needs nothing of it, wrong
settings are told without the database, and what one command needs no other waits for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from midwatch_ledger.settings import Settings
    from midwatch_ledger.store.database import Database

EXIT_FAILED = 1
EXIT_MISCONFIGURED = 2


@contextmanager
def checked_database(settings: Settings) -> Iterator[Database]:
    """Give the database of the settings, at this program's schema; failures are told."""
    from midwatch_ledger.opening import open_database
    from midwatch_ledger.store.migrate import check_schema

    with told_failures(settings):
        database = open_database(settings)
        try:
            check_schema(database)
            yield database
        finally:
            database.close()


def settings_or_exit() -> Settings:
    """Return the settings, or end the program with what is wrong with them."""
    from midwatch_ledger.settings import SettingsError, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        typer.echo("midwatch-ledger: wrong settings:", err=True)
        for problem in error.problems:
            typer.echo(f"  {problem}", err=True)
        raise typer.Exit(EXIT_MISCONFIGURED) from None


@contextmanager
def told_failures(settings: Settings) -> Iterator[None]:
    """Tell foreseeable failures in a line, with the remedy, instead of a stack."""
    from midwatch_ledger.opening import StartError
    from midwatch_ledger.store.database import DatabaseUnavailableError
    from midwatch_ledger.store.migrate import SchemaError

    try:
        yield
    except (StartError, SchemaError) as error:
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
