"""What tokens cost, by table, version and date; and the jobs that price history anew."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from midwatch_ledger.models.base import Base


class PriceTable(Base):
    """One version of a price table; it never changes.

    It holds from `effective_date` on (the start of that day, UTC), up to the date of the table's
    next version; without a date it holds from the beginning. `prices` are as in a price file, with
    amounts as text: they stay exact.
    """

    __tablename__ = "price_tables"

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    effective_date: Mapped[datetime | None]
    digest: Mapped[str]
    prices: Mapped[list[Any]]
    imported_by: Mapped[str]
    imported_at: Mapped[datetime]


class Repricing(Base):
    """A job that prices the model calls of a period anew, and how far it is.

    The cursor is the last call that is done: whoever goes on begins after it. `state` is one of
    waiting, running, done, failed, cancelled. A dry run changes no call.
    """

    __tablename__ = "repricings"
    __table_args__ = (Index("ix_repricings_state_created_at", "state", "created_at"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    table_name: Mapped[str]
    table_version: Mapped[str | None]
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]
    provider: Mapped[str | None]
    model: Mapped[str | None]
    project: Mapped[str | None]
    dry_run: Mapped[bool]
    state: Mapped[str]
    cursor_time: Mapped[datetime | None]
    cursor_id: Mapped[uuid.UUID | None]
    calls: Mapped[int]
    changed: Mapped[int]
    unmatched: Mapped[int]
    cost_before: Mapped[Decimal]
    cost_after: Mapped[Decimal]
    by_model: Mapped[list[Any]]
    error: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
