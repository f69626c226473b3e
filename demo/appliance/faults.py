"""The faults that the appliance can play."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from fault_control import FaultBoard, FaultKind, FaultParameters
from pydantic import Field, field_validator

OPERATIONS = ("status", "alerts", "mode", "blocks", "reports")


class ApplianceFault(FaultParameters):
    """A fault that can be limited to one operation."""

    operation: str | None = Field(
        default=None,
        description="only this operation; without it the whole appliance, /readyz included",
    )

    @field_validator("operation")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in OPERATIONS:
            raise ValueError(
                f"no operation is called {value!r}; use one of {', '.join(OPERATIONS)}"
            )
        return value


class Unavailable(ApplianceFault):
    """503."""


class Slow(ApplianceFault):
    """Extra latency."""

    extra_seconds: float = Field(default=2.0, gt=0, le=600)


class Hang(ApplianceFault):
    """The connection is held without an answer."""

    seconds: float = Field(default=600.0, gt=0, le=3600)


_KINDS: Sequence[FaultKind] = (
    FaultKind("unavailable", "answers 503", Unavailable),
    FaultKind("slow", "adds latency", Slow),
    FaultKind("hang", "holds the connection without an answer", Hang),
)
_Fault = TypeVar("_Fault", bound=ApplianceFault)


def appliance_fault_board() -> FaultBoard:
    """A board with the appliance's faults."""
    return FaultBoard(_KINDS)


def hit(board: FaultBoard, kind: type[_Fault], operation: str, random: Random) -> _Fault | None:
    """The fault's parameters when it hits a request for this operation."""
    for known in _KINDS:
        parameters = board.active(known.name)
        if known.parameters is not kind or not isinstance(parameters, kind):
            continue
        if parameters.operation in {None, operation} and board.strikes(known.name, random):
            return parameters
    return None
