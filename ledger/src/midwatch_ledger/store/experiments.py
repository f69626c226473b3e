"""Experiments on disk: the label changes that began them, and their guards."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from midwatch_ledger.models import ExperimentGuard, PromptLabel

Record = dict[str, Any]


def label_changes(connection: Connection, limit: int) -> list[Record]:
    """Return the changes of all labels, the newest of each label first."""
    return _all(
        connection,
        select(PromptLabel)
        .order_by(PromptLabel.prompt, PromptLabel.label, PromptLabel.number.desc())
        .limit(limit),
    )


def guards(connection: Connection) -> list[Record]:
    """Return all guards."""
    query = select(ExperimentGuard).order_by(ExperimentGuard.prompt, ExperimentGuard.label)
    return _all(connection, query)


def guard(connection: Connection, prompt: str, label: str, *, lock: bool = False) -> Record | None:
    """Return the guard of a label; with `lock` nobody else changes it meanwhile."""
    query = select(ExperimentGuard).where(*_key(prompt, label))
    # SQLite's write lock holds already, and it has no FOR UPDATE: SQLAlchemy leaves it out there.
    found = _all(connection, query.with_for_update() if lock else query)
    return found[0] if found else None


def set_guard(connection: Connection, row: Record) -> None:
    """Have the label be guarded like this."""
    remove_guard(connection, row["prompt"], row["label"])
    connection.execute(insert(ExperimentGuard), [row])


def update_guard(connection: Connection, prompt: str, label: str, **values: Any) -> None:
    """Change columns of a guard."""
    connection.execute(update(ExperimentGuard).where(*_key(prompt, label)).values(**values))


def remove_guard(connection: Connection, prompt: str, label: str) -> bool:
    """Take the guard of a label away; return whether there was one."""
    removed = connection.execute(delete(ExperimentGuard).where(*_key(prompt, label)))
    return bool(removed.rowcount)


def _key(prompt: str, label: str) -> tuple[Any, Any]:
    return ExperimentGuard.prompt == prompt, ExperimentGuard.label == label


def _all(connection: Connection, query: Select[Any]) -> list[Record]:
    return [dict(row) for row in connection.execute(query).mappings()]
