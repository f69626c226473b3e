"""Transitions by kind and time: the newest loops of handoffs are few among all handoffs."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index(
        "ix_agent_transitions_kind_occurred_at", "agent_transitions", ["kind", "occurred_at"]
    )
