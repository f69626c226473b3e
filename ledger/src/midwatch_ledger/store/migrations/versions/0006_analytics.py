"""Versions, prompts and users in rows and sums; costs by day, daily reports, experiments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from midwatch_ledger.models.types import JsonDocument, Money, UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OLD_DIMENSIONS = ("service", "project", "agent", "step", "provider", "model", "status")
_NEW_DIMENSIONS = ("service_version", "target", "prompt", "prompt_version", "label", "variant")
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
_OLD_KEY = ("resolution", "bucket", "kind", *_OLD_DIMENSIONS)
# The kind before the time: who asks for a month of one kind doesn't read the others.
_KEY = ("resolution", "kind", "bucket", *_OLD_DIMENSIONS, *_NEW_DIMENSIONS)
_ADDED = {
    "spans": ("user_hash", "service_version"),
    "workflow_traces": ("user_hash", "service_version"),
    "execution_logs": ("service_version",),
    "llm_call_logs": ("service_version", "prompt_label", "prompt_variant"),
}


def upgrade() -> None:
    """Add what rows and sums can be told apart by; sums are made anew when the ledger runs."""
    for table, names in _ADDED.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.Text(), nullable=True))
    _fill()
    op.create_index(
        "ix_workflow_traces_user_hash_start_time", "workflow_traces", ["user_hash", "start_time"]
    )
    if op.get_bind().dialect.name == "sqlite":
        _widen_sums_of_sqlite()
    else:
        _widen_sums()
    _mark_what_is_there()
    _create_tables()


def _fill() -> None:
    """Have what is there say of itself what new rows say."""
    sqlite = op.get_bind().dialect.name == "sqlite"

    def of(column: str, name: str) -> str:
        return f"json_extract({column}, '$.\"{name}\"')" if sqlite else f"{column} ->> '{name}'"

    version = of("resources.attributes", "service.version")
    op.execute(
        f"UPDATE spans SET user_hash = {of('attributes', 'user.hash')}, "  # noqa: S608
        f"service_version = (SELECT {version} FROM resources WHERE resources.id = resource_id)"
    )
    for table in ("execution_logs", "llm_call_logs"):
        op.execute(
            f"UPDATE {table} SET service_version = (SELECT spans.service_version FROM spans "  # noqa: S608
            f"WHERE spans.trace_id = {table}.trace_id AND spans.span_id = {table}.span_id)"
        )
    op.execute(
        f"UPDATE llm_call_logs SET prompt_label = {of('metadata', 'midwatch.prompt.label')}, "  # noqa: S608
        f"prompt_variant = {of('metadata', 'midwatch.prompt.variant')}"
    )
    for name in ("user_hash", "service_version"):
        op.execute(
            f"UPDATE workflow_traces SET {name} = (SELECT max(spans.{name}) FROM spans "  # noqa: S608
            "WHERE spans.trace_id = workflow_traces.trace_id)"
        )


def _widen_sums() -> None:
    for name in _NEW_DIMENSIONS:
        op.execute(f"ALTER TABLE performance_metrics ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")
        op.execute(f"ALTER TABLE performance_metrics ALTER COLUMN {name} DROP DEFAULT")
    op.drop_constraint("pk_performance_metrics", "performance_metrics")
    op.create_primary_key("pk_performance_metrics", "performance_metrics", list(_KEY))


def _widen_sums_of_sqlite() -> None:
    """SQLite can't change a primary key: the sums move to a new table."""
    op.create_table(
        "performance_metrics_wider",
        sa.Column("resolution", sa.Text(), nullable=False),
        sa.Column("bucket", UtcTime(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", *_KEY[3:])),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.Column("cost", Money(), nullable=False),
        sa.PrimaryKeyConstraint(*_KEY, name="pk_performance_metrics"),
    )
    kept = ", ".join((*_OLD_KEY, *_COUNTS, "cost"))
    empty = ", ".join(["''"] * len(_NEW_DIMENSIONS))
    op.execute(
        f"INSERT INTO performance_metrics_wider ({kept}, {', '.join(_NEW_DIMENSIONS)}) "  # noqa: S608
        f"SELECT {kept}, {empty} FROM performance_metrics"
    )
    op.drop_table("performance_metrics")
    op.rename_table("performance_metrics_wider", "performance_metrics")


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


def _create_tables() -> None:
    op.create_table(
        "cost_details",
        sa.Column("day", UtcTime(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("turns", sa.BigInteger(), nullable=False),
        sa.Column("llm_calls", sa.BigInteger(), nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost", Money(), nullable=False),
        sa.PrimaryKeyConstraint("day", "scope", "project", "subject", name="pk_cost_details"),
    )
    op.create_table(
        "stale_details",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("start", UtcTime(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("what", "start", name="pk_stale_details"),
    )
    op.create_table(
        "daily_reports",
        sa.Column("day", UtcTime(), autoincrement=False, nullable=False),
        sa.Column("content", JsonDocument, nullable=False),
        sa.Column("made_at", UtcTime(), nullable=False),
        sa.Column("taken_until", UtcTime(), nullable=True),
        sa.Column("sent_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("day", name="pk_daily_reports"),
    )
    op.create_table(
        "experiments",
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("control", sa.Text(), nullable=False),
        sa.Column("limits", JsonDocument, nullable=False),
        sa.Column("armed", sa.Boolean(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("checked_at", UtcTime(), nullable=True),
        sa.Column("verdict", JsonDocument, nullable=True),
        sa.PrimaryKeyConstraint("prompt", "label", name="pk_experiments"),
    )
