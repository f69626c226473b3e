"""Feedback and its review."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from midwatch_ledger.models.types import JsonDocument, UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of feedback."""
    op.create_table(
        "feedback",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("labels", JsonDocument, nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("given_by", sa.Text(), nullable=True),
        sa.Column("given_at", UtcTime(), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=True)
            for name in ("trace_id", "span_id", "session_id", "turn_id", "service", "project")
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("assignee", sa.Text(), nullable=True),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
    )
    for columns in (["trace_id"], ["session_id"], ["given_at"], ["state", "given_at"]):
        op.create_index(f"ix_feedback_{'_'.join(columns)}", "feedback", columns, unique=False)
    op.create_table(
        "feedback_reviews",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("feedback_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("assignee", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("reviewed_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback_reviews"),
    )
    op.create_index(
        "ix_feedback_reviews_feedback_id", "feedback_reviews", ["feedback_id"], unique=False
    )
