"""The telemetry that the agents report by hand; the only place that knows who records it."""

from __future__ import annotations

import os
from functools import lru_cache

import midwatch
from midwatch import AgentTelemetry

from security_agent.config import AppConfig

__all__ = ["AgentTelemetry", "get_agent_telemetry"]


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
