"""What `midwatch-ledger doctor` finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from midwatch_ledger.opening import open_database
from midwatch_ledger.settings import Settings
from midwatch_ledger.store.database import Database, DatabaseUnavailableError
from midwatch_ledger.store.migrate import SchemaError, check_schema, head_revision


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    subject: str
    ok: bool
    told: str


def diagnose(settings: Settings) -> Iterator[Finding]:
    """Check one thing after the other; all are told, also after a failure."""
    try:
        database = open_database(settings)
    except OSError as error:
        yield Finding("database", False, str(error))
        return
    yield _checked("database", lambda: _writable(database))
    yield _checked("schema", lambda: _fitting(database))
    yield Finding(
        "access",
        True,
        "open to all who reach it until there is a key: midwatch-ledger keys create"
        if settings.may_be_open and not settings.file_keys()
        else "keys or logins are asked for",
    )
    database.close()


def _checked(subject: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, check())
    except (DatabaseUnavailableError, SchemaError) as error:
        return Finding(subject, False, str(error))


def _writable(database: Database) -> str:
    database.check_writable()
    return f"{database.location} takes writes"


def _fitting(database: Database) -> str:
    check_schema(database)
    return f"at revision {head_revision()}"
