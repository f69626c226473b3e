"""Real servers on free loopback ports for the tests of the security demo."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from model_server.application import create_app
from model_server.latency import Latency
from model_server.settings import Settings

QUICK = Latency(base_seconds=0, per_token_seconds=0, jitter=0)


@dataclass(frozen=True)
class RunningServer:
    """A server of the demo that runs in this process."""

    url: str

    def put(self, path: str, body: object = None) -> httpx.Response:
        return httpx.put(f"{self.url}{path}", json=body)

    def fault(self, name: str, **parameters: object) -> None:
        self.put(f"/control/faults/{name}", parameters).raise_for_status()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}")

    def state(self) -> dict[str, object]:
        state: dict[str, object] = self.get("/control/state").json()
        return state


def run_server(app: FastAPI) -> Iterator[RunningServer]:
    """Serve an application on a free port until the generator is closed."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1, lifespan="off")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield RunningServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@pytest.fixture(scope="session")
def shared_model_server() -> Iterator[RunningServer]:
    yield from run_server(create_app(Settings(latency=QUICK)))


@pytest.fixture
def model_server(shared_model_server: RunningServer) -> Iterator[RunningServer]:
    """A model server without latency; faults end with the test."""
    yield shared_model_server
    httpx.delete(f"{shared_model_server.url}/control/faults")
    shared_model_server.put("/control/latency", QUICK.model_dump())
