"""Traces: one row a trace, and the spans that a trace is answered from."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from midwatch_ledger.models.base import Base
from midwatch_ledger.models.content import AttributesDocument, ContentDocument


class Resource(Base):
    """What emitted telemetry: the resource attributes, kept once for each distinct set."""

    __tablename__ = "resources"

    id: Mapped[str] = mapped_column(primary_key=True)
    attributes: Mapped[dict[str, Any]]


class Span(Base):
    """One span as it arrived, with what the ledger derives from its place in the trace.

    Content (messages, tool arguments and results) is not here: it lives once, in the execution or
    the model call of the same span.
    """

    __tablename__ = "spans"
    __table_args__ = (Index("ix_spans_start_unix_nanoseconds", "start_unix_nanoseconds"),)

    trace_id: Mapped[str] = mapped_column(primary_key=True)
    span_id: Mapped[str] = mapped_column(primary_key=True)
    parent_span_id: Mapped[str | None]
    resource_id: Mapped[str]
    service: Mapped[str]
    service_version: Mapped[str | None]
    name: Mapped[str]
    kind: Mapped[str]
    start_unix_nanoseconds: Mapped[int]
    end_unix_nanoseconds: Mapped[int]
    status: Mapped[str]
    status_message: Mapped[str | None]
    error_type: Mapped[str | None]
    role: Mapped[str | None]
    operation: Mapped[str | None]
    entry_agent: Mapped[str | None]
    agent: Mapped[str | None]
    tool: Mapped[str | None]
    provider: Mapped[str | None]
    model: Mapped[str | None]
    session_id: Mapped[str | None]
    call_id: Mapped[str | None]
    user_hash: Mapped[str | None]
    project: Mapped[str | None]
    outcome: Mapped[str | None]
    input_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    cost: Mapped[Decimal | None]
    attributes: Mapped[dict[str, Any]] = mapped_column(AttributesDocument())
    events: Mapped[list[Any]] = mapped_column(AttributesDocument())
    links: Mapped[list[Any]]
    # Derived from all spans of the trace, renewed as they arrive.
    nearest_agent: Mapped[str | None]
    execution_span_id: Mapped[str | None]


class WorkflowTrace(Base):
    """One trace in sum: what it was, how it went, what it took and cost."""

    __tablename__ = "workflow_traces"
    __table_args__ = (
        Index("ix_workflow_traces_session_id_start_time", "session_id", "start_time"),
        Index("ix_workflow_traces_call_id_start_time", "call_id", "start_time"),
        Index("ix_workflow_traces_user_hash_start_time", "user_hash", "start_time"),
        Index("ix_workflow_traces_start_time", "start_time"),
    )

    trace_id: Mapped[str] = mapped_column(primary_key=True)
    session_id: Mapped[str | None]
    call_id: Mapped[str | None]
    user_hash: Mapped[str | None]
    project: Mapped[str | None]
    service: Mapped[str | None]
    service_version: Mapped[str | None]
    name: Mapped[str | None]
    entry_agent: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="started")
    complete: Mapped[bool] = mapped_column(default=False)
    start_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]
    duration_ms: Mapped[int | None]
    span_count: Mapped[int] = mapped_column(default=0)
    error_count: Mapped[int] = mapped_column(default=0)
    llm_calls: Mapped[int] = mapped_column(default=0)
    tool_calls: Mapped[int] = mapped_column(default=0)
    input_tokens: Mapped[int] = mapped_column(default=0)
    output_tokens: Mapped[int] = mapped_column(default=0)
    total_tokens: Mapped[int] = mapped_column(default=0)
    total_cost: Mapped[Decimal | None]
    outcome: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Event(Base):
    """One log record that carries an event name, as the contract's section 2 lists them."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_trace_id_span_id", "trace_id", "span_id"),
        Index("ix_events_name_occurred_at", "name", "occurred_at"),
        Index("ix_events_session_id", "session_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    occurred_at: Mapped[datetime]
    trace_id: Mapped[str | None]
    span_id: Mapped[str | None]
    session_id: Mapped[str | None]
    turn_id: Mapped[str | None]
    service: Mapped[str]
    project: Mapped[str | None]
    severity: Mapped[str | None]
    body: Mapped[Any | None] = mapped_column(ContentDocument())
    attributes: Mapped[dict[str, Any]] = mapped_column("metadata", AttributesDocument())


class DeadLetter(Base):
    """A record that can't be read, or not be stored where it belongs: as JSON, with the reason."""

    __tablename__ = "dead_letters"
    __table_args__ = (Index("ix_dead_letters_received_at", "received_at"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    signal: Mapped[str]
    reason: Mapped[str]
    body: Mapped[bytes]
    received_at: Mapped[datetime]
