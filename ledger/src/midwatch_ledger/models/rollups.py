"""Sums by minute and hour, so that no page has to read every row."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Table, Text
from sqlalchemy.orm import Mapped, mapped_column

from midwatch_ledger.models.base import Base
from midwatch_ledger.models.types import Money, UtcTime

DURATION_BOUNDS_MS = (
    *(5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000),
    *(30_000, 60_000, 120_000, 300_000, 600_000),
)
"""Upper bounds, inclusive, of the classes that durations are counted by."""

DURATION_CLASSES = tuple(f"duration_class_{n}" for n in range(len(DURATION_BOUNDS_MS) + 1))
"""The columns that count them; the last is for what took longer than every bound."""

DIMENSIONS = (
    *("kind", "service", "project", "agent", "step", "provider", "model", "status"),
    *("service_version", "target", "prompt", "prompt_version", "label", "variant"),
)
TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
SUMS = ("count", "duration_ms", *DURATION_CLASSES, *TOKENS, "cost", "priced")
"""The columns that are added up."""

KINDS = (
    *("trace", "execution", "llm_call"),
    *("flow", "transition", "event", "outcome", "feedback"),
    *("prompt_turn", "prompt_outcome", "prompt_feedback"),
)
"""What is counted: rows, and the details that are worked out once a minute has settled."""

# The kind before the time: who asks for a month of one kind doesn't read the others.
_KEY = ("resolution", "kind", "bucket", *DIMENSIONS[1:])


class PerformanceMetric(Base):
    """What began in one minute or hour, summed up by what it was.

    `kind` is one of the above. A dimension that a kind doesn't have, or that a row left
    open, is empty. `priced` is how many of the `count` have a cost. `fastest_ms` is NULL in sums
    from before it was kept, of rows that were gone by then. The columns are made from the lists
    above: a query sums them up by the same lists.
    """

    __table__ = Table(
        "performance_metrics",
        Base.metadata,
        Column("resolution", Text(), nullable=False),
        Column("bucket", UtcTime(), nullable=False),
        *(Column(name, Text(), nullable=False) for name in DIMENSIONS),
        *(Column(name, BigInteger(), nullable=False) for name in SUMS if name != "cost"),
        Column("cost", Money(), nullable=False),
        Column("fastest_ms", BigInteger(), nullable=True),
        Column("slowest_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint(*_KEY),
    )


class StaleMinute(Base):
    """A minute whose sums are to be made anew; each writer marks for itself.

    So that a mark set while the sums are being made outlives the marks that caused it.
    """

    __tablename__ = "stale_minutes"

    minute: Mapped[datetime] = mapped_column(primary_key=True)
    mark: Mapped[uuid.UUID] = mapped_column(primary_key=True)
