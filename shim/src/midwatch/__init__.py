"""Midwatch: telemetry for LLM agents, for the people who are on call for them.

Most programs import nothing of this: `midwatch-run python app.py` instruments them from outside.
What is exported here is for what only the code itself knows. Importing the package is cheap: each
name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midwatch import prompts
    from midwatch.api.call_monitoring import trace_workflow
    from midwatch.api.execution_logs import ExecutionLog, ExecutionLogger
    from midwatch.api.facts import decision, event, handoff, message, outcome, route, state_change
    from midwatch.api.feedback import FeedbackResult, feedback
    from midwatch.api.guards import guardrail
    from midwatch.api.ids import Ids, current_ids
    from midwatch.api.joint_work import collaboration, conflict
    from midwatch.api.llm_call_logger import LLMCallLogger
    from midwatch.api.llm_call_logs import LLMCallLog
    from midwatch.api.observe import observe
    from midwatch.api.orchestration import OrchestrationTracer
    from midwatch.api.selfrag import selfrag_decision, selfrag_graded, selfrag_retrieved
    from midwatch.api.simulation import SimulationEventCapture, ToolTracer
    from midwatch.api.simulation_metrics import AgentPerformanceMetrics, SystemWorkflowMetrics
    from midwatch.api.simulation_records import AgentSpan, CollaborationSpan, SimulationTrace
    from midwatch.api.telemetry import AgentTelemetry, get_agent_telemetry
    from midwatch.api.turns import turn
    from midwatch.api.work import agent, tool
    from midwatch.config import ObservabilityConfig
    from midwatch.startup import init

_HOMES = {
    "AgentPerformanceMetrics": "midwatch.api.simulation_metrics",
    "AgentSpan": "midwatch.api.simulation_records",
    "AgentTelemetry": "midwatch.api.telemetry",
    "CollaborationSpan": "midwatch.api.simulation_records",
    "ExecutionLog": "midwatch.api.execution_logs",
    "ExecutionLogger": "midwatch.api.execution_logs",
    "FeedbackResult": "midwatch.api.feedback",
    "Ids": "midwatch.api.ids",
    "LLMCallLog": "midwatch.api.llm_call_logs",
    "LLMCallLogger": "midwatch.api.llm_call_logger",
    "ObservabilityConfig": "midwatch.config",
    "OrchestrationTracer": "midwatch.api.orchestration",
    "SimulationEventCapture": "midwatch.api.simulation",
    "SimulationTrace": "midwatch.api.simulation_records",
    "SystemWorkflowMetrics": "midwatch.api.simulation_metrics",
    "ToolTracer": "midwatch.api.simulation",
    "agent": "midwatch.api.work",
    "collaboration": "midwatch.api.joint_work",
    "conflict": "midwatch.api.joint_work",
    "current_ids": "midwatch.api.ids",
    "decision": "midwatch.api.facts",
    "event": "midwatch.api.facts",
    "feedback": "midwatch.api.feedback",
    "get_agent_telemetry": "midwatch.api.telemetry",
    "guardrail": "midwatch.api.guards",
    "handoff": "midwatch.api.facts",
    "init": "midwatch.startup",
    "message": "midwatch.api.facts",
    "observe": "midwatch.api.observe",
    "outcome": "midwatch.api.facts",
    "prompts": "midwatch.prompts",
    "route": "midwatch.api.facts",
    "selfrag_decision": "midwatch.api.selfrag",
    "selfrag_graded": "midwatch.api.selfrag",
    "selfrag_retrieved": "midwatch.api.selfrag",
    "state_change": "midwatch.api.facts",
    "tool": "midwatch.api.work",
    "trace_workflow": "midwatch.api.call_monitoring",
    "turn": "midwatch.api.turns",
}

__all__ = [
    "AgentPerformanceMetrics",
    "AgentSpan",
    "AgentTelemetry",
    "CollaborationSpan",
    "ExecutionLog",
    "ExecutionLogger",
    "FeedbackResult",
    "Ids",
    "LLMCallLog",
    "LLMCallLogger",
    "ObservabilityConfig",
    "OrchestrationTracer",
    "SimulationEventCapture",
    "SimulationTrace",
    "SystemWorkflowMetrics",
    "ToolTracer",
    "agent",
    "collaboration",
    "conflict",
    "current_ids",
    "decision",
    "event",
    "feedback",
    "get_agent_telemetry",
    "guardrail",
    "handoff",
    "init",
    "message",
    "observe",
    "outcome",
    "prompts",
    "route",
    "selfrag_decision",
    "selfrag_graded",
    "selfrag_retrieved",
    "state_change",
    "tool",
    "trace_workflow",
    "turn",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'midwatch' has no attribute {name!r}")
    module = importlib.import_module(home)
    # Some names are modules themselves.
    value: object = module if home == f"{__name__}.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
