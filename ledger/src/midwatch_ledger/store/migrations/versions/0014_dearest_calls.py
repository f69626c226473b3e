"""An index of what model calls cost: the dearest of a day are asked for, not all of the day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    priced = sa.text("total_cost IS NOT NULL")
    op.create_index(
        "ix_llm_call_logs_total_cost",
        "llm_call_logs",
        ["total_cost"],
        sqlite_where=priced,
        postgresql_where=priced,
    )
