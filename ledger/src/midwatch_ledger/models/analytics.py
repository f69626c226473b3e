"""What is worked out of the record by day, and what guards experiments."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from midwatch_ledger.models.base import Base


class CostDetail(Base):
    """What one session, user or task took and cost on one day (UTC).

    Of each scope the dearest of a day have a row of their own; the subject that is empty is all
    others together, and those that name none.
    """

    __tablename__ = "cost_details"

    day: Mapped[datetime] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    turns: Mapped[int]
    llm_calls: Mapped[int]
    total_tokens: Mapped[int]
    cost: Mapped[Decimal]


class StaleDetail(Base):
    """What is to be worked out anew once it has settled: a minute's flows, a day's costs.

    `what` is minute or day; `since` is when the first change came that is not in it yet.
    """

    __tablename__ = "stale_details"

    what: Mapped[str] = mapped_column(primary_key=True)
    start: Mapped[datetime] = mapped_column(primary_key=True)
    since: Mapped[datetime]


class DailyReport(Base):
    """The report of one day, and whether it was sent.

    `taken_until`: until then one replica is sending it, and no other does.
    """

    __tablename__ = "daily_reports"

    day: Mapped[datetime] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[dict[str, Any]]
    made_at: Mapped[datetime]
    taken_until: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]


class ExperimentGuard(Base):
    """The limits that the variants of a label must keep, beside its control."""

    __tablename__ = "experiments"

    prompt: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True)
    control: Mapped[str]
    limits: Mapped[dict[str, Any]]
    armed: Mapped[bool]
    updated_by: Mapped[str]
    updated_at: Mapped[datetime]
    checked_at: Mapped[datetime | None]
    verdict: Mapped[dict[str, Any] | None]
