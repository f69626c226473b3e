"""Price tables: imported once, never changed, in force from their date on."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from sqlalchemy import Connection

from midwatch_ledger.services.price_documents import PriceDocument, digest_of, plain_prices
from midwatch_ledger.store import prices as store

Record = dict[str, Any]
_DIGITS = 19


class VersionTakenError(Exception):
    """There is a version of this name already, and it says something else."""

    def __init__(self, name: str, version: str) -> None:
        super().__init__(
            f"table {name!r} has a version {version!r} that says something else, and versions "
            "never change: give this one another version"
        )


def import_table(
    connection: Connection, name: str, document: PriceDocument, by: str, now: datetime
) -> tuple[Record, bool]:
    """Keep a version of a table; return it, and whether it is new. Again is no change.

    Raises:
        VersionTakenError: the version is there and says something else.
    """
    digest = digest_of(document)
    version = document.version or digest[:_DIGITS]
    known = store.find(connection, name, version) is not None
    since = document.effective_date
    kept = store.add(
        connection,
        {
            "name": name,
            "version": version,
            "effective_date": None if since is None else datetime.combine(since, time(), UTC),
            "digest": digest,
            "prices": plain_prices(document),
            "imported_by": by,
            "imported_at": now,
        },
    )
    if kept["digest"] != digest:
        raise VersionTakenError(name, version)
    return kept, not known


def shown(row: Record) -> Record:
    """Return a version as it is answered: the date as a date, not as a moment."""
    since = row["effective_date"]
    answer = {name: value for name, value in row.items() if name != "digest"}
    return {**answer, "effective_date": None if since is None else since.date().isoformat()}
