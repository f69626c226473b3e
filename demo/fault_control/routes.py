"""The HTTP face of a fault board, the same for every server: `/control/...`."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic_core import from_json

from fault_control.board import FaultBoard, FaultRefusedError
from fault_control.validation import Problem


def refused_response(error: FaultRefusedError) -> JSONResponse:
    """What a refused control request is answered with."""
    return JSONResponse(
        {"error": error.message, "problems": error.problems, "allowed": error.allowed},
        status_code=error.status,
    )


async def json_body(request: Request, what: str) -> object:
    """The request's JSON object, an empty body as `{}`; `FaultRefusedError` for anything else."""
    raw = await request.body()
    if not raw.strip():
        return {}
    try:
        body = from_json(raw)
    except ValueError as error:
        raise _no_object(raw, what, f"no JSON: {error}") from error
    if not isinstance(body, dict):
        raise _no_object(raw, what, "no JSON object")
    return body


def _no_object(raw: bytes, what: str, problem: str) -> FaultRefusedError:
    given = raw[:200].decode("utf-8", "replace")
    return FaultRefusedError(
        f"the body for {what} is {problem}",
        [Problem(field="(body)", given=given, message=problem)],
        {"body": "a JSON object with the parameters, or nothing"},
        422,
    )


def control_router(board: FaultBoard, more_state: Callable[[], dict[str, object]]) -> APIRouter:
    """Routes to see, start and stop the faults of `board`.

    Args:
        board: The server's faults.
        more_state: What else `GET /control/state` shows.
    """
    router = APIRouter(prefix="/control")

    @router.get("/state")
    async def state() -> dict[str, object]:
        return {"faults": board.state(), **more_state()}

    @router.get("/faults")
    async def faults() -> dict[str, object]:
        return {"active": board.state(), "available": board.catalogue()}

    @router.put("/faults/{name}")
    async def start(name: str, request: Request) -> JSONResponse:
        try:
            board.start(name, await json_body(request, f"fault {name!r}"))
        except FaultRefusedError as error:
            return refused_response(error)
        return JSONResponse({"name": name, "active": True, **board.state()[name]})

    @router.delete("/faults/{name}")
    async def stop(name: str) -> JSONResponse:
        try:
            was_active = board.stop(name)
        except FaultRefusedError as error:
            return refused_response(error)
        return JSONResponse({"name": name, "active": False, "was_active": was_active})

    @router.delete("/faults")
    async def stop_all() -> dict[str, object]:
        return {"stopped": board.stop_all()}

    return router
