"""The tables of the first cut."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from midwatch_ledger.models.types import JsonDocument, Money, UtcTime
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


Kind = TypeEngine[Any]


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


def _required(kind: Kind, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _optional(kind: Kind, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=True) for name in names]


def _create_agent_transitions() -> None:
    op.create_table(
        "agent_transitions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        *_optional(sa.Text(), "from_agent", "to_agent", "reason"),
        sa.Column("occurred_at", UtcTime(), nullable=False),
        *_optional(sa.Text(), "trace_id", "span_id", "session_id", "turn_id"),
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
        *_required(sa.Text(), "fingerprint", "alert_name"),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("starts_at", UtcTime(), nullable=False),
        sa.Column("ends_at", UtcTime(), nullable=True),
        *_required(JsonDocument, "labels", "annotations"),
        *_optional(sa.Text(), "generator_url", "receiver", "group_key", "external_url"),
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
        *_required(sa.Text(), "signal", "reason"),
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
        *_optional(sa.Text(), "trace_id", "span_id", "session_id", "turn_id"),
        sa.Column("service", sa.Text(), nullable=False),
        *_optional(sa.Text(), "project", "severity"),
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
        *_required(sa.Text(), "execution_id", "agent_type", "execution_step"),
        sa.Column("action_type", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        *_required(UtcTime(), "start_time", "end_time"),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        *_optional(JsonDocument, "input_data", "output_data"),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("metadata", JsonDocument, nullable=False),
        *_optional(sa.Uuid(), "report_id", "completion_id", "widget_id", "step_id"),
        *_optional(sa.Text(), "external_platform", "external_user_id"),
        *_required(UtcTime(), "created_at", "updated_at"),
        *_required(sa.Text(), "trace_id", "span_id"),
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
        *_required(sa.Text(), "gate", "decision"),
        *_optional(sa.Text(), "reason", "agent"),
        sa.Column("occurred_at", UtcTime(), nullable=False),
        *_optional(sa.Text(), "trace_id", "span_id", "session_id", "turn_id"),
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
        *_required(sa.Text(), "provider", "model_id", "call_type", "status"),
        *_required(UtcTime(), "start_time", "end_time"),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        *_optional(sa.Text(), "prompt", "response", "error_message"),
        *_optional(
            sa.BigInteger(),
            "input_tokens",
            "output_tokens",
            "total_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
        ),
        *_optional(Money(), "input_cost", "output_cost", "total_cost"),
        sa.Column("is_streaming", sa.Boolean(), nullable=False),
        sa.Column("chunks_count", sa.BigInteger(), nullable=True),
        sa.Column("time_to_first_token_ms", sa.Double(), nullable=True),
        sa.Column("metadata", JsonDocument, nullable=False),
        *_optional(sa.Uuid(), "report_id", "completion_id"),
        *_required(UtcTime(), "created_at", "updated_at"),
        *_required(sa.Text(), "trace_id", "span_id"),
        *_optional(sa.Text(), "agent", "prompt_name", "prompt_version", "project"),
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
        *_required(sa.Text(), "trace_id", "span_id"),
        sa.Column("parent_span_id", sa.Text(), nullable=True),
        *_required(sa.Text(), "resource_id", "service", "name", "kind"),
        *_required(sa.BigInteger(), "start_unix_nanoseconds", "end_unix_nanoseconds"),
        sa.Column("status", sa.Text(), nullable=False),
        *_optional(
            sa.Text(),
            "status_message",
            "error_type",
            "role",
            "operation",
            "entry_agent",
            "agent",
            "tool",
            "provider",
            "model",
            "session_id",
            "call_id",
            "project",
            "outcome",
        ),
        *_optional(sa.BigInteger(), "input_tokens", "output_tokens"),
        sa.Column("cost", Money(), nullable=True),
        *_required(JsonDocument, "attributes", "events", "links"),
        *_optional(sa.Text(), "nearest_agent", "execution_span_id"),
        sa.PrimaryKeyConstraint("trace_id", "span_id", name="pk_spans"),
    )
    op.create_index(
        "ix_spans_start_unix_nanoseconds", "spans", ["start_unix_nanoseconds"], unique=False
    )


def _create_workflow_traces() -> None:
    op.create_table(
        "workflow_traces",
        sa.Column("trace_id", sa.Text(), nullable=False),
        *_optional(sa.Text(), "session_id", "call_id", "project", "service", "name", "entry_agent"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        *_optional(UtcTime(), "start_time", "end_time"),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        *_required(
            sa.BigInteger(),
            "span_count",
            "error_count",
            "llm_calls",
            "tool_calls",
            "input_tokens",
            "output_tokens",
            "total_tokens",
        ),
        sa.Column("total_cost", Money(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        *_required(UtcTime(), "created_at", "updated_at"),
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
