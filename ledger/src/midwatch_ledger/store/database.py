"""Connections: how the ledger opens PostgreSQL and SQLite, and what a failure means."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class DatabaseUnavailableError(Exception):
    """The database can't be reached, is locked or is full: the same request may succeed later."""


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
        with _translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def outside_transaction(self) -> Iterator[Connection]:
        """Give a connection that commits each statement by itself, for what needs just that."""
        with _translated(), self._writer.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def check_writable(self) -> None:
        """Prove that the database would take a write now.

        Raises:
            DatabaseUnavailableError: it would not.
        """
        with self.writing() as connection:
            if self.is_sqlite:
                return  # BEGIN IMMEDIATE has taken the write lock.
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
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
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


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeoutError as error:
        raise DatabaseUnavailableError("all database connections are in use") from error
    except DBAPIError as error:
        if _is_transient(error):
            raise DatabaseUnavailableError(
                str(error.orig).strip() or type(error).__name__
            ) from error
        raise


def _is_transient(error: DBAPIError) -> bool:
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return state[:2] in _TRANSIENT_CLASSES or state == _LOCK_NOT_AVAILABLE
    return isinstance(error, OperationalError)


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
