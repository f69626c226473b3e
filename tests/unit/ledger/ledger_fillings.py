"""What ledgers were filled with once, for tests that begin with the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from midwatch_ledger.store.database import Database

from tests.unit.ledger.ledger_postgres import connect
from tests.unit.ledger.ledger_running import Ledger


@dataclass
class Fillings:
    """What ledgers were filled with over their API: a copy takes 20 ms, asking anew 200.

    It comes into a running ledger as what another replica writes does.
    """

    folder: Path
    _results: dict[tuple[str, bool], Any] = field(default_factory=dict)
    _rows: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def fill(self, ledger: Ledger, ask: Callable[[Ledger], Any]) -> Any:
        """Fill an empty ledger as `ask` does, and give what it gives."""
        name, database = f"{ask.__module__}.{ask.__qualname__}", ledger.database
        if (name, database.is_sqlite) in self._results:
            (self._insert_file if database.is_sqlite else self._insert_rows)(name, database)
        else:
            self._results[name, database.is_sqlite] = ask(ledger)
            (self._keep_file if database.is_sqlite else self._keep_rows)(name, database)
        return self._results[name, database.is_sqlite]

    def _keep_file(self, name: str, database: Database) -> None:
        with closing(sqlite3.connect(str(database.url.database))) as source:
            source.execute("VACUUM INTO ?", [str(self.folder / f"{name}.db")])

    def _insert_file(self, name: str, database: Database) -> None:
        file = str(database.url.database)
        with closing(sqlite3.connect(file, isolation_level=None)) as target:
            target.execute("ATTACH ? AS kept", [str(self.folder / f"{name}.db")])
            listed = "SELECT name FROM kept.sqlite_master WHERE type = 'table'"
            # Names that the database itself tells.
            target.execute("BEGIN IMMEDIATE")
            for (table,) in target.execute(listed).fetchall():
                target.execute(f"DELETE FROM main.{table}")  # noqa: S608
                target.execute(f"INSERT INTO main.{table} SELECT * FROM kept.{table}")  # noqa: S608
            target.execute("COMMIT")

    def _keep_rows(self, name: str, database: Database) -> None:
        with closing(connect(_plain(database))) as connection:
            tables = [row[0] for row in connection.execute(_TABLES)]
            rows = {table: _copied(connection, table) for table in tables}
            self._rows[name] = {table: copied for table, copied in rows.items() if copied}

    def _insert_rows(self, name: str, database: Database) -> None:
        with closing(connect(_plain(database))) as connection, connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            for table, rows in self._rows[name].items():
                connection.execute(f"DELETE FROM {table}".encode())  # noqa: S608
                with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                    copy.write(rows)
            connection.execute(_COUNT_ON)


_TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
AND relkind IN ('r', 'p') AND NOT relispartition
"""
# The one table that is numbered.
_COUNT_ON = """
SELECT setval(pg_get_serial_sequence('live_changes', 'id'), max(id))
FROM live_changes HAVING max(id) IS NOT NULL
"""


def _copied(connection: psycopg.Connection[Any], table: str) -> bytes:
    with connection.cursor().copy(f"COPY (SELECT * FROM {table}) TO STDOUT".encode()) as copy:  # noqa: S608
        return b"".join(bytes(part) for part in copy)


def _plain(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)
