"""Alertmanager's notifications into the alert history."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from midwatch_ledger.models import AlertHistory
from midwatch_ledger.store import live, writing

_NAMESPACE = uuid.UUID("6d696477-6174-4368-8c65-646765720002")
# Alertmanager writes "no end yet" as Go's zero time.
_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class AlertState:
    """One alert of a notification."""

    status: str
    fingerprint: str
    starts_at: datetime
    ends_at: datetime | None
    labels: dict[str, str]
    annotations: dict[str, str]
    generator_url: str | None


@dataclass(frozen=True)
class Notification:
    """What Alertmanager's webhook sends."""

    receiver: str | None
    group_key: str | None
    external_url: str | None
    alerts: Sequence[AlertState]


def record(connection: Connection, notification: Notification, now: datetime) -> None:
    """Write the alerts; one that is known in this state (it is repeated) stays as it was."""
    rows = {
        row["id"]: row for row in (_row(alert, notification, now) for alert in notification.alerts)
    }
    writing.insert_new(connection, AlertHistory, [rows[key] for key in sorted(rows)])
    live.announce(connection, "alerts", sorted(rows), now)


def _row(alert: AlertState, notification: Notification, now: datetime) -> dict[str, Any]:
    start = alert.starts_at.astimezone(UTC)
    identity = f"{alert.fingerprint}:{start.isoformat()}:{alert.status}"
    return {
        "id": uuid.uuid5(_NAMESPACE, identity),
        "fingerprint": alert.fingerprint,
        "alert_name": alert.labels.get("alertname", "unknown"),
        "severity": alert.labels.get("severity"),
        "status": alert.status,
        "starts_at": start,
        "ends_at": alert.ends_at if alert.ends_at and alert.ends_at > _NO_TIME else None,
        "labels": alert.labels,
        "annotations": alert.annotations,
        "generator_url": alert.generator_url,
        "receiver": notification.receiver,
        "group_key": notification.group_key,
        "external_url": notification.external_url,
        "received_at": now,
    }
