"""The one fault that the load itself can have: many people who try to break the guardrails."""

from __future__ import annotations

from fault_control import FaultBoard, FaultKind, FaultParameters
from pydantic import Field

STORM = "guardrail-storm"


class GuardrailStorm(FaultParameters):
    """Arrivals become injections, with the probability that every fault has, and come faster."""

    rate_factor: float = Field(2.0, ge=1, le=20, description="multiplies the rate of arrivals")


def traffic_fault_board() -> FaultBoard:
    """Return a board with no active fault."""
    description = "people try injections, again and again"
    return FaultBoard((FaultKind(STORM, description, GuardrailStorm),))
