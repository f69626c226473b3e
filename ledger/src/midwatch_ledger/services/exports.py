"""Rows as files: NDJSON, CSV and Parquet, made while they are read, in little memory."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, Literal

import orjson
from sqlalchemy import JSON, BigInteger, Boolean, Double, Float, Table
from sqlalchemy.types import TypeDecorator

from midwatch_ledger.models.types import Money, UtcTime

Form = Literal["ndjson", "csv", "parquet"]
MEDIA_TYPES: Final[Mapping[Form, str]] = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
Record = dict[str, Any]

_GROUP_BYTES = 8 * 1024 * 1024
_GROUP_ROWS = 10_000
# What spreadsheets take for the beginning of a formula, also in the forms that they normalize.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


class ParquetMissingError(Exception):
    """Parquet is asked for, and what makes it isn't installed."""


def export(form: Form, table: Table, pages: Iterable[list[Record]]) -> Iterator[bytes]:
    """Give the bytes of a file with all rows of the pages; no more than one page is in memory.

    Parquet holds a group of rows besides, of about 8 MiB.

    Raises:
        ParquetMissingError: at once, not while it is read.
    """
    makers: dict[Form, Callable[[Table, Iterable[list[Record]]], Iterator[bytes]]] = {
        "ndjson": _ndjson,
        "csv": _csv,
        "parquet": _parquet,
    }
    return makers[form](table, pages)


def _ndjson(_table: Table, pages: Iterable[list[Record]]) -> Iterator[bytes]:
    options = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE
    for page in pages:
        yield b"".join(orjson.dumps(row, default=_number, option=options) for row in page)


def _number(value: Any) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _csv(table: Table, pages: Iterable[list[Record]]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    columns = [column.name for column in table.columns]
    writer.writerow(columns)
    yield text.getvalue().encode()
    for page in pages:
        text.seek(0)
        text.truncate()
        writer.writerows([_cell(row[name]) for name in columns] for row in page)
        # Half a surrogate pair, which some model wrote, is no UTF-8.
        yield text.getvalue().encode(errors="replace")


def _cell(value: Any) -> Any:
    """Return what a cell holds; a text that a spreadsheet would run begins with an apostrophe."""
    if value is None or isinstance(value, bool | int | float | uuid.UUID):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict | list):
        return _document(value)
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return value.isoformat()


def _document(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _parquet(table: Table, pages: Iterable[list[Record]]) -> Iterator[bytes]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ParquetMissingError(
            "this ledger can't write Parquet: pip install 'midwatch-ledger[archive]', or ask for "
            "format=ndjson or csv"
        ) from None
    return _parquet_of(table, pages, pyarrow, parquet)


def _parquet_of(
    table: Table, pages: Iterable[list[Record]], arrow: Any, parquet: Any
) -> Iterator[bytes]:
    columns = list(table.columns)
    schema = arrow.schema([(one.name, _arrow_type(arrow, one.type)) for one in columns])
    sink = _Sink()
    writer = parquet.ParquetWriter(arrow.PythonFile(sink, mode="w"), schema, compression="zstd")
    group: list[Any] = []
    for page in pages:
        rows = [{one.name: _plain(row[one.name], one.type) for one in columns} for row in page]
        group.append(arrow.Table.from_pylist(rows, schema=schema))
        size = sum(part.nbytes for part in group)
        if size >= _GROUP_BYTES or sum(part.num_rows for part in group) >= _GROUP_ROWS:
            writer.write_table(arrow.concat_tables(group))
            group = []
            yield sink.take()
    if group:
        writer.write_table(arrow.concat_tables(group))
    writer.close()
    yield sink.take()


class _Sink(io.RawIOBase):
    """A file that keeps what is written only until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, data: Any) -> int:
        """Keep the data."""
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def take(self) -> bytes:
        """Return what was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _arrow_type(arrow: Any, kind: Any) -> Any:
    types = (
        (Money, arrow.decimal128(20, 9)),
        (UtcTime, arrow.timestamp("us", tz="UTC")),
        (BigInteger, arrow.int64()),
        (Boolean, arrow.bool_()),
        ((Double, Float), arrow.float64()),
    )
    return next((made for one, made in types if isinstance(kind, one)), arrow.string())


def _plain(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    found = kind.impl if isinstance(kind, TypeDecorator) else kind
    if isinstance(found, JSON):
        return _document(value)
    return str(value) if isinstance(value, uuid.UUID) else value
