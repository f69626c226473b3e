"""Records that could not be kept where they belong, on disk."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy import delete as delete_from

from midwatch_ledger.models import DeadLetter


def identifiers(connection: Connection) -> list[uuid.UUID]:
    """Return the ids of all dead letters, in the order in which they came."""
    query = select(DeadLetter.id).order_by(DeadLetter.received_at, DeadLetter.id)
    return list(connection.execute(query).scalars())


def overview(connection: Connection) -> list[dict[str, Any]]:
    """Return what all dead letters are, without what they say: in the order in which they came."""
    query = select(
        DeadLetter.id,
        DeadLetter.received_at,
        DeadLetter.signal,
        DeadLetter.reason,
        func.length(DeadLetter.body).label("bytes"),
    ).order_by(DeadLetter.received_at, DeadLetter.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def take(connection: Connection, identifier: uuid.UUID) -> dict[str, Any] | None:
    """Return a dead letter, ours until the transaction ends; None if it is gone."""
    query = select(DeadLetter).where(DeadLetter.id == identifier).with_for_update()
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def delete(connection: Connection, identifier: uuid.UUID) -> None:
    """Delete a dead letter."""
    connection.execute(delete_from(DeadLetter).where(DeadLetter.id == identifier))
