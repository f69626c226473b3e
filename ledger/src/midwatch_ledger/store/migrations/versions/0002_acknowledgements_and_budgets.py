"""What was done about alerts, and how much may be spent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from midwatch_ledger.models.types import Money, UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of acknowledgements and budgets."""
    op.create_table(
        "alert_acknowledgements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("starts_at", UtcTime(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("acted_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_acknowledgements"),
    )
    op.create_index(
        "ix_alert_acknowledgements_fingerprint_starts_at",
        "alert_acknowledgements",
        ["fingerprint", "starts_at"],
        unique=False,
    )
    op.create_table(
        "budgets",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("scope_value", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("amount", Money(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "scope_value", "period", name="pk_budgets"),
    )
