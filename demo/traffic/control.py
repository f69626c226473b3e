"""The control endpoint: see the figures, change the load, start and stop the storm."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fault_control import (
    FaultBoard,
    FaultRefusedError,
    control_router,
    json_body,
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
            change = MixChange.model_validate(await json_body(request, "the load"))
            driver.mix = change.applied_to(driver.mix)
        except ValidationError as error:
            allowed = MixChange.model_json_schema()["properties"]
            return refused_response(
                FaultRefusedError("the load can't be changed so", problems_of(error), allowed, 422)
            )
        except FaultRefusedError as error:
            return refused_response(error)
        return JSONResponse(driver.mix.model_dump())

    return app


def _state(driver: Driver) -> dict[str, object]:
    return {
        "mix": driver.mix.model_dump(),
        "rate": driver.rate,
        "summary": driver.statistics.summary().as_dict(),
    }
