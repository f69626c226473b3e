"""The control API of a running stack, on the loopback interface only."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from stack.supervisor.program import ManagedProgram
    from stack.supervisor.supervisor import Supervisor


_LOOK_SECONDS = 0.02


class _QuietServer(uvicorn.Server):
    """Leaves signals to the program that runs the supervisor."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ControlServer:
    """Serves `GET /programs`, `POST /programs/{name}/start|stop|kill` and `POST /shutdown`."""

    def __init__(self, supervisor: Supervisor, port: int) -> None:
        self._supervisor = supervisor
        routes = [
            Route("/programs", self._list),
            Route("/programs/{name}/{action}", self._act, methods=["POST"]),
            Route("/shutdown", self._shutdown, methods=["POST"]),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes),
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
        self._server = _QuietServer(config)

    async def serve(self) -> None:
        """Serve until `finish` is called."""
        await self._server.serve()

    async def wait_started(self) -> None:
        """Return when requests are answered."""
        while not self._server.started:
            await asyncio.sleep(_LOOK_SECONDS)

    def finish(self) -> None:
        """Let requests under way end, then `serve` returns."""
        self._server.should_exit = True

    async def _list(self, _: Request) -> JSONResponse:
        usage = await asyncio.to_thread(self._supervisor.usage)
        programs = {}
        for name, program in self._supervisor.programs.items():
            measured = usage.get(name)
            programs[name] = {**_described(program), **(asdict(measured) if measured else {})}
        return JSONResponse({"programs": programs})

    async def _act(self, request: Request) -> JSONResponse:
        from stack.supervisor.supervisor import UnknownProgramError

        action = request.path_params["action"]
        try:
            program = self._supervisor.program(request.path_params["name"])
        except UnknownProgramError as problem:
            return JSONResponse({"error": str(problem)}, status_code=404)
        if action == "stop":
            await program.stop()
        elif action == "start":
            program.start()
        elif action == "kill":
            await program.kill()
        else:
            message = f"there is no action {action!r}; there are start, stop and kill"
            return JSONResponse({"error": message}, status_code=404)
        return JSONResponse(_described(program))

    async def _shutdown(self, _: Request) -> JSONResponse:
        self._supervisor.finish()
        return JSONResponse({})


def _described(program: ManagedProgram) -> dict[str, object]:
    return {
        "state": str(program.state),
        "ready": program.ready.is_set(),
        "pid": program.pid,
        "restarts": program.restarts,
        "last_exit": program.last_exit,
        "failure": program.failure,
        "url": program.specification.url,
        "ports": dict(program.specification.ports),
        "log": str(program.log.path),
        "rss_bytes": None,
        "cpu_percent": None,
    }
