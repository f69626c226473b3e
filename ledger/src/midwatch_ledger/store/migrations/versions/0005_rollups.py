"""Sums by minute and hour; executions and model calls name their service for that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from midwatch_ledger.models.types import Money, UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_DIMENSIONS = ("service", "project", "agent", "step", "provider", "model", "status")
_COUNTS = (
    "count",
    "duration_ms",
    "slowest_ms",
    *(f"duration_class_{number}" for number in range(17)),
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "priced",
)
_KEY = ("resolution", "bucket", "kind", *_DIMENSIONS)


def upgrade() -> None:
    """Create the tables; sums of what is there already are made when the ledger runs."""
    for table in ("execution_logs", "llm_call_logs"):
        op.add_column(table, sa.Column("service", sa.Text(), nullable=True))
        op.execute(
            f"UPDATE {table} SET service = (SELECT spans.service FROM spans "  # noqa: S608
            f"WHERE spans.trace_id = {table}.trace_id AND spans.span_id = {table}.span_id)"
        )
    op.create_table(
        "performance_metrics",
        sa.Column("resolution", sa.Text(), nullable=False),
        sa.Column("bucket", UtcTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _DIMENSIONS),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.Column("cost", Money(), nullable=False),
        sa.PrimaryKeyConstraint(*_KEY, name="pk_performance_metrics"),
    )
    op.create_table(
        "stale_minutes",
        sa.Column("minute", UtcTime(), nullable=False),
        sa.Column("mark", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("minute", "mark", name="pk_stale_minutes"),
    )
    _mark_what_is_there()


def _mark_what_is_there() -> None:
    if op.get_bind().dialect.name == "sqlite":
        minute, mark = "start_time / 60000000 * 60000000", "lower(hex(randomblob(16)))"
    else:
        minute, mark = "date_trunc('minute', start_time, 'UTC')", "gen_random_uuid()"
    for table in ("workflow_traces", "execution_logs", "llm_call_logs"):
        op.execute(
            f"INSERT INTO stale_minutes (minute, mark) SELECT minute, {mark} FROM "  # noqa: S608
            f"(SELECT DISTINCT {minute} AS minute FROM {table} WHERE start_time IS NOT NULL) AS m"
        )
