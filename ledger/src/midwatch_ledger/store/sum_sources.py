"""What the sums are made from: which rows are of a kind, and where its dimensions are."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import InstrumentedAttribute

from midwatch_ledger.models import ExecutionLog, LlmCallLog, WorkflowTrace

SummedTable = type[WorkflowTrace] | type[ExecutionLog] | type[LlmCallLog]

SOURCES: tuple[tuple[str, SummedTable, dict[str, InstrumentedAttribute[Any]]], ...] = (
    (
        "trace",
        WorkflowTrace,
        {
            "service": WorkflowTrace.service,
            "service_version": WorkflowTrace.service_version,
            "project": WorkflowTrace.project,
            "agent": WorkflowTrace.entry_agent,
            "step": WorkflowTrace.outcome,
            "status": WorkflowTrace.status,
        },
    ),
    (
        "execution",
        ExecutionLog,
        {
            "service": ExecutionLog.service,
            "service_version": ExecutionLog.service_version,
            "project": ExecutionLog.project,
            "agent": ExecutionLog.agent_type,
            "step": ExecutionLog.execution_step,
            "target": ExecutionLog.action_type,
            "status": ExecutionLog.status,
        },
    ),
    (
        "llm_call",
        LlmCallLog,
        {
            "service": LlmCallLog.service,
            "service_version": LlmCallLog.service_version,
            "project": LlmCallLog.project,
            "agent": LlmCallLog.agent,
            "step": LlmCallLog.call_type,
            "provider": LlmCallLog.provider,
            "model": LlmCallLog.model_id,
            "status": LlmCallLog.status,
            "prompt": LlmCallLog.prompt_name,
            "prompt_version": LlmCallLog.prompt_version,
            "label": LlmCallLog.prompt_label,
            "variant": LlmCallLog.prompt_variant,
        },
    ),
)
"""Where each kind's dimensions are; what it doesn't have is left out."""
