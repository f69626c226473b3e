"""What agents did: executions and model calls (S4's columns and ours), transitions, guardrails."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from midwatch_ledger.models.base import Base
from midwatch_ledger.models.content import AttributesDocument, ContentDocument, ContentText


def _some(name: str, column: str, rows: str) -> Index:
    """Return an index of the rows that it is worth it for: the others take no room in it."""
    return Index(name, column, sqlite_where=text(rows), postgresql_where=text(rows))


class ExecutionLog(Base):
    """One execution: a workflow, an agent, a tool call, a retrieval.

    `execution_id` groups the executions of one workflow: it is the trace id.
    """

    __tablename__ = "execution_logs"
    __table_args__ = (
        Index("ix_execution_logs_trace_id_span_id", "trace_id", "span_id"),
        # Most are the trace's id, by which they are found as well.
        _some("ix_execution_logs_execution_id", "execution_id", "execution_id <> trace_id"),
        Index("ix_execution_logs_start_time", "start_time"),
        _some("ix_execution_logs_report_id", "report_id", "report_id IS NOT NULL"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    execution_id: Mapped[str]
    agent_type: Mapped[str]
    execution_step: Mapped[str]
    action_type: Mapped[str | None]
    status: Mapped[str]
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    duration_ms: Mapped[int]
    input_data: Mapped[Any | None] = mapped_column(ContentDocument())
    output_data: Mapped[Any | None] = mapped_column(ContentDocument())
    error_message: Mapped[str | None]
    attributes: Mapped[dict[str, Any]] = mapped_column("metadata", AttributesDocument())
    report_id: Mapped[uuid.UUID | None]
    completion_id: Mapped[uuid.UUID | None]
    widget_id: Mapped[uuid.UUID | None]
    step_id: Mapped[uuid.UUID | None]
    external_platform: Mapped[str | None]
    external_user_id: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    trace_id: Mapped[str]
    span_id: Mapped[str]
    parent_execution_log_id: Mapped[uuid.UUID | None]
    service: Mapped[str | None]
    service_version: Mapped[str | None]
    project: Mapped[str | None]


class LlmCallLog(Base):
    """One call of a model, with its tokens and its cost."""

    __tablename__ = "llm_call_logs"
    __table_args__ = (
        Index("ix_llm_call_logs_trace_id_span_id", "trace_id", "span_id"),
        Index("ix_llm_call_logs_execution_log_id", "execution_log_id"),
        Index("ix_llm_call_logs_start_time", "start_time"),
        _some("ix_llm_call_logs_report_id", "report_id", "report_id IS NOT NULL"),
        _some("ix_llm_call_logs_total_cost", "total_cost", "total_cost IS NOT NULL"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    execution_log_id: Mapped[uuid.UUID | None]
    provider: Mapped[str]
    model_id: Mapped[str]
    call_type: Mapped[str]
    status: Mapped[str]
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    duration_ms: Mapped[int]
    prompt: Mapped[str | None] = mapped_column(ContentText())
    response: Mapped[str | None] = mapped_column(ContentText())
    error_message: Mapped[str | None]
    input_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    total_tokens: Mapped[int | None]
    cache_read_tokens: Mapped[int | None]
    cache_write_tokens: Mapped[int | None]
    reasoning_tokens: Mapped[int | None]
    input_cost: Mapped[Decimal | None]
    output_cost: Mapped[Decimal | None]
    total_cost: Mapped[Decimal | None]
    price_table: Mapped[str | None]
    price_version: Mapped[str | None]
    price_effective_date: Mapped[str | None]
    is_streaming: Mapped[bool]
    chunks_count: Mapped[int | None]
    time_to_first_token_ms: Mapped[float | None]
    attributes: Mapped[dict[str, Any]] = mapped_column("metadata", AttributesDocument())
    report_id: Mapped[uuid.UUID | None]
    completion_id: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    trace_id: Mapped[str]
    span_id: Mapped[str]
    agent: Mapped[str | None]
    prompt_name: Mapped[str | None]
    prompt_version: Mapped[str | None]
    prompt_label: Mapped[str | None]
    prompt_variant: Mapped[str | None]
    service: Mapped[str | None]
    service_version: Mapped[str | None]
    project: Mapped[str | None]


class AgentTransition(Base):
    """A step from one agent or state to another: a route, a handoff, a loop, a state change."""

    __tablename__ = "agent_transitions"
    __table_args__ = (
        Index("ix_agent_transitions_trace_id", "trace_id"),
        Index("ix_agent_transitions_occurred_at", "occurred_at"),
        Index("ix_agent_transitions_kind_occurred_at", "kind", "occurred_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    from_agent: Mapped[str | None]
    to_agent: Mapped[str | None]
    reason: Mapped[str | None]
    occurred_at: Mapped[datetime]
    trace_id: Mapped[str | None]
    span_id: Mapped[str | None]
    session_id: Mapped[str | None]
    turn_id: Mapped[str | None]
    service: Mapped[str]
    project: Mapped[str | None]
    attributes: Mapped[dict[str, Any]] = mapped_column("metadata", AttributesDocument())


class GuardrailDecision(Base):
    """What a guardrail decided, at which gate and why."""

    __tablename__ = "guardrail_decisions"
    __table_args__ = (
        Index("ix_guardrail_decisions_trace_id", "trace_id"),
        Index("ix_guardrail_decisions_occurred_at", "occurred_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    gate: Mapped[str]
    decision: Mapped[str]
    reason: Mapped[str | None]
    agent: Mapped[str | None]
    occurred_at: Mapped[datetime]
    trace_id: Mapped[str | None]
    span_id: Mapped[str | None]
    session_id: Mapped[str | None]
    turn_id: Mapped[str | None]
    service: Mapped[str]
    project: Mapped[str | None]
    attributes: Mapped[dict[str, Any]] = mapped_column("metadata", AttributesDocument())
