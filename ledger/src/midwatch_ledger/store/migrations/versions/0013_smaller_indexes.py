"""Indexes of the rows that are looked for by them: half of what they were is the same in each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# By name: the table, the column, and the rows that are left.
_INDEXES = {
    "ix_execution_logs_execution_id": (
        "execution_logs",
        "execution_id",
        "execution_id <> trace_id",
    ),
    "ix_execution_logs_report_id": ("execution_logs", "report_id", "report_id IS NOT NULL"),
    "ix_llm_call_logs_report_id": ("llm_call_logs", "report_id", "report_id IS NOT NULL"),
}


def upgrade() -> None:
    """Make them anew."""
    for name, (table, column, rows) in _INDEXES.items():
        op.drop_index(name, table)
        where = sa.text(rows)
        op.create_index(name, table, [column], sqlite_where=where, postgresql_where=where)
