"""Opens the database of the settings, for the server and for every command."""

from __future__ import annotations

from midwatch_ledger.settings import Settings
from midwatch_ledger.store.database import Database


class StartError(Exception):
    """The ledger can't start; the text says why and what to do."""


def open_database(settings: Settings) -> Database:
    """Return the database of the settings; nothing is connected yet.

    Raises:
        OSError: the folder of the SQLite file can't be made.
    """
    return Database(settings.sqlalchemy_url, timeout_seconds=settings.database_timeout_seconds)
