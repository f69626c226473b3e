"""Spans, executions and model calls by day on PostgreSQL, so that retention drops whole days."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_LOGS = ("execution_logs", "llm_call_logs")
# Of each table: the day's column, the key, and the other indexes by name.
_TABLES = {
    "spans": (
        "start_unix_nanoseconds",
        "trace_id, span_id",
        {"ix_spans_start_unix_nanoseconds": "start_unix_nanoseconds"},
    ),
    "execution_logs": (
        "start_time",
        "id",
        {
            "ix_execution_logs_trace_id_span_id": "trace_id, span_id",
            "ix_execution_logs_execution_id": "execution_id",
            "ix_execution_logs_start_time": "start_time",
            "ix_execution_logs_report_id": "report_id",
        },
    ),
    "llm_call_logs": (
        "start_time",
        "id",
        {
            "ix_llm_call_logs_trace_id_span_id": "trace_id, span_id",
            "ix_llm_call_logs_execution_log_id": "execution_log_id",
            "ix_llm_call_logs_start_time": "start_time",
            "ix_llm_call_logs_report_id": "report_id",
        },
    ),
}


def upgrade() -> None:
    """Have what is there be the default partition; no row is copied, only indexes are made anew.

    A key of a partitioned table has to hold the day's column. The id of an execution or a model
    call is made from its trace and span: that it is unique says that they are.
    """
    for table in _LOGS:
        op.drop_index(f"uq_{table}_trace_id_span_id", table)
    if op.get_bind().dialect.name == "sqlite":
        for table in _LOGS:
            op.create_index(f"ix_{table}_trace_id_span_id", table, ["trace_id", "span_id"])
        return
    for table, (day, key, indexes) in _TABLES.items():
        _partition(table, day, key, indexes)


def _partition(table: str, day: str, key: str, indexes: dict[str, str]) -> None:
    op.execute(f"ALTER TABLE {table} RENAME TO {table}_default")
    op.execute(f"ALTER TABLE {table}_default DROP CONSTRAINT pk_{table}")
    for name in indexes:
        op.execute(f"DROP INDEX IF EXISTS {name}")
    op.execute(
        f"CREATE TABLE {table} (LIKE {table}_default INCLUDING DEFAULTS) PARTITION BY RANGE ({day})"
    )
    op.execute(f"ALTER TABLE {table} ATTACH PARTITION {table}_default DEFAULT")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY ({key}, {day})")
    for name, columns in indexes.items():
        op.execute(f"CREATE INDEX {name} ON {table} ({columns})")
