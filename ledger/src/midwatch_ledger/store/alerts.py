"""Reading alerts by what identifies them, and what was done about them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, exists, insert, or_, select
from sqlalchemy.orm import aliased

from midwatch_ledger.models import AlertAction, AlertHistory

Record = dict[str, Any]


def find(connection: Connection, identifier: str) -> Record | None:
    """Return the newest state of an alert, by the id of one of its states or its fingerprint."""
    try:
        known = select(AlertHistory.fingerprint, AlertHistory.starts_at).where(
            AlertHistory.id == uuid.UUID(identifier)
        )
    except ValueError:
        known = (
            select(AlertHistory.fingerprint, AlertHistory.starts_at)
            .where(AlertHistory.fingerprint == identifier)
            .order_by(AlertHistory.starts_at.desc())
            .limit(1)
        )
    row = connection.execute(known).first()
    if row is None:
        return None
    # "resolved" sorts after "firing": the state that an alert ends in.
    states = (
        select(AlertHistory)
        .where(AlertHistory.fingerprint == row.fingerprint, AlertHistory.starts_at == row.starts_at)
        .order_by(AlertHistory.status.desc())
        .limit(1)
    )
    return _records(connection, states)[0]


def open_since(connection: Connection, since: datetime) -> list[Record]:
    """Return what has fired since then and, as far as is known, still does."""
    later = aliased(AlertHistory)
    over = exists().where(
        later.fingerprint == AlertHistory.fingerprint,
        or_(
            later.starts_at > AlertHistory.starts_at,
            and_(later.starts_at == AlertHistory.starts_at, later.status == "resolved"),
        ),
    )
    return _records(
        connection,
        select(AlertHistory)
        .where(AlertHistory.status == "firing", AlertHistory.starts_at >= since, ~over)
        .order_by(AlertHistory.starts_at, AlertHistory.id),
    )


def actions_of(connection: Connection, fingerprint: str, starts_at: datetime) -> list[Record]:
    """Return what was done about one firing, in order."""
    return _records(
        connection,
        select(AlertAction)
        .where(AlertAction.fingerprint == fingerprint, AlertAction.starts_at == starts_at)
        .order_by(AlertAction.acted_at, AlertAction.id),
    )


def add_action(connection: Connection, row: Record) -> None:
    """Add what somebody did."""
    connection.execute(insert(AlertAction), [row])


def _records(connection: Connection, query: Select[Any]) -> list[Record]:
    return [dict(row) for row in connection.execute(query).mappings()]
