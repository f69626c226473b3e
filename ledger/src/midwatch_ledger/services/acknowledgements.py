"""Who has taken an alert on, and which alerts nobody has."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection

from midwatch_ledger.store import alerts as store
from midwatch_ledger.store import live

ActionName = Literal["acknowledge", "withdraw", "note"]

_OPEN_FOR = timedelta(days=7)
"""What fired longer ago and was never told resolved is forgotten, not open."""


class AlertResolvedError(Exception):
    """The alert is over: there is nothing to acknowledge."""


@dataclass(frozen=True)
class Action:
    """What somebody does about an alert."""

    name: ActionName
    actor: str
    note: str | None = None


def find(connection: Connection, identifier: str) -> dict[str, Any] | None:
    """Return an alert with what was done about it, by a state's id or by its fingerprint."""
    alert = store.find(connection, identifier)
    return None if alert is None else with_actions(connection, alert)


def act(
    connection: Connection, identifier: str, action: Action, now: datetime
) -> dict[str, Any] | None:
    """Do something about an alert and return it; None if there is no such alert.

    To acknowledge again without a note what is acknowledged changes nothing.

    Raises:
        AlertResolvedError: it is acknowledged after its end.
    """
    alert = find(connection, identifier)
    if alert is None:
        return None
    if action.name == "acknowledge" and alert["status"] == "resolved":
        raise AlertResolvedError
    if _changes_nothing(alert, action):
        return alert
    store.add_action(
        connection,
        {
            "id": uuid.uuid4(),
            "fingerprint": alert["fingerprint"],
            "starts_at": alert["starts_at"],
            "action": action.name,
            "actor": action.actor,
            "note": action.note,
            "acted_at": now,
        },
    )
    live.announce(connection, "alerts", [alert["id"]], now)
    return with_actions(connection, alert)


def unacknowledged(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    """Return the alerts that fire and that nobody has taken on."""
    return [
        alert
        for alert in store.open_since(connection, now - _OPEN_FOR)
        if _holder(store.actions_of(connection, alert["fingerprint"], alert["starts_at"])) is None
    ]


def _changes_nothing(alert: dict[str, Any], action: Action) -> bool:
    acknowledged = alert["acknowledged_by"] is not None
    if action.name == "acknowledge":
        return acknowledged and action.note is None
    return action.name == "withdraw" and not acknowledged


def with_actions(connection: Connection, alert: dict[str, Any]) -> dict[str, Any]:
    """Return one state of an alert with what was done about it."""
    actions = store.actions_of(connection, alert["fingerprint"], alert["starts_at"])
    holder = _holder(actions)
    return {
        **alert,
        "acknowledged_by": holder and holder["actor"],
        "acknowledged_at": holder and holder["acted_at"],
        "actions": actions,
    }


def _holder(actions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the acknowledgement that holds."""
    holder = None
    for action in actions:
        if action["action"] == "acknowledge":
            holder = holder or action
        elif action["action"] == "withdraw":
            holder = None
    return holder
