"""What was written lately, for live clients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from midwatch_ledger.models.types import UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; what was written before is no news."""
    op.create_table(
        "live_changes",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("xact", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ids", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_live_changes"),
    )
    op.create_index("ix_live_changes_xact_id", "live_changes", ["xact", "id"], unique=False)
