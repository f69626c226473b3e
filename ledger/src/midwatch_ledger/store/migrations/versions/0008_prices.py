"""Price tables with versions, jobs that price history anew, and the price of each call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from midwatch_ledger.models.types import JsonDocument, Money, UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PRICE_OF_A_CALL = {
    "price_table": "midwatch.llm.price.table",
    "price_version": "midwatch.llm.price.version",
    "price_effective_date": "midwatch.llm.price.effective_date",
}


def upgrade() -> None:
    """Add the tables, and say of each call which price it has, as its span told."""
    for column in _PRICE_OF_A_CALL:
        op.add_column("llm_call_logs", sa.Column(column, sa.Text(), nullable=True))
    _fill()
    op.create_table(
        "price_tables",
        *_texts("name", "version"),
        sa.Column("effective_date", UtcTime(), nullable=True),
        *_texts("digest"),
        sa.Column("prices", JsonDocument, nullable=False),
        *_texts("imported_by"),
        sa.Column("imported_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name="pk_price_tables"),
    )
    _create_repricings()


def _fill() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    told = {
        column: f"json_extract(metadata, '$.\"{name}\"')" if sqlite else f"metadata ->> '{name}'"
        for column, name in _PRICE_OF_A_CALL.items()
    }
    values = ", ".join(f"{column} = {value}" for column, value in told.items())
    op.execute(
        f"UPDATE llm_call_logs SET {values} WHERE {told['price_table']} IS NOT NULL"  # noqa: S608
    )


def _create_repricings() -> None:
    op.create_table(
        "repricings",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_texts("table_name"),
        *_optional_texts("table_version"),
        sa.Column("period_start", UtcTime(), nullable=False),
        sa.Column("period_end", UtcTime(), nullable=False),
        *_optional_texts("provider", "model", "project"),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        *_texts("state"),
        sa.Column("cursor_time", UtcTime(), nullable=True),
        sa.Column("cursor_id", sa.Uuid(), nullable=True),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("calls", "changed", "unmatched")
        ),
        *(sa.Column(name, Money(), nullable=False) for name in ("cost_before", "cost_after")),
        sa.Column("by_model", JsonDocument, nullable=False),
        *_optional_texts("error"),
        *_texts("created_by"),
        *(sa.Column(name, UtcTime(), nullable=False) for name in ("created_at", "updated_at")),
        sa.Column("finished_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_repricings"),
    )
    op.create_index("ix_repricings_state_created_at", "repricings", ["state", "created_at"])


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _optional_texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=True) for name in names]
