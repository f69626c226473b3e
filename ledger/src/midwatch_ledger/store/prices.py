"""Price tables on disk."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from midwatch_ledger.models import PriceTable
from midwatch_ledger.store.writing import insert_new

Record = dict[str, Any]


def add(connection: Connection, row: Record) -> Record:
    """Keep a version, if there is none of its name yet; return the one that is kept."""
    insert_new(connection, PriceTable, [row])
    kept = find(connection, row["name"], row["version"])
    assert kept is not None  # noqa: S101 -- it was there, or is now
    return kept


def find(connection: Connection, name: str, version: str) -> Record | None:
    """Return one version of a table."""
    query = select(PriceTable).where(PriceTable.name == name, PriceTable.version == version)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def versions(connection: Connection, name: str) -> list[Record]:
    """Return all versions of a table in the order in which they take effect."""
    rows = connection.execute(select(PriceTable).where(PriceTable.name == name)).mappings()
    return sorted(
        (dict(row) for row in rows),
        # Of two that begin on the same day, the one that was imported later corrects the other.
        key=lambda row: (
            row["effective_date"] is not None,
            row["effective_date"] or row["imported_at"],
            row["imported_at"],
            row["version"],
        ),
    )


def tables(connection: Connection, limit: int, offset: int) -> list[Record]:
    """Return all versions of all tables without their prices, by name, the newest first."""
    columns = [column for column in PriceTable.__table__.c if column.name != "prices"]
    query = (
        select(*columns)
        .order_by(
            PriceTable.name,
            func.coalesce(PriceTable.effective_date, PriceTable.imported_at).desc(),
            PriceTable.version,
        )
        .limit(limit)
        .offset(offset)
    )
    return [dict(row) for row in connection.execute(query).mappings()]
