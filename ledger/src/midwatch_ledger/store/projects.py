"""Projects on disk."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from midwatch_ledger.models import Project
from midwatch_ledger.store.writing import insert_new

Record = dict[str, Any]


def projects(connection: Connection) -> list[Record]:
    """Return all projects in the order of their names."""
    query = select(Project).order_by(Project.name)
    return [dict(row) for row in connection.execute(query).mappings()]


def keep(connection: Connection, row: Record) -> Record:
    """Add a project or change it; return it as it is now."""
    insert_new(connection, Project, [row])
    changed = {name: value for name, value in row.items() if name not in ("name", "created_at")}
    connection.execute(update(Project).where(Project.name == row["name"]).values(**changed))
    query = select(Project).where(Project.name == row["name"])
    return dict(connection.execute(query).mappings().one())
