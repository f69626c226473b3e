"""The telemetry that the agents report by hand; the only place that knows who records it."""

from __future__ import annotations

import os
from functools import lru_cache

import midwatch
from midwatch import AgentTelemetry

from security_agent.config import AppConfig

__all__ = ["AgentTelemetry", "get_agent_telemetry", "record_feedback", "record_outcome"]


@lru_cache(maxsize=1)
def get_agent_telemetry() -> AgentTelemetry:
    """The telemetry that the configuration asks for, the same one each time.

    Where the environment names the namespace it is the telemetry of the whole process, shared with
    whatever else records there; else one of our own, because our defaults are not the process's.
    """
    if "AGENT_METRICS_NAMESPACE" in os.environ:
        return midwatch.get_agent_telemetry()
    config = AppConfig().observability
    return AgentTelemetry(config.metrics_namespace, config.trace_jsonl_path, config.enabled)


def record_feedback(thumbs: str, session_id: str, turn_id: str, trace_id: str) -> None:
    """Report somebody's thumbs, `up` or `down`, for the answer of a turn."""
    midwatch.feedback(thumbs=thumbs, session_id=session_id, turn_id=turn_id, trace_id=trace_id)


def record_outcome(outcome: str, success: bool) -> None:
    """Report what came of a session."""
    midwatch.outcome(outcome, success)
