"""Archives of Parquet files, in a folder or in a store like S3.

One file holds rows of one table that were deleted together, in `<table>/<year>-<month>/`. The extra
`archive` brings pyarrow, which does the work.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import JSON, BigInteger, Boolean, Double, Float, LargeBinary, Table, Uuid
from sqlalchemy.types import TypeDecorator

from midwatch_ledger.models.types import Money, UtcTime

if TYPE_CHECKING:
    from pyarrow import fs

Record = dict[str, Any]

_SUFFIX = ".parquet"


class ArchiveError(Exception):
    """The archive can't be used; the text says why and what to change."""


class Archive:
    """Writes and reads rows of tables.

    Args:
        url: a folder (`/path` or `file:///path`) or `s3://bucket/prefix`, with the options of
            pyarrow's S3 file system, such as `?endpoint_override=http%3A%2F%2Fminio:9000`.

    Raises:
        ArchiveError: pyarrow isn't installed, or the URL is none.
    """

    def __init__(self, url: str) -> None:
        try:
            import pyarrow
            from pyarrow import fs, parquet
        except ImportError:
            raise ArchiveError(
                "archives need pyarrow: pip install 'midwatch-ledger[archive]'"
            ) from None
        self._arrow, self._parquet, self._fs = pyarrow, parquet, fs
        try:
            self._files, self._root = self._open(url)
        except (OSError, ValueError, pyarrow.ArrowInvalid) as error:
            raise ArchiveError(f"can't use the archive {url.partition('?')[0]}: {error}") from None

    def write(self, table: Table, rows: Sequence[Record], now: datetime) -> str:
        """Write rows to a new file, which is whole when this returns; return its path.

        Raises:
            ArchiveError: it can't be written.
        """
        folder = f"{self._root}/{table.name}/{now:%Y-%m}"
        path = f"{folder}/{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex}{_SUFFIX}"
        with self._told(path):
            self._files.create_dir(folder, recursive=True)
            self._put(path, table, rows)
        return path

    def tables(self) -> list[str]:
        """Return the names of the tables that there are files of."""
        return sorted({path.split("/")[0] for path in self._paths("")})

    def read(self, table: Table) -> Iterator[list[Record]]:
        """Give the rows of a table, file by file.

        Raises:
            ArchiveError: a file can't be read.
        """
        for path in self._paths(table.name):
            yield self._rows(table, path)

    def rewrite(self, table: Table, keep: Callable[[Record], bool]) -> int:
        """Take rows out of the files of a table for good; return how many.

        Raises:
            ArchiveError: a file can't be read or written.
        """
        removed = 0
        for path in self._paths(table.name):
            rows = self._rows(table, path)
            kept = [row for row in rows if keep(row)]
            if len(kept) == len(rows):
                continue
            full = f"{self._root}/{path}"
            with self._told(full):
                if kept:
                    self._put(full, table, kept)
                else:
                    self._files.delete_file(full)
            removed += len(rows) - len(kept)
        return removed

    def _open(self, url: str) -> tuple[fs.FileSystem, str]:
        if "://" not in url:
            return self._fs.LocalFileSystem(), url.rstrip("/")
        files, root = self._fs.FileSystem.from_uri(url)
        return files, root.rstrip("/")

    def _put(self, path: str, table: Table, rows: Sequence[Record]) -> None:
        """Write a file whole: in a folder under another name first, then renamed."""
        columns = list(table.columns)
        schema = self._arrow.schema([(one.name, self._type(one.type)) for one in columns])
        data = self._arrow.Table.from_pylist(
            [{one.name: _plain(row[one.key], one.type) for one in columns} for row in rows],
            schema=schema,
        )
        local = isinstance(self._files, self._fs.LocalFileSystem)
        target = f"{path}.part" if local else path
        with self._files.open_output_stream(target) as stream:
            self._parquet.write_table(data, stream, compression="zstd")
        if local:
            with Path(target).open("rb") as written:
                os.fsync(written.fileno())
            self._files.move(target, path)

    def _rows(self, table: Table, path: str) -> list[Record]:
        full = f"{self._root}/{path}"
        with self._told(full), self._files.open_input_file(full) as file:
            data = self._parquet.read_table(file).to_pylist()
        columns = {one.name: one for one in table.columns}
        return [
            {
                columns[name].key: _typed(value, columns[name].type)
                for name, value in row.items()
                if name in columns
            }
            for row in data
        ]

    def _paths(self, folder: str) -> list[str]:
        base = f"{self._root}/{folder}".rstrip("/")
        wanted = self._fs.FileSelector(base, allow_not_found=True, recursive=True)
        with self._told(base):
            found = self._files.get_file_info(wanted)
        start = len(self._root) + 1
        return sorted(one.path[start:] for one in found if one.path.endswith(_SUFFIX))

    def _told(self, path: str) -> _Told:
        return _Told(path, (OSError, self._arrow.ArrowInvalid))

    def _type(self, kind: Any) -> Any:
        arrow = self._arrow
        types = (
            (UtcTime, arrow.timestamp("us", tz="UTC")),
            (BigInteger, arrow.int64()),
            (Boolean, arrow.bool_()),
            ((Double, Float), arrow.float64()),
            (LargeBinary, arrow.binary()),
        )
        return next((made for one, made in types if isinstance(kind, one)), arrow.string())


class _Told:
    """Tells failures of a file as what they are."""

    def __init__(self, path: str, kinds: tuple[type[Exception], ...]) -> None:
        self._path, self._kinds = path, kinds

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Tell the failure.

        Raises:
            ArchiveError: there was one.
        """
        if isinstance(error, self._kinds):
            raise ArchiveError(f"the archive's {self._path} can't be used: {error}") from error


def _plain(value: Any, kind: Any) -> Any:
    """Return what the file has for a value: exact money and documents as text."""
    if value is not None and _is_document(kind):
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    return str(value) if isinstance(value, Decimal | uuid.UUID) else value


def _typed(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, Money):
        return Decimal(value)
    if isinstance(kind, Uuid):
        return uuid.UUID(value)
    if isinstance(kind, UtcTime):
        return value.astimezone(UTC)
    if _is_document(kind):
        return orjson.loads(value)
    return value


def _is_document(kind: Any) -> bool:
    found = kind.impl if isinstance(kind, TypeDecorator) else kind
    return isinstance(found, JSON)
