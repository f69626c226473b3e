"""The appliance's routes."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from random import Random
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fault_control import FaultBoard, Problem, as_json_value, control_router
from pydantic import BaseModel, ConfigDict, Field

from appliance.faults import Hang, Slow, Unavailable, appliance_fault_board, hit
from appliance.world import Mode, World

_DISCONNECT_POLL_SECONDS = 0.2


class ModeChange(BaseModel):
    """The body of `PUT /api/mode`."""

    model_config = ConfigDict(extra="forbid")

    mode: Mode


class BlockRequest(BaseModel):
    """The body of `POST /api/blocks`."""

    model_config = ConfigDict(extra="forbid")

    address: Annotated[str, Field(min_length=2, max_length=64)]
    reason: Annotated[str, Field(max_length=500)] = ""


class FaultGate:
    """Plays the active faults before an operation does its work."""

    def __init__(self, board: FaultBoard, seed: int) -> None:
        self._board = board
        # Not for secrets: the same seed must strike the same requests.
        self._random = Random(seed)  # noqa: S311

    async def __call__(self, request: Request) -> None:
        """Wait, hold or refuse as the faults for the request's operation say."""
        operation = request.url.path.removeprefix("/api/").split("/", 1)[0]
        hang = hit(self._board, Hang, operation, self._random)
        if hang is not None:
            await _hold(request, hang.seconds)
        slow = hit(self._board, Slow, operation, self._random)
        if slow is not None:
            await asyncio.sleep(slow.extra_seconds)
        if hit(self._board, Unavailable, operation, self._random) is not None:
            raise HTTPException(503, "the appliance is restarting its policy engine; try later")


def create_app(seed: int = 7) -> FastAPI:
    """The appliance as an ASGI application with a world of its own."""
    world = World(seed)
    board = appliance_fault_board()
    app = FastAPI(title="Protection appliance", docs_url=None, redoc_url=None)
    app.include_router(control_router(board, lambda: {"world": world.status()}))
    gate = Depends(FaultGate(board, seed))
    app.include_router(_reading(world), dependencies=[gate])
    app.include_router(_changing(world), dependencies=[gate])

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", dependencies=[gate])
    async def readyz() -> dict[str, str]:
        return {"status": "ready"}

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        problems = [
            Problem(
                field=".".join(map(str, e["loc"][1:])),
                given=as_json_value(e["input"]),
                message=e["msg"],
            )
            for e in error.errors()
        ]
        return JSONResponse({"error": "invalid request", "problems": problems}, status_code=422)

    return app


def _reading(world: World) -> APIRouter:
    router = APIRouter(prefix="/api")

    @router.get("/status")
    async def status() -> dict[str, object]:
        return world.status()

    @router.get("/alerts")
    async def alerts(severity: Literal["high", "medium", "low"] | None = None) -> dict[str, object]:
        return {"alerts": world.open_alerts(severity)}

    @router.get("/mode")
    async def mode() -> dict[str, str]:
        return {"mode": world.mode}

    @router.get("/blocks")
    async def blocks() -> dict[str, object]:
        return {"blocks": [asdict(block) for block in world.blocks.values()]}

    @router.get("/reports/{period}")
    async def report(period: Literal["day", "week"]) -> dict[str, object]:
        return world.report(period)

    return router


def _changing(world: World) -> APIRouter:
    router = APIRouter(prefix="/api")

    @router.put("/mode")
    async def set_mode(change: ModeChange) -> dict[str, str]:
        previous, world.mode = world.mode, change.mode
        return {"mode": world.mode, "previous": previous}

    @router.post("/blocks", status_code=201)
    async def block(wanted: BlockRequest) -> dict[str, str]:
        try:
            return asdict(world.block(wanted.address, wanted.reason))
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @router.delete("/blocks/{address:path}")
    async def unblock(address: str) -> dict[str, str]:
        if not world.unblock(address):
            raise HTTPException(404, f"{address!r} is not blocked")
        return {"address": address, "state": "removed"}

    return router


async def _hold(request: Request, seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline and not await request.is_disconnected():
        await asyncio.sleep(_DISCONNECT_POLL_SECONDS)
    raise HTTPException(504, "the appliance did not answer in time")
