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
    from midwatch.api.facts import event, guardrail, handoff, route, selfrag_decision
    from midwatch.api.feedback import FeedbackResult, feedback
    from midwatch.api.ids import Ids, current_ids
    from midwatch.api.telemetry import AgentTelemetry, get_agent_telemetry
    from midwatch.api.work import agent, tool, turn
    from midwatch.config import ObservabilityConfig
    from midwatch.startup import init

_HOMES = {
    "AgentTelemetry": "midwatch.api.telemetry",
    "FeedbackResult": "midwatch.api.feedback",
    "Ids": "midwatch.api.ids",
    "ObservabilityConfig": "midwatch.config",
    "agent": "midwatch.api.work",
    "current_ids": "midwatch.api.ids",
    "event": "midwatch.api.facts",
    "feedback": "midwatch.api.feedback",
    "get_agent_telemetry": "midwatch.api.telemetry",
    "guardrail": "midwatch.api.facts",
    "handoff": "midwatch.api.facts",
    "init": "midwatch.startup",
    "prompts": "midwatch.prompts",
    "route": "midwatch.api.facts",
    "selfrag_decision": "midwatch.api.facts",
    "tool": "midwatch.api.work",
    "turn": "midwatch.api.work",
}

__all__ = [
    "AgentTelemetry",
    "FeedbackResult",
    "Ids",
    "ObservabilityConfig",
    "agent",
    "current_ids",
    "event",
    "feedback",
    "get_agent_telemetry",
    "guardrail",
    "handoff",
    "init",
    "prompts",
    "route",
    "selfrag_decision",
    "tool",
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
