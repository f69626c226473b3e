"""The fastest of what sums are of, so that a summary needs no rows for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# The dimensions of executions in the sums, and what they are of the rows.
_DIMENSIONS = {
    "service": "service",
    "service_version": "service_version",
    "project": "project",
    "agent": "agent_type",
    "step": "execution_step",
    "target": "action_type",
    "status": "status",
}


def upgrade() -> None:
    """Add the column, and fill it for executions: nothing else is asked for its fastest yet.

    Sums aren't made anew for that: of older ones the rows are gone, of some projects before those
    of others.
    """
    op.add_column("performance_metrics", sa.Column("fastest_ms", sa.BigInteger(), nullable=True))
    sqlite = op.get_bind().dialect.name == "sqlite"
    microseconds = {"minute": 60_000_000, "hour": 3_600_000_000}
    for resolution, length in microseconds.items():
        if sqlite:
            _fill(resolution, f"start_time / {length} * {length}")
        else:
            _fill(resolution, f"date_trunc('{resolution}', start_time, 'UTC')")


def _fill(resolution: str, bucket: str) -> None:
    named = ", ".join(f"coalesce({column}, '') AS {name}" for name, column in _DIMENSIONS.items())
    same = " AND ".join(f"performance_metrics.{name} = found.{name}" for name in _DIMENSIONS)
    groups = ", ".join(str(number) for number in range(1, len(_DIMENSIONS) + 2))
    op.execute(
        "UPDATE performance_metrics SET fastest_ms = found.fastest FROM "  # noqa: S608
        f"(SELECT {bucket} AS bucket, {named}, min(duration_ms) AS fastest FROM execution_logs "
        f"GROUP BY {groups}) AS found WHERE performance_metrics.resolution = '{resolution}' "
        f"AND performance_metrics.kind = 'execution' "
        f"AND performance_metrics.bucket = found.bucket AND {same}"
    )
