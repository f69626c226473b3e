"""The HTTP interface of the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict, Field

from retail_simulation.engine import UnknownShelfError
from retail_simulation.models import (
    EventType,
    RecordedConflict,
    RecordedDecision,
    SimulationTrace,
)
from retail_simulation.service import BusyError, SimulationService

MOST_DAYS = 60


class DaysRequest(BaseModel):
    """How many days to simulate, and the seed of a new simulation if one is to begin."""

    model_config = ConfigDict(extra="forbid")

    days: int = Field(ge=1, le=MOST_DAYS)
    seed: int | None = Field(default=None, ge=0, lt=2**63)


class EventRequest(BaseModel):
    """An event that shall happen now."""

    model_config = ConfigDict(extra="forbid")

    type: EventType
    store_id: str
    product_id: str
    severity: float = Field(default=0.8, ge=0, le=1)


RecordType = TypeVar("RecordType", bound=BaseModel)
Limit = Annotated[int, Query(ge=1, le=500)]


def create_app(model: BaseChatModel, seed: int) -> FastAPI:
    """Return the application around a new simulation."""
    app = FastAPI(title="Retail simulation", version="0.1.0")
    service = SimulationService(model, seed)

    @app.post("/simulation/days")
    async def run_days(request: DaysRequest) -> dict[str, Any]:
        return asdict(await service.run_days(request.days, request.seed))

    @app.get("/simulation/state")
    async def state() -> dict[str, Any]:
        return service.state()

    @app.get("/simulation/events")
    async def events(limit: Limit = 100) -> list[SimulationTrace]:
        return _newest(service.traces, limit)

    @app.get("/simulation/decisions")
    async def decisions(limit: Limit = 100) -> list[RecordedDecision]:
        return _newest(service.decisions, limit)

    @app.get("/simulation/conflicts")
    async def conflicts(limit: Limit = 100) -> list[RecordedConflict]:
        return _newest(service.conflicts, limit)

    @app.post("/simulation/events", status_code=201)
    async def inject(request: EventRequest) -> SimulationTrace:
        return await service.inject(
            request.type, request.store_id, request.product_id, request.severity
        )

    _add_health(app)
    app.add_exception_handler(RequestValidationError, _refuse_invalid)
    app.add_exception_handler(UnknownShelfError, _refuse_unknown)
    app.add_exception_handler(BusyError, _refuse_busy)
    return app


def _add_health(app: FastAPI) -> None:
    """Ready means able to simulate: without its model the simulation goes on by rules."""

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.get("/healthz")
    async def healthy() -> dict[str, str]:
        return {"status": "ok"}


def _newest(records: Sequence[RecordType], limit: int) -> list[RecordType]:
    return list(islice(reversed(records), limit))


async def _refuse_invalid(request: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    problems = [
        {
            "field": ".".join(str(part) for part in problem["loc"][1:]) or "body",
            "given": repr(problem.get("input"))[:200],
            "problem": problem["msg"],
        }
        for problem in found
    ]
    return _problem(422, "The request is not valid", problems)


async def _refuse_unknown(request: Request, error: Exception) -> JSONResponse:
    return _problem(422, str(error), [])


async def _refuse_busy(request: Request, error: Exception) -> JSONResponse:
    return _problem(429, str(error), [], {"Retry-After": "2"})


def _problem(
    status: int,
    title: str,
    problems: list[dict[str, Any]],
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    body = {"title": title, "status": status, "errors": problems}
    return JSONResponse(body, status, headers, media_type="application/problem+json")
