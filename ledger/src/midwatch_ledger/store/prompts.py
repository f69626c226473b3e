"""Prompts on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, func, insert, select, tuple_

from midwatch_ledger.models import Prompt, PromptLabel, PromptVersion
from midwatch_ledger.store.among import among
from midwatch_ledger.store.writing import insert_new

Record = dict[str, Any]


def lock(connection: Connection, name: str) -> Record | None:
    """Return a prompt and let no other transaction change it; None if there is none."""
    # SQLite's write lock holds already, and it has no FOR UPDATE: SQLAlchemy leaves it out there.
    return _first(connection, select(Prompt).where(Prompt.name == name).with_for_update())


def prompts(connection: Connection, name: str | None, limit: int, offset: int) -> list[Record]:
    """Return prompts in the order of their names."""
    query = select(Prompt).order_by(Prompt.name).limit(limit).offset(offset)
    return _all(connection, query if name is None else query.where(Prompt.name == name))


def add_prompt(connection: Connection, row: Record) -> None:
    """Add a prompt unless there is one of that name."""
    insert_new(connection, Prompt, [row])


def versions(connection: Connection, name: str) -> list[Record]:
    """Return all versions of a prompt, the newest first."""
    return _all(
        connection,
        select(PromptVersion)
        .where(PromptVersion.prompt == name)
        .order_by(PromptVersion.created_at.desc(), PromptVersion.version.desc()),
    )


def versions_named(connection: Connection, wanted: Iterable[tuple[str, str]]) -> list[Record]:
    """Return those versions that there are of the wanted, each a prompt and its version."""
    named = tuple_(PromptVersion.prompt, PromptVersion.version)
    query = select(PromptVersion).where(named.in_(sorted(wanted)))
    return _all(connection, query.order_by(PromptVersion.prompt, PromptVersion.version))


def add_version(connection: Connection, row: Record) -> None:
    """Add a version."""
    connection.execute(insert(PromptVersion), [row])


def labels(connection: Connection, names: Sequence[str]) -> list[Record]:
    """Return what each label of these prompts stands for now."""
    newest = (
        select(PromptLabel.prompt, PromptLabel.label, func.max(PromptLabel.number).label("number"))
        .where(among(connection, PromptLabel.prompt, names))
        .group_by(PromptLabel.prompt, PromptLabel.label)
        .subquery()
    )
    same = (getattr(PromptLabel, one.name) == one for one in newest.c)
    query = select(PromptLabel).join(newest, and_(*same))
    return _all(connection, query.order_by(PromptLabel.prompt, PromptLabel.label))


def label_changes(connection: Connection, name: str, label: str) -> list[Record]:
    """Return what a label stood for, the newest first."""
    return _all(
        connection,
        select(PromptLabel)
        .where(PromptLabel.prompt == name, PromptLabel.label == label)
        .order_by(PromptLabel.number.desc()),
    )


def add_label_change(connection: Connection, row: Record) -> None:
    """Have a label stand for something else from now on."""
    connection.execute(insert(PromptLabel), [row])


def _all(connection: Connection, query: Select[Any]) -> list[Record]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _first(connection: Connection, query: Select[Any]) -> Record | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)
