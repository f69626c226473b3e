"""The tables of the first cut."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from midwatch_ledger.models.types import JsonDocument, Money, UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of traces, executions, model calls, decisions, events and alerts."""
    _create_agent_transitions()
    _create_alert_history()
    _create_dead_letters()
    _create_events()
    _create_execution_logs()
    _create_guardrail_decisions()
    _create_llm_call_logs()
    _create_resources()
    _create_spans()
    _create_workflow_traces()


def _create_agent_transitions() -> None:
    op.create_table(
        "agent_transitions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("from_agent", sa.Text(), nullable=True),
        sa.Column("to_agent", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("occurred_at", UtcTime(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("span_id", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("turn_id", sa.Text(), nullable=True),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("metadata", JsonDocument, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agent_transitions"),
    )
    op.create_index(
        "ix_agent_transitions_occurred_at", "agent_transitions", ["occurred_at"], unique=False
    )
    op.create_index(
        "ix_agent_transitions_trace_id", "agent_transitions", ["trace_id"], unique=False
    )


def _create_alert_history() -> None:
    op.create_table(
        "alert_history",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("alert_name", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("starts_at", UtcTime(), nullable=False),
        sa.Column("ends_at", UtcTime(), nullable=True),
        sa.Column("labels", JsonDocument, nullable=False),
        sa.Column("annotations", JsonDocument, nullable=False),
        sa.Column("generator_url", sa.Text(), nullable=True),
        sa.Column("receiver", sa.Text(), nullable=True),
        sa.Column("group_key", sa.Text(), nullable=True),
        sa.Column("external_url", sa.Text(), nullable=True),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_history"),
    )
    op.create_index(
        "ix_alert_history_fingerprint_starts_at",
        "alert_history",
        ["fingerprint", "starts_at"],
        unique=False,
    )
    op.create_index("ix_alert_history_starts_at", "alert_history", ["starts_at"], unique=False)


def _create_dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("signal", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letters"),
    )
    op.create_index("ix_dead_letters_received_at", "dead_letters", ["received_at"], unique=False)


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("occurred_at", UtcTime(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("span_id", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("turn_id", sa.Text(), nullable=True),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("body", JsonDocument, nullable=True),
        sa.Column("metadata", JsonDocument, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_name_occurred_at", "events", ["name", "occurred_at"], unique=False)
    op.create_index("ix_events_session_id", "events", ["session_id"], unique=False)
    op.create_index("ix_events_trace_id_span_id", "events", ["trace_id", "span_id"], unique=False)


def _create_execution_logs() -> None:
    op.create_table(
        "execution_logs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("agent_type", sa.Text(), nullable=False),
        sa.Column("execution_step", sa.Text(), nullable=False),
        sa.Column("action_type", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("start_time", UtcTime(), nullable=False),
        sa.Column("end_time", UtcTime(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("input_data", JsonDocument, nullable=True),
        sa.Column("output_data", JsonDocument, nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("metadata", JsonDocument, nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=True),
        sa.Column("completion_id", sa.Uuid(), nullable=True),
        sa.Column("widget_id", sa.Uuid(), nullable=True),
        sa.Column("step_id", sa.Uuid(), nullable=True),
        sa.Column("external_platform", sa.Text(), nullable=True),
        sa.Column("external_user_id", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("span_id", sa.Text(), nullable=False),
        sa.Column("parent_execution_log_id", sa.Uuid(), nullable=True),
        sa.Column("project", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_execution_logs"),
    )
    op.create_index(
        "ix_execution_logs_execution_id", "execution_logs", ["execution_id"], unique=False
    )
    op.create_index("ix_execution_logs_report_id", "execution_logs", ["report_id"], unique=False)
    op.create_index("ix_execution_logs_start_time", "execution_logs", ["start_time"], unique=False)
    op.create_index(
        "uq_execution_logs_trace_id_span_id", "execution_logs", ["trace_id", "span_id"], unique=True
    )


def _create_guardrail_decisions() -> None:
    op.create_table(
        "guardrail_decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("occurred_at", UtcTime(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("span_id", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("turn_id", sa.Text(), nullable=True),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("metadata", JsonDocument, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_guardrail_decisions"),
    )
    op.create_index(
        "ix_guardrail_decisions_occurred_at", "guardrail_decisions", ["occurred_at"], unique=False
    )
    op.create_index(
        "ix_guardrail_decisions_trace_id", "guardrail_decisions", ["trace_id"], unique=False
    )


def _create_llm_call_logs() -> None:
    op.create_table(
        "llm_call_logs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("execution_log_id", sa.Uuid(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("call_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("start_time", UtcTime(), nullable=False),
        sa.Column("end_time", UtcTime(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=True),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("total_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_read_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=True),
        sa.Column("input_cost", Money(), nullable=True),
        sa.Column("output_cost", Money(), nullable=True),
        sa.Column("total_cost", Money(), nullable=True),
        sa.Column("is_streaming", sa.Boolean(), nullable=False),
        sa.Column("chunks_count", sa.BigInteger(), nullable=True),
        sa.Column("time_to_first_token_ms", sa.Double(), nullable=True),
        sa.Column("metadata", JsonDocument, nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=True),
        sa.Column("completion_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("span_id", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("prompt_name", sa.Text(), nullable=True),
        sa.Column("prompt_version", sa.Text(), nullable=True),
        sa.Column("project", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_llm_call_logs"),
    )
    op.create_index(
        "ix_llm_call_logs_execution_log_id", "llm_call_logs", ["execution_log_id"], unique=False
    )
    op.create_index("ix_llm_call_logs_report_id", "llm_call_logs", ["report_id"], unique=False)
    op.create_index("ix_llm_call_logs_start_time", "llm_call_logs", ["start_time"], unique=False)
    op.create_index(
        "uq_llm_call_logs_trace_id_span_id", "llm_call_logs", ["trace_id", "span_id"], unique=True
    )


def _create_resources() -> None:
    op.create_table(
        "resources",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("attributes", JsonDocument, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_resources"),
    )


def _create_spans() -> None:
    op.create_table(
        "spans",
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("span_id", sa.Text(), nullable=False),
        sa.Column("parent_span_id", sa.Text(), nullable=True),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("start_unix_nanoseconds", sa.BigInteger(), nullable=False),
        sa.Column("end_unix_nanoseconds", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_message", sa.Text(), nullable=True),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("operation", sa.Text(), nullable=True),
        sa.Column("entry_agent", sa.Text(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("tool", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("call_id", sa.Text(), nullable=True),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cost", Money(), nullable=True),
        sa.Column("attributes", JsonDocument, nullable=False),
        sa.Column("events", JsonDocument, nullable=False),
        sa.Column("links", JsonDocument, nullable=False),
        sa.Column("nearest_agent", sa.Text(), nullable=True),
        sa.Column("execution_span_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("trace_id", "span_id", name="pk_spans"),
    )
    op.create_index(
        "ix_spans_start_unix_nanoseconds", "spans", ["start_unix_nanoseconds"], unique=False
    )


def _create_workflow_traces() -> None:
    op.create_table(
        "workflow_traces",
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("call_id", sa.Text(), nullable=True),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("service", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("entry_agent", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("start_time", UtcTime(), nullable=True),
        sa.Column("end_time", UtcTime(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("span_count", sa.BigInteger(), nullable=False),
        sa.Column("error_count", sa.BigInteger(), nullable=False),
        sa.Column("llm_calls", sa.BigInteger(), nullable=False),
        sa.Column("tool_calls", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), nullable=False),
        sa.Column("total_cost", Money(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("trace_id", name="pk_workflow_traces"),
    )
    op.create_index(
        "ix_workflow_traces_call_id_start_time",
        "workflow_traces",
        ["call_id", "start_time"],
        unique=False,
    )
    op.create_index(
        "ix_workflow_traces_session_id_start_time",
        "workflow_traces",
        ["session_id", "start_time"],
        unique=False,
    )
    op.create_index(
        "ix_workflow_traces_start_time", "workflow_traces", ["start_time"], unique=False
    )
