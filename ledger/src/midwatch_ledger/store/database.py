"""Connections: how the ledger opens PostgreSQL and SQLite, and what a failure means."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from midwatch_ledger.store.guarding import guard, noted_changes

_PAGE_BYTES = 16384


class DatabaseUnavailableError(Exception):
    """The database can't be reached, is locked or is full: the same request may succeed later.

    `lasting` says that it won't by waiting alone: the file can't be opened or written.
    """

    def __init__(self, told: str, *, lasting: bool = False) -> None:
        super().__init__(told)
        self.lasting = lasting


class Database:
    """The connections to one database.

    SQLite allows one writer: transactions that write begin by taking the write lock, so that they
    fail at once or wait at one known place, and readers never upgrade. PostgreSQL needs neither.
    """

    def __init__(self, url: URL, *, timeout_seconds: float = 5.0, pool_size: int = 8) -> None:
        self.url = url
        self.timeout_seconds = timeout_seconds
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._reader = _engine(url, timeout_seconds, pool_size)
        self._writer = _engine(url, timeout_seconds, 2) if self.is_sqlite else self._reader
        for engine in {self._reader, self._writer}:
            guard(engine)
        if self.is_sqlite:
            event.listen(self._reader, "begin", _begin_reading)
            event.listen(self._writer, "begin", _begin_writing)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection in a transaction that only reads.

        Raises:
            DatabaseUnavailableError: the database can't be reached.
        """
        with _translated(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction that is committed at the end of the block.

        Raises:
            DatabaseUnavailableError: the database can't be reached, is locked or is full.
        """
        with _translated(), self._writer.begin() as connection, noted_changes(connection):
            yield connection

    def use_write_ahead_log(self) -> None:
        """Let SQLite readers and the writer work side by side; the file remembers it.

        Raises:
            DatabaseUnavailableError: another program holds the file.
        """
        # The mode can't be changed inside a transaction, and SQLAlchemy always opens one.
        try:
            connection = self._writer.raw_connection()
            try:
                # Of use in a new file only. A model call with its messages is about 3 KiB long:
                # fewer and larger pages leave less of them empty.
                connection.cursor().execute(f"PRAGMA page_size={_PAGE_BYTES}")
                connection.cursor().execute("PRAGMA journal_mode=WAL")
            finally:
                connection.close()
        except (DBAPIError, sqlite3.DatabaseError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise DatabaseUnavailableError(str(cause), lasting=_is_lasting(cause)) from error

    def check_writable(self) -> None:
        """Prove that the database would take a write now.

        Raises:
            DatabaseUnavailableError: it would not.
        """
        with self.writing() as connection:
            if self.is_sqlite:
                # BEGIN IMMEDIATE has taken the lock; only a page that is really written at the
                # commit tells whether the disk takes one. Nobody else uses this number.
                connection.exec_driver_sql("PRAGMA user_version = 0")
                return
            if connection.execute(text("SHOW transaction_read_only")).scalar_one() != "off":
                raise DatabaseUnavailableError("the PostgreSQL server only reads (a standby?)")

    def close(self) -> None:
        """Close all connections."""
        self._reader.dispose()
        self._writer.dispose()

    @property
    def location(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)


def _engine(url: URL, timeout_seconds: float, pool_size: int) -> Engine:
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).expanduser().parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            url,
            connect_args={"timeout": timeout_seconds, "check_same_thread": False},
            pool_size=pool_size,
            pool_timeout=timeout_seconds,
            hide_parameters=True,
            json_serializer=_to_json,
            json_deserializer=orjson.loads,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    return create_engine(
        url,
        connect_args={
            "connect_timeout": max(2, int(timeout_seconds)),
            "options": f"-c lock_timeout={int(timeout_seconds * 1000)}",
        },
        pool_size=pool_size,
        pool_timeout=timeout_seconds,
        pool_pre_ping=True,
        # Errors are logged, and parameters hold content.
        hide_parameters=True,
        json_serializer=_to_json,
        json_deserializer=orjson.loads,
    )


def _to_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not open transactions by itself: `_begin_*` decides which kind.
    connection.isolation_level = None
    cursor = connection.cursor()
    # FULL: a commit is on disk, also when the whole machine dies.
    # The cache, in KiB, holds the upper pages of all indexes; the log grows to 32 MiB before it is
    # taken over, so that a page that many commits change is written back once.
    for pragma in (
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-16384",
        "wal_autocheckpoint=4096",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


# SQLSTATE classes and codes after which the same statement can succeed later: connection lost,
# out of resources, operator intervention, lock not had, serialization failure and deadlock.
_TRANSIENT_CLASSES = ("08", "40", "53", "57")
_LOCK_NOT_AVAILABLE = "55P03"
_SQLITE_LASTING = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_NOTADB")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeoutError as error:
        raise DatabaseUnavailableError("all database connections are in use") from error
    except DBAPIError as error:
        if not _is_unavailable(error):
            raise
        told = str(error.orig).strip() or type(error).__name__
        raise DatabaseUnavailableError(told, lasting=_is_lasting(error.orig)) from error


def _is_unavailable(error: DBAPIError) -> bool:
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return state[:2] in _TRANSIENT_CLASSES or state == _LOCK_NOT_AVAILABLE
    # A statement that is wrong in itself has SQLite's general code; all others are circumstances.
    code = _sqlite_code(error.orig)
    return code in _SQLITE_LASTING or (
        isinstance(error, OperationalError) and code != "SQLITE_ERROR"
    )


def _is_lasting(error: object) -> bool:
    return _sqlite_code(error).startswith(_SQLITE_LASTING)


def _sqlite_code(error: object) -> str:
    return str(getattr(error, "sqlite_errorname", ""))


class LastCommit:
    """When a write last succeeded; shared by the writer and the readiness route."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._monotonic: float | None = None

    def record(self, monotonic: float) -> None:
        """Note a commit at this time."""
        with self._lock:
            self._monotonic = monotonic

    def seconds_ago(self, monotonic: float) -> float | None:
        """Return how long ago the last commit was, None if there was none."""
        with self._lock:
            return None if self._monotonic is None else monotonic - self._monotonic
