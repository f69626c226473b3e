"""Sums by minute and hour, so that no page has to read every row."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from midwatch_ledger.models.base import Base


class PerformanceMetric(Base):
    """What began in one minute or hour, summed up by what it was.

    `kind` is trace, execution or llm_call. A dimension that a kind doesn't have, or that a row left
    open, is empty. `durations` counts by `store.rollups.DURATION_BOUNDS_MS`, the last for what took
    longer. `priced` is how many of the `count` have a cost.
    """

    __tablename__ = "performance_metrics"

    resolution: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[datetime] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    service: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(primary_key=True)
    agent: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    duration_ms: Mapped[int]
    slowest_ms: Mapped[int]
    durations: Mapped[list[Any]]
    input_tokens: Mapped[int]
    output_tokens: Mapped[int]
    cache_read_tokens: Mapped[int]
    cache_write_tokens: Mapped[int]
    reasoning_tokens: Mapped[int]
    cost: Mapped[Decimal]
    priced: Mapped[int]


class StaleMinute(Base):
    """A minute whose sums are to be made anew; each writer marks for itself.

    So that a mark set while the sums are being made outlives the marks that caused it.
    """

    __tablename__ = "stale_minutes"

    minute: Mapped[datetime] = mapped_column(primary_key=True)
    mark: Mapped[uuid.UUID] = mapped_column(primary_key=True)
