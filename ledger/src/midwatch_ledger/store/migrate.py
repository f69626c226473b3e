"""Schema migrations, safe when several replicas start together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, column, inspect, select, table, text

from midwatch_ledger.store.database import Database, DatabaseUnavailableError

_ADVISORY_LOCK = 0x6D69_6477_6174  # "midwat": PostgreSQL's advisory locks are numbers.
_WAIT_SECONDS = 60.0
_PAUSE_SECONDS = 0.1
_MIGRATIONS = Path(__file__).parent / "migrations"
_VERSION = table("alembic_version", column("version_num"))
_Result = TypeVar("_Result")
_logger = logging.getLogger(__name__)


class SchemaError(Exception):
    """The schema of the database isn't one that this program can work with."""


def migrate(database: Database, *, wait_seconds: float = _WAIT_SECONDS) -> tuple[str | None, str]:
    """Bring the schema to this program's revision; return the revisions before and after.

    One process migrates, the others wait for it and then find nothing to do.

    Raises:
        SchemaError: the database is newer than this program.
        DatabaseUnavailableError: the database isn't reached or locked for `wait_seconds`.
    """
    if database.is_sqlite:
        _patiently(database.use_write_ahead_log, wait_seconds)
    return _patiently(lambda: _migrate_once(database), wait_seconds)


def current_revision(database: Database) -> str | None:
    """Return the revision that the database is at, None for an empty one."""
    with database.reading() as connection:
        return _revision(connection)


@cache
def head_revision() -> str:
    """Return the revision that this program needs.

    Alembic would tell it as well, but takes a sixth of a ledger's start to load, and nearly every
    start finds nothing to do: migrations are one line, and their files begin with their numbers.
    """
    found = [file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py")]
    if not found:
        raise SchemaError("this installation has no migrations; reinstall midwatch-ledger")
    return max(found)


def check_schema(database: Database) -> None:
    """Check that the database is at this program's revision.

    Raises:
        SchemaError: it isn't, with what to do.
        DatabaseUnavailableError: it can't be reached.
    """
    found, needed = current_revision(database), head_revision()
    if found != needed:
        raise SchemaError(
            f"the database is at revision {found or 'none (empty)'}, this program needs {needed}; "
            "run: midwatch-ledger migrate"
        )


def _migrate_once(database: Database) -> tuple[str | None, str]:
    with database.writing() as connection, _migration_lock(database, connection):
        before = _revision(connection)
        if before != head_revision():
            _upgrade(connection, before)
    return before, head_revision()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION.name):
        return None
    revision: str | None = connection.execute(select(_VERSION.c.version_num)).scalar_one_or_none()
    return revision


def _upgrade(connection: Connection, before: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS))
    configuration.attributes["connection"] = connection
    try:
        command.upgrade(configuration, "head")
    except CommandError as error:
        raise SchemaError(
            f"the database is at revision {before}, which this program doesn't know ({error}); "
            "it was migrated by a newer version: run that version or newer"
        ) from error


@contextmanager
def _migration_lock(database: Database, connection: Connection) -> Iterator[None]:
    """Hold the lock until the transaction ends; SQLite's write lock is one already."""
    if not database.is_sqlite:
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK}
        )
    yield


def _patiently(action: Callable[[], _Result], wait_seconds: float) -> _Result:
    """Repeat while another process holds the lock or the database is still starting."""
    deadline = time.monotonic() + wait_seconds
    told = False
    while True:
        try:
            return action()
        except DatabaseUnavailableError as error:
            if error.lasting or time.monotonic() >= deadline:
                raise
            if not told:
                _logger.warning("waiting up to %.0f s for the database: %s", wait_seconds, error)
                told = True
            time.sleep(_PAUSE_SECONDS)
