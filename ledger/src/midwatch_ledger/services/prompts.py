"""The registry of prompts: versions that never change, labels that move, and their history.

What a prompt is, and what a label may stand for, is the shim's to say: it renders them.
"""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from midwatch.prompts.definitions import NAME, NAME_RULE, define
from midwatch.prompts.errors import PromptDefinitionError
from midwatch.prompts.labels import Assignment, assignment
from sqlalchemy import Connection

from midwatch_ledger.store import prompts as store

Record = dict[str, Any]


class PromptInvalidError(Exception):
    """What was given can't be a prompt, a version or a label; `problems` says everything."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class UnknownPromptError(Exception):
    """There is no such prompt, version or label; the text says which."""


class VersionTakenError(Exception):
    """The version exists and says something else."""


@dataclass(frozen=True)
class Change:
    """Who changes something, why, and when."""

    by: str
    at: datetime
    note: str | None = None


def create(connection: Connection, name: str, description: str | None, change: Change) -> Record:
    """Add a prompt; one that exists stays as it is.

    Raises:
        PromptInvalidError: the name can't be one.
    """
    if not NAME.match(name):
        raise PromptInvalidError([f"name {name!r}: needs {NAME_RULE}"])
    store.add_prompt(
        connection,
        {
            "name": name,
            "description": description,
            "created_by": change.by,
            "created_at": change.at,
        },
    )
    return find(connection, name)


def listed(
    connection: Connection, name: str | None, *, limit: int, offset: int = 0
) -> list[Record]:
    """Return prompts with their labels and every version that a label names."""
    found = store.prompts(connection, name, limit, offset)
    labels: dict[str, dict[str, Any]] = {row["name"]: {} for row in found}
    for one in store.labels(connection, list(labels)):
        labels[one["prompt"]][one["label"]] = one["assignment"]
    wanted = {
        (prompt, wanted_version)
        for prompt, given in labels.items()
        for label, assigned in given.items()
        for wanted_version in _read(prompt, label, assigned).versions
    }
    versions_of: dict[str, list[Record]] = {prompt: [] for prompt in labels}
    for one in store.versions_named(connection, wanted):
        versions_of[one["prompt"]].append(_version(one))
    return [
        {**row, "labels": labels[row["name"]], "versions": versions_of[row["name"]]}
        for row in found
    ]


def find(connection: Connection, name: str) -> Record:
    """Return a prompt with its labels and every version that a label names.

    Raises:
        UnknownPromptError: there is none.
    """
    found = listed(connection, name, limit=1)
    if not found:
        raise _unknown(name)
    return found[0]


def versions(connection: Connection, name: str) -> list[Record]:
    """Return all versions of a prompt, the newest first.

    Raises:
        UnknownPromptError: there is no such prompt.
    """
    find(connection, name)
    return [_version(row) for row in store.versions(connection, name)]


def version(connection: Connection, name: str, wanted: str) -> Record:
    """Return one version of a prompt.

    Raises:
        UnknownPromptError: there is none.
    """
    found = store.versions_named(connection, [(name, wanted)])
    if not found:
        raise UnknownPromptError(f"prompt {name!r} has no version {wanted!r}")
    return _version(found[0])


def add_version(
    connection: Connection, name: str, wanted: str, definition: Mapping[str, Any], change: Change
) -> Record:
    """Add a version. The same version with the same definition may be added again.

    Raises:
        PromptInvalidError: the definition is not one.
        UnknownPromptError: there is no such prompt.
        VersionTakenError: the version has another definition.
    """
    try:
        define(name, wanted, definition, source="ledger")
    except PromptDefinitionError as error:
        raise PromptInvalidError(list(error.problems)) from None
    _locked(connection, name)
    present = store.versions_named(connection, [(name, wanted)])
    if present:
        if present[0]["definition"] != dict(definition):
            raise VersionTakenError
        return _version(present[0])
    row = {
        "prompt": name,
        "version": wanted,
        "definition": dict(definition),
        "message": change.note,
        "created_by": change.by,
        "created_at": change.at,
    }
    store.add_version(connection, row)
    return _version(row)


def difference(connection: Connection, name: str, old: str, new: str) -> str:
    """Return how two versions differ, line by line, in the form of `diff -u`.

    Raises:
        UnknownPromptError: one of them doesn't exist.
    """
    before = _readable(version(connection, name, old))
    after = _readable(version(connection, name, new))
    return "\n".join(
        difflib.unified_diff(before, after, f"{name} {old}", f"{name} {new}", lineterm="")
    )


def assign(connection: Connection, name: str, label: str, wanted: object, change: Change) -> Record:
    """Have a label stand for a version or an experiment from now on.

    What it stands for already changes nothing.

    Raises:
        PromptInvalidError: the label or the assignment is not one, or names no version there is.
        UnknownPromptError: there is no such prompt.
    """
    _locked(connection, name)
    if not NAME.match(label):
        raise PromptInvalidError([f"label {label!r}: needs {NAME_RULE}"])
    read, problems = assignment(name, label, wanted)
    if read is None:
        raise PromptInvalidError(problems)
    named = [(name, wanted_version) for wanted_version in read.versions]
    known = {row["version"] for row in store.versions_named(connection, named)}
    missing = sorted(set(read.versions) - known)
    if missing:
        raise PromptInvalidError(
            [f"prompt {name!r} has no version {', '.join(missing)}; add it before labelling it"]
        )
    return _move(connection, name, label, wanted, change)


def roll_back(connection: Connection, name: str, label: str, change: Change) -> Record:
    """Have a label stand again for what it stood for before its last change.

    Raises:
        UnknownPromptError: there is no such prompt or label, or nothing to go back to.
    """
    _locked(connection, name)
    changes = history(connection, name, label)
    if len(changes) < 2:
        raise UnknownPromptError(
            f"label {label!r} of prompt {name!r} has stood for one thing only; there is nothing "
            "to go back to"
        )
    return _move(connection, name, label, changes[1]["assignment"], change)


def history(connection: Connection, name: str, label: str) -> list[Record]:
    """Return what a label stood for, who changed it and why, the newest first.

    Raises:
        UnknownPromptError: there is no such label.
    """
    changes = store.label_changes(connection, name, label)
    if not changes:
        raise UnknownPromptError(f"prompt {name!r} has no label {label!r}")
    return changes


def _move(connection: Connection, name: str, label: str, wanted: object, change: Change) -> Record:
    changes = store.label_changes(connection, name, label)
    if changes and changes[0]["assignment"] == wanted:
        return changes[0]
    row = {
        "id": uuid.uuid4(),
        "prompt": name,
        "label": label,
        "number": changes[0]["number"] + 1 if changes else 1,
        "assignment": wanted,
        "note": change.note,
        "changed_by": change.by,
        "changed_at": change.at,
    }
    store.add_label_change(connection, row)
    return row


def _locked(connection: Connection, name: str) -> None:
    if store.lock(connection, name) is None:
        raise _unknown(name)


def _unknown(name: str) -> UnknownPromptError:
    return UnknownPromptError(f"no prompt {name!r}; create it with POST /prompts")


def _read(name: str, label: str, given: object) -> Assignment:
    read, problems = assignment(name, label, given)
    if read is None:
        raise PromptInvalidError(problems)
    return read


def _version(row: Record) -> Record:
    return {
        **row["definition"],
        "prompt": row["prompt"],
        "version": row["version"],
        "message": row["message"],
        "created_by": row["created_by"],
        "created_at": row["created_at"],
    }


def _readable(found: Record) -> list[str]:
    """Return a version as lines that a person can compare."""
    lines: list[str] = []
    for name in ("type", "description", "variables", "config"):
        if found.get(name):
            text = orjson.dumps(found[name], option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
            lines += f"{name}: {text.decode()}".splitlines()
    lines += str(found.get("template") or "").splitlines()
    for message in found.get("messages") or ():
        lines += [f"[{message['role']}]", *message["content"].splitlines()]
    return lines
