"""What Alertmanager told the ledger."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from midwatch_ledger.models.base import Base


class AlertHistory(Base):
    """One alert in one state. The same alert fires and resolves as two rows."""

    __tablename__ = "alert_history"
    __table_args__ = (
        Index("ix_alert_history_starts_at", "starts_at"),
        Index("ix_alert_history_fingerprint_starts_at", "fingerprint", "starts_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    alert_name: Mapped[str]
    severity: Mapped[str | None]
    status: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    labels: Mapped[dict[str, Any]]
    annotations: Mapped[dict[str, Any]]
    generator_url: Mapped[str | None]
    receiver: Mapped[str | None]
    group_key: Mapped[str | None]
    external_url: Mapped[str | None]
    received_at: Mapped[datetime]


class AlertAction(Base):
    """What somebody did about one firing of an alert: acknowledged it, took that back, noted.

    Rows are only added; the newest acknowledgement or withdrawal is what holds.
    """

    __tablename__ = "alert_acknowledgements"
    __table_args__ = (
        Index("ix_alert_acknowledgements_fingerprint_starts_at", "fingerprint", "starts_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    starts_at: Mapped[datetime]
    action: Mapped[str]
    actor: Mapped[str]
    note: Mapped[str | None]
    acted_at: Mapped[datetime]
