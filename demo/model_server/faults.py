"""The faults that the model server can play, and which of them hit a request."""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import TypeVar

from fault_control import FaultBoard, FaultKind, FaultParameters
from pydantic import Field, ValidationInfo, field_validator

# Listing models is no generation: rate limits, prices and answers have no part in it.
LISTING_FAULTS = frozenset({"server-error", "timeout", "malformed-body"})
SKILL_FAULTS = frozenset({"handoff-loop", "irrelevant-retrieval", "one-sided-routing"})


class ModelFault(FaultParameters):
    """A fault that can be limited to one model or to one skill."""

    model: str | None = Field(default=None, description="only requests for this model")
    skill: str | None = Field(
        default=None, description="only this skill, or all skills of an application"
    )

    @field_validator("model", "skill")
    @classmethod
    def _known(cls, value: str | None, info: ValidationInfo) -> str | None:
        known = (info.context or {}).get(f"{info.field_name}s", ())
        if value is not None and value not in known:
            raise ValueError(
                f"no {info.field_name} is called {value!r}; use one of {', '.join(sorted(known))}"
            )
        return value

    def applies_to(self, model: str, skill: str) -> bool:
        """Whether the filters let this request through to the fault."""
        return self.model in {None, model} and (
            self.skill is None or skill == self.skill or skill.startswith(f"{self.skill}.")
        )


class RateLimit(ModelFault):
    """429 with a `retry-after` header."""

    retry_after_seconds: float = Field(default=1.0, ge=0, le=3600)


class ServerError(ModelFault):
    """A 5xx answer."""

    status: int = Field(default=500, ge=500, le=599)


class Timeout(ModelFault):
    """The connection is held without an answer."""

    seconds: float = Field(default=600.0, gt=0, le=3600)


class CutStream(ModelFault):
    """A stream ends without its last chunks."""

    after_chunks: int = Field(default=3, ge=0, le=10_000)


class MalformedBody(ModelFault):
    """The answer is no JSON."""


class Slow(ModelFault):
    """Extra latency before the answer."""

    extra_seconds: float = Field(default=3.0, gt=0, le=600)


class Expensive(ModelFault):
    """All token counts are multiplied."""

    factor: float = Field(default=10.0, ge=1, le=1000)


class Uncounted(ModelFault):
    """The answer comes without its token counts."""


class Renamed(ModelFault):
    """The answer names another model than was asked for, as after a provider's change."""

    name: str = Field(default="orchid-1-preview", min_length=1, max_length=100)
    builds: int = Field(
        default=1, ge=1, le=100_000, description="so many names, by the number of a build"
    )


class HandoffLoop(ModelFault):
    """Supervisor and specialists send each other the turn."""


class OneSidedRouting(ModelFault):
    """The supervisor chooses the monitoring specialist, whatever is asked."""


class IrrelevantRetrieval(ModelFault):
    """Graders find no passage relevant and no answer grounded."""


_Fault = TypeVar("_Fault", bound=ModelFault)

KINDS = (
    FaultKind("rate-limit", "429 with retry-after", RateLimit),
    FaultKind("server-error", "500 or another 5xx", ServerError),
    FaultKind("timeout", "holds the connection without an answer", Timeout),
    FaultKind("cut-stream", "ends a stream after some chunks", CutStream),
    FaultKind("malformed-body", "answers 200 with a body that is no JSON", MalformedBody),
    FaultKind("slow", "adds latency", Slow),
    FaultKind("expensive", "multiplies the token counts", Expensive),
    FaultKind("uncounted", "leaves the token counts out", Uncounted),
    FaultKind("renamed", "names another model in the answer", Renamed),
    FaultKind("handoff-loop", "routing goes back and forth", HandoffLoop),
    FaultKind("one-sided-routing", "routing always chooses the same agent", OneSidedRouting),
    FaultKind("irrelevant-retrieval", "graders refuse every passage", IrrelevantRetrieval),
)

ALL_FAULTS = frozenset(kind.name for kind in KINDS)


def model_fault_board(models: Collection[str], skills: Collection[str]) -> FaultBoard:
    """A board that knows which models and skills its filters may name."""
    applications = {skill.split(".", 1)[0] for skill in skills}
    return FaultBoard(KINDS, {"models": tuple(models), "skills": (*skills, *applications)})


class RequestFaults:
    """The faults that hit one request, decided once, in a fixed order, from its own random."""

    def __init__(
        self,
        board: FaultBoard,
        model: str,
        skill: str,
        random: Random,
        only: Collection[str] = ALL_FAULTS,
    ) -> None:
        self._hits: dict[str, ModelFault] = {}
        for kind in KINDS:
            if kind.name not in only:
                continue
            parameters = board.active(kind.name)
            if not isinstance(parameters, ModelFault) or not parameters.applies_to(model, skill):
                continue
            if board.strikes(kind.name, random):
                self._hits[kind.name] = parameters

    def get(self, kind: type[_Fault]) -> _Fault | None:
        """The parameters of the fault when it hits this request."""
        return next((hit for hit in self._hits.values() if isinstance(hit, kind)), None)

    @property
    def hits(self) -> frozenset[str]:
        """Names of the faults that hit this request."""
        return frozenset(self._hits)

    @property
    def for_skills(self) -> frozenset[str]:
        """Names of the faults that the skill has to play."""
        return SKILL_FAULTS & self._hits.keys()
