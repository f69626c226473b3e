"""The records of S5 (simulation tracing), with the fields that it gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class SimulationTrace:
    """One event of a simulation, from its cause to its outcome."""

    trace_id: str
    event_type: str
    trigger_source: str
    start_time: datetime
    end_time: datetime | None = None
    participating_agents: list[str] = field(default_factory=list)
    event_data: dict[str, Any] = field(default_factory=dict)
    outcome: dict[str, Any] | None = None


@dataclass
class AgentSpan:
    """One operation of an agent."""

    span_id: str
    agent_id: str
    operation_type: str
    parent_trace_id: str
    start_time: datetime
    end_time: datetime | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    tools_used: list[str] = field(default_factory=list)
    decision_confidence: float | None = None


@dataclass
class CollaborationSpan:
    """Work of several agents."""

    span_id: str
    workflow_type: str
    participating_agents: list[str] = field(default_factory=list)
    coordination_messages: list[dict[str, Any]] = field(default_factory=list)
    conflicts_detected: list[dict[str, Any]] = field(default_factory=list)
    resolution_outcome: dict[str, Any] | None = None
