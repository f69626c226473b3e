"""The ledger's tables as a page: what the models say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from midwatch_ledger.models import Base
from midwatch_ledger.models.content import AttributesDocument, ContentDocument, ContentText
from midwatch_ledger.models.types import Money, UtcTime
from sqlalchemy import JSON, URL, Dialect, Index, Table

_CONTENT = (ContentText, ContentDocument)
_POSTGRESQL: Dialect = URL.create("postgresql+psycopg").get_dialect()()
_SQLITE: Dialect = URL.create("sqlite").get_dialect()()


def blocks() -> list[str]:
    """The parts of the page: a part for each table."""
    described: dict[str, type[Any]] = {}
    for mapper in Base.registry.mappers:
        mapped: Any = mapper.local_table
        described[mapped.name] = mapper.class_
    tables = sorted(Base.metadata.tables.values(), key=lambda table: table.name)
    return [
        "Every table of the ledger and each of its columns, on PostgreSQL and on SQLite. "
        "Money is exact: `NUMERIC(20, 9)` dollars on PostgreSQL, whole nano-dollars on SQLite. "
        "Times are UTC to the microsecond: `TIMESTAMP WITH TIME ZONE`, or microseconds since 1970. "
        "Columns marked *content* are shown by role and policy only; in those marked *attributes* "
        "single names are. Tables change by migrations that only go forward: read them, and write "
        "through the API.",
        *(_table(table, described[table.name]) for table in tables),
    ]


def _table(table: Table, model: type[Any]) -> str:
    paragraphs = [" ".join(part.split()) for part in str(model.__doc__).split("\n\n")]
    lines = [f"## `{table.name}`", "", "\n\n".join(paragraphs), ""]
    lines += ["| column | PostgreSQL | SQLite | |", "| --- | --- | --- | --- |"]
    for column in table.columns:
        native = column.type.compile(dialect=_POSTGRESQL)
        embedded = column.type.compile(dialect=_SQLITE)
        lines.append(f"| `{column.name}` | {native} | {embedded} | {', '.join(_marks(column))} |")
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    if indexes:
        told = (
            f"`{index.name}` ({', '.join(column.name for column in index.columns)}"
            f"{'; unique' if index.unique else ''}{_rows(index)})"
            for index in indexes
        )
        lines += ["", f"Indexes: {', '.join(told)}."]
    return "\n".join(lines)


def _rows(index: Index) -> str:
    """Say which rows are in an index, if not all are."""
    rows = index.dialect_options["postgresql"]["where"]
    return "" if rows is None else f"; where `{rows}`"


def _marks(column: Any) -> Iterator[str]:
    if column.primary_key:
        yield "key"
    elif not column.nullable:
        yield "always set"
    kind = column.type
    if isinstance(kind, Money):
        yield "US dollars"
    elif isinstance(kind, UtcTime):
        yield "time"
    elif isinstance(kind, _CONTENT):
        yield "*content*"
    elif isinstance(kind, AttributesDocument):
        yield "*attributes*"
    elif isinstance(kind, JSON):
        yield "JSON"
