"""Which execution a model call belongs to, where the application says so itself."""

from __future__ import annotations

import uuid
from typing import Any

from midwatch_ledger.services import conventions as names
from midwatch_ledger.services import reading

_NAMESPACE = uuid.UUID("6d696477-6174-4368-8c65-646765720004")


def link_of(named: str) -> uuid.UUID:
    """Return what a call is linked by: the id of an execution, or what stands for another name.

    Applications call executions what they like (`exec_123`); the column has room for an id. The
    same name is always the same id.
    """
    try:
        return uuid.UUID(named)
    except ValueError:
        return uuid.uuid5(_NAMESPACE, named)


def link_in(row: dict[str, Any], found: reading.Attributes) -> dict[str, Any]:
    """Return the row of a call with its link, if the attributes of its span say one.

    The metadata keep what was said: who looks for the place of the call by its trace sees that it
    has one already.
    """
    said = reading.text(found, names.EXECUTION_LOG_ID)
    if said is None:
        return row
    (name,) = names.EXECUTION_LOG_ID
    metadata = {**row["metadata"], name: said}
    return {**row, "execution_log_id": link_of(said), "metadata": metadata}
