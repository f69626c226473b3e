"""Which faults a server knows, which are active, and with what parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fault_control.validation import Problem, problems_of


class FaultParameters(BaseModel):
    """What every fault takes; a server's own faults add to it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    probability: float = Field(
        default=1.0, gt=0, le=1, description="share of the requests that it hits"
    )


@dataclass(frozen=True)
class FaultKind:
    """A fault that a server can play."""

    name: str
    description: str
    parameters: type[FaultParameters]

    def allowed(self) -> dict[str, object]:
        """The JSON schema of each parameter."""
        properties = self.parameters.model_json_schema()["properties"]
        return dict(properties)


class FaultRefusedError(Exception):
    """A fault that can't be started; says which problems there are and what is allowed."""

    def __init__(
        self, message: str, problems: Sequence[Problem], allowed: Mapping[str, object], status: int
    ) -> None:
        super().__init__(message)
        self.message = message
        self.problems = list(problems)
        self.allowed = dict(allowed)
        self.status = status


class FaultBoard:
    """The active faults of one server."""

    def __init__(
        self, kinds: Sequence[FaultKind], context: Mapping[str, object] | None = None
    ) -> None:
        self._kinds = {kind.name: kind for kind in kinds}
        self._context = dict(context or {})
        self._active: dict[str, FaultParameters] = {}
        self._hits: dict[str, int] = {}

    def start(self, name: str, parameters: object) -> FaultParameters:
        """Start a fault or replace its parameters.

        Raises:
            FaultRefusedError: no such fault (404) or wrong parameters (422).
        """
        kind = self.kind(name)
        try:
            accepted = kind.parameters.model_validate(parameters, context=self._context)
        except ValidationError as error:
            raise FaultRefusedError(
                f"fault {name!r} can't be started with these parameters",
                problems_of(error),
                kind.allowed(),
                422,
            ) from error
        self._active[name] = accepted
        self._hits[name] = 0
        return accepted

    def kind(self, name: str) -> FaultKind:
        """The fault of that name, or `FaultRefusedError` with status 404."""
        if name not in self._kinds:
            raise FaultRefusedError(
                f"no fault is called {name!r}; use one of {', '.join(sorted(self._kinds))}",
                [Problem(field="name", given=name, message="unknown fault")],
                {"name": sorted(self._kinds)},
                404,
            )
        return self._kinds[name]

    def stop(self, name: str) -> bool:
        """End a fault; says whether it was active."""
        self.kind(name)
        return self._active.pop(name, None) is not None

    def stop_all(self) -> list[str]:
        """End all faults; names those that were active."""
        stopped = sorted(self._active)
        self._active.clear()
        return stopped

    def active(self, name: str) -> FaultParameters | None:
        """The parameters of a fault when it is active."""
        return self._active.get(name)

    def strikes(self, name: str, random: Random) -> bool:
        """Whether an active fault hits this time by its probability; counts the hit."""
        parameters = self._active.get(name)
        if parameters is None or random.random() >= parameters.probability:
            return False
        self._hits[name] += 1
        return True

    def state(self) -> dict[str, dict[str, object]]:
        """The active faults with their parameters and how often each has struck."""
        return {
            name: {**parameters.model_dump(), "hits": self._hits[name]}
            for name, parameters in sorted(self._active.items())
        }

    def catalogue(self) -> dict[str, dict[str, object]]:
        """All faults that can be started, with their parameters."""
        return {
            name: {"description": kind.description, "parameters": kind.allowed()}
            for name, kind in sorted(self._kinds.items())
        }
