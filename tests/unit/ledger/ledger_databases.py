"""Databases that the ledger's tests take turns with: to empty one takes less than to make one."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import psycopg
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.migrate import migrate
from sqlalchemy import URL, event, make_url
from sqlalchemy.pool import Pool

from tests.unit.ledger.ledger_postgres import PostgresServer, connect


class MigratedDatabases:
    """Migrated databases, each for a test at a time: emptying takes 5 ms, copying 40."""

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server = server
        self._template = template
        self._given_back: list[str] = []
        self._connections: dict[str, psycopg.Connection[Any]] = {}
        self._ours: set[int] = set()
        event.listen(Pool, "connect", self._note)
        with closing(connect(server.url(template))) as connection:
            self._as_migrated = self._schema(connection)

    def take(self) -> str:
        """Give the URL of one that is as migrations leave it."""
        while self._given_back:
            url = self._given_back.pop()
            if self._is_emptied(url):
                return url
        return self._server.create_database(self._template)

    def give_back(self, url: str) -> None:
        """Let a later test have it; it is emptied then, when nobody writes to it any more."""
        self._given_back.append(url)

    def close(self) -> None:
        """Close the connections that empty databases."""
        event.remove(Pool, "connect", self._note)
        for connection in self._connections.values():
            connection.close()

    def _note(self, connection: Any, _record: object) -> None:
        if isinstance(connection, psycopg.Connection):
            self._ours.add(connection.info.backend_pid)

    def _schema(
        self, connection: psycopg.Connection[Any]
    ) -> tuple[set[tuple[str, bool]], list[str]]:
        """Give tables, indexes and sequences, which of them are partitions, and the revision."""
        listed = (
            "SELECT relname, relispartition FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace"
        )
        relations = {(row[0], row[1]) for row in connection.execute(listed)}
        if ("alembic_version", False) not in relations:
            return relations, []
        revisions = connection.execute("SELECT version_num FROM alembic_version")
        return relations, [row[0] for row in revisions]

    def _is_emptied(self, url: str) -> bool:
        """Empty it; return whether it is then as the template is, and nobody uses it."""
        if url not in self._connections:
            self._connections[url] = connect(url)
        connection = self._connections[url]
        if not self._is_left(connection):
            return False
        kept = [name for name, _ in self._as_migrated[0]]
        connection.execute(_EMPTY.replace(":kept", f"ARRAY{kept}").encode())
        return self._schema(connection) == self._as_migrated

    def _is_left(self, connection: psycopg.Connection[Any]) -> bool:
        """Whether nobody else uses it; the server notices a moment later who has gone.

        What this process keeps open for the next ledger is connected, and does nothing.
        """
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND NOT (state = 'idle' AND pid = ANY (%s))"
        )
        for _ in range(20):
            if connection.execute(others, [list(self._ours)]).fetchone() == (0,):
                return True
            time.sleep(0.01)
        return False


# Partitions of days that a ledger made go with their rows, but for those of the template.
_EMPTY = r"""
DO $$
DECLARE one record;
BEGIN
  SET session_replication_role = replica;
  FOR one IN SELECT oid, relname, relispartition FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        AND relname <> 'alembic_version' LOOP
    IF one.relispartition AND one.relname <> ALL (:kept) THEN
      EXECUTE format('DROP TABLE %I', one.relname);
    ELSIF pg_relation_size(one.oid) > 0 THEN
      EXECUTE format('DELETE FROM %I', one.relname);
    END IF;
  END LOOP;
  FOR one IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER SEQUENCE %I RESTART', one.sequencename);
  END LOOP;
  SET session_replication_role = origin;
END $$
"""


class KnownDatabases:
    """Databases that are open for a test at a time.

    A seventh of what tests of the ledger computed was SQLAlchemy writing the same statements again,
    as each engine keeps its own: one for each URL has most of them from the tests before. And a
    connection to PostgreSQL has the plans of its statements.
    """

    def __init__(self) -> None:
        self._closed: dict[tuple[URL, float], list[Database]] = {}
        self._lasting: set[URL] = set()
        self._migrated: set[URL] = set()

    def open(self, url: str, timeout_seconds: float) -> Database:
        """Give one of this URL, migrated, that nobody else has."""
        wanted = make_url(url)
        closed = self._closed.get((wanted, timeout_seconds))
        database = closed.pop() if closed else Database(wanted, timeout_seconds=timeout_seconds)
        if wanted in self._migrated:
            self._migrated.remove(wanted)
        else:
            migrate(database)
        return database

    def note_migrated(self, url: str) -> None:
        """Have the next that opens this one not look whether it is migrated: it is."""
        self._migrated.add(make_url(url))

    def stay_connected(self, url: str) -> None:
        """Keep the connections to this one: others take turns with it."""
        self._lasting.add(make_url(url))

    def close(self, database: Database) -> None:
        """Keep it for the next that opens this URL, and close its connections unless they last."""
        if database.url not in self._lasting:
            database.close()
        self._closed.setdefault((database.url, database.timeout_seconds), []).append(database)

    def close_all(self) -> None:
        """Close the connections of all."""
        for databases in self._closed.values():
            for database in databases:
                database.close()
