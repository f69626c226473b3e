"""The shapes of answers, for OpenAPI and for those who read it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel


class LlmCall(BaseModel):
    """One call of a model."""

    id: UUID
    execution_log_id: UUID | None
    provider: str
    model_id: str
    call_type: str
    status: str
    start_time: datetime
    end_time: datetime
    duration_ms: int
    prompt: str | None
    response: str | None
    error_message: str | None
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    input_cost: float | None
    output_cost: float | None
    total_cost: float | None
    price_table: str | None
    price_version: str | None
    price_effective_date: str | None
    is_streaming: bool
    chunks_count: int | None
    time_to_first_token_ms: float | None
    metadata: dict[str, Any]
    report_id: UUID | None
    completion_id: UUID | None
    created_at: datetime
    updated_at: datetime
    trace_id: str
    span_id: str
    agent: str | None
    prompt_name: str | None
    prompt_version: str | None
    project: str | None


class Execution(BaseModel):
    """One execution: a turn, a workflow, an agent, a tool call, a retrieval."""

    id: UUID
    execution_id: str
    agent_type: str
    execution_step: str
    action_type: str | None
    status: str
    start_time: datetime
    end_time: datetime
    duration_ms: int
    input_data: Any
    output_data: Any
    error_message: str | None
    metadata: dict[str, Any]
    report_id: UUID | None
    completion_id: UUID | None
    widget_id: UUID | None
    step_id: UUID | None
    external_platform: str | None
    external_user_id: str | None
    created_at: datetime
    updated_at: datetime
    trace_id: str
    span_id: str
    parent_execution_log_id: UUID | None
    project: str | None
    llm_calls: list[LlmCall] = []


class Deleted(BaseModel):
    """How many rows of each table were deleted."""

    execution_id: str
    deleted: dict[str, int]


class DateRange(BaseModel):
    """From start, up to but not including end."""

    start_date: datetime
    end_date: datetime


class DurationStats(BaseModel):
    """Durations of executions; null when there are none."""

    avg_duration_ms: float | None
    min_duration_ms: int | None
    max_duration_ms: int | None


class ExecutionAnalytics(BaseModel):
    """Executions in sum."""

    total_executions: int
    success_rate: float | None
    status_counts: dict[str, int]
    agent_type_counts: dict[str, int]
    duration_stats: DurationStats


class TokenStats(BaseModel):
    """Tokens and cost in sum."""

    total_input_tokens: int
    total_output_tokens: int
    total_tokens: int
    total_cost: float


class ModelCost(TokenStats):
    """Tokens and cost of one model."""

    provider: str
    model_id: str
    total_calls: int


class LlmCallAnalytics(BaseModel):
    """Model calls in sum."""

    total_calls: int
    provider_counts: dict[str, int]
    model_counts: dict[str, int]
    token_stats: TokenStats
    cost_breakdown: list[ModelCost]


class AnalyticsSummary(BaseModel):
    """S4's summary of a period."""

    date_range: DateRange
    execution_analytics: ExecutionAnalytics
    llm_call_analytics: LlmCallAnalytics


class TraceEvent(BaseModel):
    """Something that happened within a span; `source` is `span` or `log`."""

    name: str
    time: datetime
    source: str
    attributes: dict[str, Any]


class TraceSpan(BaseModel):
    """One span with those it called."""

    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    service: str
    operation: str | None
    status: str
    status_message: str | None
    error_type: str | None
    start_time: datetime
    end_time: datetime
    duration_ms: float
    offset_ms: float
    agent: str | None
    tool: str | None
    provider: str | None
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    attributes: dict[str, Any]
    links: list[dict[str, Any]]
    events: list[TraceEvent]
    children: list[TraceSpan]


class Trace(BaseModel):
    """One trace as a tree; `events` are those that belong to none of its spans."""

    trace_id: str
    session_id: str | None
    call_id: str | None
    project: str | None
    service: str | None
    name: str | None
    entry_agent: str | None
    status: str
    complete: bool
    start_time: datetime | None
    end_time: datetime | None
    duration_ms: int | None
    span_count: int
    error_count: int
    llm_calls: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    total_tokens: int
    total_cost: float | None
    outcome: str | None
    created_at: datetime
    updated_at: datetime
    truncated: bool
    spans: list[TraceSpan]
    events: list[TraceEvent]


class TraceAnswer(BaseModel):
    """The trace, or the newest traces of the session or call."""

    call_id: str
    matched_by: str
    traces: list[Trace]


class Alert(BaseModel):
    """One alert in one state."""

    id: UUID
    fingerprint: str
    alert_name: str
    severity: str | None
    status: str
    starts_at: datetime
    ends_at: datetime | None
    labels: dict[str, str]
    annotations: dict[str, str]
    generator_url: str | None
    receiver: str | None
    group_key: str | None
    external_url: str | None
    received_at: datetime


class AlertActionTaken(BaseModel):
    """What somebody did about an alert: acknowledge, withdraw or note."""

    id: UUID
    fingerprint: str
    starts_at: datetime
    action: str
    actor: str
    note: str | None
    acted_at: datetime


class AlertWithActions(Alert):
    """An alert in its newest state, and what was done about it."""

    acknowledged_by: str | None
    acknowledged_at: datetime | None
    actions: list[AlertActionTaken]


class Health(BaseModel):
    """The state of the ledger, part by part."""

    status: str
    version: str
    checks: dict[str, str]
