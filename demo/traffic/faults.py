"""The faults that the load itself can have: what people do all of a sudden."""

from __future__ import annotations

from fault_control import FaultBoard, FaultKind, FaultParameters
from pydantic import Field

STORM = "guardrail-storm"
AWAY = "people-away"
UNHAPPY = "unhappy-people"
UNASKED = "simulation-unasked"


class GuardrailStorm(FaultParameters):
    """Arrivals become injections, with the probability that every fault has, and come faster."""

    rate_factor: float = Field(2.0, ge=1, le=20, description="multiplies the rate of arrivals")


class PeopleAway(FaultParameters):
    """Arrivals stay away, with the probability that every fault has."""


class UnhappyPeople(FaultParameters):
    """Whoever has come gives a thumb down for the answer and says that nothing is solved."""


class SimulationUnasked(FaultParameters):
    """Nobody asks the simulation for days or events."""


_KINDS = (
    FaultKind(STORM, "people try injections, again and again", GuardrailStorm),
    FaultKind(AWAY, "people stay away", PeopleAway),
    FaultKind(UNHAPPY, "people are not content with any answer", UnhappyPeople),
    FaultKind(UNASKED, "nobody asks the simulation", SimulationUnasked),
)


def traffic_fault_board() -> FaultBoard:
    """Return a board with no active fault."""
    return FaultBoard(_KINDS)
