"""Writing many whole rows at once, by the shortest way that each database has.

SQLite takes tuples that are ready for its driver. PostgreSQL takes them by COPY into a staging
table of the connection, from where one statement puts them where they belong. Neither goes through
SQLAlchemy's handling of each single value, which costs more than the databases' own work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any

import orjson
from sqlalchemy import JSON, Connection, Table, Uuid, exc
from sqlalchemy.types import TypeDecorator

from midwatch_ledger.models import Base
from midwatch_ledger.models.boundary import current_boundary
from midwatch_ledger.models.types import Money, UtcTime

Row = dict[str, Any]
Convert = Callable[[list[Any]], list[Any]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def insert(connection: Connection, model: type[Base], rows: Sequence[Row]) -> None:
    """Insert rows, each with every column of the table; those whose key is there stay as they are.

    Raises:
        DBAPIError: as SQLAlchemy's own statements do.
    """
    _write(connection, model, rows, "ON CONFLICT DO NOTHING")


def upsert(
    connection: Connection, model: type[Base], rows: Sequence[Row], *, keep: Sequence[str] = ()
) -> None:
    """Insert rows, each with every column of the table; where the key is there, renew the row.

    The columns of `keep` stay as they are then.

    Raises:
        DBAPIError: as SQLAlchemy's own statements do.
    """
    table = _table(model)
    key = [column.name for column in table.primary_key.columns]
    renewed = [name for name in table.c.keys() if name not in (*key, *keep)]  # noqa: SIM118
    setting = ", ".join(f"{_quoted(name)} = excluded.{_quoted(name)}" for name in renewed)
    _write(connection, model, rows, f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {setting}")


def _write(connection: Connection, model: type[Base], rows: Sequence[Row], conflict: str) -> None:
    if not rows:
        return
    # What a request's boundary limits and notes is seen by SQLAlchemy's statements only.
    if current_boundary() is not None:
        raise RuntimeError("rows are written in bulk by the ledger itself, not for a request")
    if connection.dialect.name == "sqlite":
        form = _form(model, "sqlite")
        places = ", ".join("?" * len(form.names))
        connection.exec_driver_sql(
            f"INSERT INTO {form.target} VALUES ({places}) {conflict}",  # noqa: S608
            list(form.values(rows)),
        )
        return
    form = _form(model, "postgresql")
    with _told():
        _copy(connection, form, rows, conflict)


def _copy(connection: Connection, form: _Form, rows: Sequence[Row], conflict: str) -> None:
    # A ledger on SQLite needs no driver of PostgreSQL, and starts a twelfth faster without.
    import psycopg

    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)  # noqa: S101 -- the only driver there is
    with raw.cursor() as cursor:
        cursor.execute(form.make_staging)
        with cursor.copy(form.copy) as copy:
            for values in form.values(rows):
                copy.write_row(values)
        cursor.execute(form.take_over + conflict)


class _told:  # noqa: N801 -- reads as what it does in a with statement
    """Has the driver's errors be what SQLAlchemy makes of them."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Translate.

        Raises:
            DBAPIError: the driver said something.
        """
        if error is None:
            return
        import psycopg

        if not isinstance(error, psycopg.Error):
            return
        named = (getattr(exc, kind.__name__, None) for kind in type(error).__mro__)
        kinds = (kind for kind in named if isinstance(kind, type))
        made = next((kind for kind in kinds if issubclass(kind, exc.DBAPIError)), exc.DBAPIError)
        # Without the rows: they hold content, and errors are logged.
        raise made("COPY", None, error, hide_parameters=True) from error


@dataclass(frozen=True)
class _Form:
    """How rows of a table are written to one kind of database."""

    names: tuple[str, ...]
    target: str
    conversions: tuple[tuple[int, Convert], ...]
    make_staging: str
    copy: str
    take_over: str

    def values(self, rows: Sequence[Row]) -> Iterator[tuple[Any, ...]]:
        """Give each row's values in the order of the columns, as the driver takes them."""
        columns = [list(map(itemgetter(name), rows)) for name in self.names]
        for place, convert in self.conversions:
            columns[place] = convert(columns[place])
        return zip(*columns, strict=True)


@cache
def _form(model: type[Base], dialect: str) -> _Form:
    table = _table(model)
    names = tuple(column.name for column in table.columns)
    columns = ", ".join(map(_quoted, names))
    conversions = (
        (place, _conversion(column.type, dialect)) for place, column in enumerate(table.columns)
    )
    staging = f"staging_{table.name}"
    return _Form(
        names,
        f"{table.name} ({columns})",
        tuple((place, convert) for place, convert in conversions if convert is not None),
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staging} (LIKE {table.name} INCLUDING DEFAULTS) "
        "ON COMMIT DELETE ROWS",
        f"COPY {staging} ({columns}) FROM STDIN",
        f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {staging} ",  # noqa: S608
    )


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 -- every model here is one table
    return table


def _conversion(kind: Any, dialect: str) -> Convert | None:
    if isinstance(kind, UtcTime):
        return _each(_microseconds if dialect == "sqlite" else datetime.isoformat)
    if isinstance(kind, Money):
        return _each(_nano_dollars if dialect == "sqlite" else str)
    if isinstance(kind, Uuid):
        return _each(attrgetter("hex"))
    found = kind.impl if isinstance(kind, TypeDecorator) else kind
    return _documents if isinstance(found, JSON) else None


def _each(convert: Callable[[Any], Any]) -> Convert:
    def of_column(values: list[Any]) -> list[Any]:
        first = values[0]
        # Many a column says the same in every row: nothing, or when the rows are written.
        if values.count(first) == len(values):
            return [None if first is None else convert(first)] * len(values)
        return [None if value is None else convert(value) for value in values]

    return of_column


def _microseconds(value: datetime) -> int:
    return (value - _EPOCH) // _MICROSECOND


def _nano_dollars(value: Any) -> int:
    return int(value.scaleb(9).to_integral_value())


def _documents(values: list[Any]) -> list[Any]:
    if values.count(None) == len(values):
        return values
    return [
        None
        if value is None
        # Most spans have no events and no links.
        else "[]"
        if value == []
        else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
        for value in values
    ]


def _quoted(name: str) -> str:
    return f'"{name}"'
