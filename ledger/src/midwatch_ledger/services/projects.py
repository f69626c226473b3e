"""Projects that have settings of their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from midwatch_ledger.store import projects as store

Record = dict[str, Any]

EVERY_TABLE: Final = "*"
"""In a retention: each table that isn't named."""


def listed(connection: Connection) -> list[Record]:
    """Return all projects in the order of their names."""
    return store.projects(connection)


def put(
    connection: Connection,
    name: str,
    description: str | None,
    retention: Mapping[str, int],
    now: datetime,
) -> Record:
    """Keep a project as it is given now, and return it."""
    return store.keep(
        connection,
        {
            "name": name,
            "description": description,
            "retention": dict(retention),
            "created_at": now,
            "updated_at": now,
        },
    )
