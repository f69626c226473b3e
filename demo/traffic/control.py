"""The control endpoint: see the figures, change the load, start and stop the storm."""

from __future__ import annotations

import json

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fault_control import (
    FaultBoard,
    FaultRefusedError,
    Problem,
    control_router,
    problems_of,
    refused_response,
)
from pydantic import ValidationError

from traffic.driver import Driver
from traffic.settings import MixChange


def create_app(driver: Driver, faults: FaultBoard) -> FastAPI:
    """Return the control application of a driver."""
    app = FastAPI(title="Load driver", docs_url=None, redoc_url=None)
    app.include_router(control_router(faults, lambda: _state(driver)))

    @app.get("/healthz")
    async def healthy() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.put("/control/mix")
    async def change_mix(request: Request) -> JSONResponse:
        try:
            change = MixChange.model_validate(json.loads(await request.body() or b"{}"))
            driver.mix = change.applied_to(driver.mix)
        except ValidationError as error:
            return _refused(problems_of(error))
        except ValueError as error:
            return _refused([Problem(field="(body)", given=None, message=f"no JSON: {error}")])
        return JSONResponse(driver.mix.model_dump())

    return app


def _state(driver: Driver) -> dict[str, object]:
    return {
        "mix": driver.mix.model_dump(),
        "rate": driver.rate,
        "summary": driver.statistics.summary().as_dict(),
    }


def _refused(problems: list[Problem]) -> JSONResponse:
    allowed = MixChange.model_json_schema()["properties"]
    return refused_response(
        FaultRefusedError("the load can't be changed so", problems, allowed, 422)
    )
