"""`/experiments`: prompts tried beside each other, and the guards that end what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from midwatch_ledger.api.analytics_parameters import Confidence
from midwatch_ledger.api.analytics_schemas import Comparison, Ratio
from midwatch_ledger.api.answers import Limit, Offset, json_answer
from midwatch_ledger.api.problems import ProblemError, documented
from midwatch_ledger.services import experiments, guards
from midwatch_ledger.services.experiments import UnknownExperimentError
from midwatch_ledger.services.guards import Limits, UnknownVariantError
from midwatch_ledger.services.prompts import Change
from midwatch_ledger.store import experiments as store

router = APIRouter(prefix="/experiments", tags=["experiments"])

Share = Annotated[float | None, Field(ge=0, le=1)]
Factor = Annotated[float | None, Field(gt=0, le=1000)]


class LimitsGiven(BaseModel):
    """Limits of the variants; at least one, each surely breached before anything happens."""

    model_config = ConfigDict(extra="forbid")

    min_samples: int = Field(default=100, ge=20, le=10_000_000)
    confidence: float = Field(default=0.99, ge=0.8, le=0.99999)
    max_failure_ratio: Annotated[Share, Field(description="Of model calls.")] = None
    min_success_ratio: Annotated[Share, Field(description="Of business outcomes.")] = None
    max_negative_feedback_ratio: Share = None
    max_cost_ratio: Annotated[Factor, Field(description="Of a call, to the control's.")] = None
    max_latency_ratio: Annotated[Factor, Field(description="Of p95, to the control's.")] = None

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        named = self.model_dump(exclude={"min_samples", "confidence"})
        if all(value is None for value in named.values()):
            raise ValueError(f"limits nothing; set at least one of {', '.join(named)}")
        return self


class GuardGiven(BaseModel):
    """Who guards an experiment, and how."""

    model_config = ConfigDict(extra="forbid")

    by: Annotated[str, Field(min_length=1, max_length=200)]
    control: Annotated[
        str | None, Field(max_length=200, description="Left out: `control`, else the heaviest.")
    ] = None
    limits: LimitsGiven


class GuardAnswer(BaseModel):
    """A guard; once it has rolled a label back it is no longer armed and says why."""

    prompt: str
    label: str
    control: str
    limits: dict[str, Any]
    armed: bool
    updated_by: str
    updated_at: datetime
    checked_at: datetime | None
    verdict: dict[str, Any] | None


class VariantTold(BaseModel):
    """What a variant's sessions get, and how many of them."""

    version: str
    weight: float


class ExperimentTold(BaseModel):
    """The newest experiment of a label."""

    prompt: str
    label: str
    experiment: str
    state: str = Field(description="running or ended")
    started_at: datetime
    ended_at: datetime | None
    changed_by: str
    assignment: dict[str, VariantTold]
    guard: GuardAnswer | None


class ExperimentsAnswer(BaseModel):
    """The newest experiment of each label that ever had one."""

    items: list[ExperimentTold]


class VariantResult(BaseModel):
    """How a variant did."""

    variant: str
    version: str
    uses: int
    turns: int
    failures: Ratio | None
    cost_usd: float
    avg_cost_usd: float | None
    avg_ms: float | None
    p95_ms: float | None
    success: Ratio | None
    negative_feedback: Ratio | None
    against_control: list[Comparison] | None


class ExperimentResults(ExperimentTold):
    """How the variants did beside the control."""

    control: str
    confidence: float
    variants: list[VariantResult]


@router.get("", response_model=ExperimentsAnswer, responses=documented(401, 422, 503))
def list_experiments(request: Request, limit: Limit = 100, offset: Offset = 0) -> Response:
    """List the newest experiment of each label, with its guard."""
    with request.app.state.database.reading() as connection:
        known = {(row["prompt"], row["label"]): row for row in store.guards(connection)}
        found = experiments.listed(connection)[offset : offset + limit]
    return json_answer(
        {
            "items": [
                {**experiments.told(one), "guard": known.get((one.prompt, one.label))}
                for one in found
            ]
        }
    )


@router.get(
    "/{prompt}/{label}", response_model=ExperimentResults, responses=documented(401, 404, 422, 503)
)
def get_experiment(
    request: Request,
    prompt: str,
    label: str,
    control: Annotated[str | None, Query(max_length=200)] = None,
    confidence: Confidence = 0.95,
) -> Response:
    """Show uses, cost, latency, outcomes and feedback by variant, and what is significant."""
    with _told(), request.app.state.database.reading() as connection:
        experiment = experiments.find(connection, prompt, label)
        guard = store.guard(connection, prompt, label)
        wanted = control or (guard["control"] if guard else None)
        if control is not None and experiment.control(control) != control:
            raise UnknownVariantError(f"control {control!r} is no variant of this experiment")
        answer = experiments.results(connection, experiment, wanted, _now(), confidence)
    return json_answer({**answer, "guard": guard})


@router.put(
    "/{prompt}/{label}/guard",
    response_model=GuardAnswer,
    responses=documented(401, 404, 422, 503),
)
def set_guard(request: Request, prompt: str, label: str, given: GuardGiven) -> Response:
    """Have a variant that surely breaches its limits be taken out of use, on the record."""
    limits = Limits(**given.limits.model_dump())
    with _told(), request.app.state.database.writing() as connection:
        change = Change(given.by, _now())
        return json_answer(guards.arm(connection, prompt, label, given.control, limits, change))


@router.delete("/{prompt}/{label}/guard", status_code=204, responses=documented(401, 404, 422, 503))
def remove_guard(request: Request, prompt: str, label: str) -> Response:
    """Take the guard away."""
    with request.app.state.database.writing() as connection:
        removed = store.remove_guard(connection, prompt, label)
    if not removed:
        raise ProblemError(404, f"label {label!r} of prompt {prompt!r} has no guard")
    return Response(status_code=204)


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except UnknownExperimentError as error:
        raise ProblemError(404, str(error)) from None
    except UnknownVariantError as error:
        raise ProblemError(422, str(error)) from None
