"""The tables. `contract.md` section 4 names them; Alembic creates them."""

from __future__ import annotations

from midwatch_ledger.models.access import (
    ApiKey,
    AuditEntry,
    LegalHold,
    LoginAttempt,
    LoginSession,
    Project,
    User,
)
from midwatch_ledger.models.alerts import AlertAction, AlertHistory
from midwatch_ledger.models.analytics import CostDetail, DailyReport, ExperimentGuard, StaleDetail
from midwatch_ledger.models.base import Base
from midwatch_ledger.models.budgets import Budget
from midwatch_ledger.models.executions import (
    AgentTransition,
    ExecutionLog,
    GuardrailDecision,
    LlmCallLog,
)
from midwatch_ledger.models.feedback import Feedback, FeedbackReview
from midwatch_ledger.models.live import LiveChange
from midwatch_ledger.models.prices import PriceTable, Repricing
from midwatch_ledger.models.prompts import Prompt, PromptLabel, PromptVersion
from midwatch_ledger.models.records import EventRecord, ResourceRecord, SpanRecord
from midwatch_ledger.models.rollups import PerformanceMetric, StaleMinute
from midwatch_ledger.models.traces import DeadLetter, Event, Resource, Span, WorkflowTrace

__all__ = [
    "AgentTransition",
    "AlertAction",
    "AlertHistory",
    "ApiKey",
    "AuditEntry",
    "Base",
    "Budget",
    "CostDetail",
    "DailyReport",
    "DeadLetter",
    "Event",
    "EventRecord",
    "ExecutionLog",
    "ExperimentGuard",
    "Feedback",
    "FeedbackReview",
    "GuardrailDecision",
    "LegalHold",
    "LiveChange",
    "LlmCallLog",
    "LoginAttempt",
    "LoginSession",
    "PerformanceMetric",
    "PriceTable",
    "Project",
    "Prompt",
    "PromptLabel",
    "PromptVersion",
    "Repricing",
    "Resource",
    "ResourceRecord",
    "Span",
    "SpanRecord",
    "StaleDetail",
    "StaleMinute",
    "User",
    "WorkflowTrace",
]
