from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
from langchain_openai import ChatOpenAI
from openai import DefaultAsyncHttpxClient
from pydantic import SecretStr
from retail_simulation.api import create_app

from tests.free_ports import free_port

READY_SECONDS = 60


class Programs:
    """What tests with real programs need; a fixture, because test modules cannot share imports."""

    @staticmethod
    def environment(**more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | more

    @staticmethod
    def wait_until(
        condition: Callable[[], bool], what: str, seconds: float = READY_SECONDS
    ) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"gave up waiting: {what}"
            time.sleep(0.05)

    def __init__(self) -> None:
        self._http = httpx.Client(timeout=2, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def answers(self, url: str) -> bool:
        try:
            return self._http.get(url).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    tools = Programs()
    yield tools
    tools.close()


@pytest.fixture(scope="session")
def model_server(programs: Programs) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "model_server", "--base-seconds", "0", "--per-token-seconds", "0"],
        env=programs.environment(PORT=str(port)),
    )
    url = f"http://127.0.0.1:{port}"
    try:
        programs.wait_until(lambda: programs.answers(f"{url}/healthz"), "the model server")
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def calm_model_server(model_server: str) -> Iterator[str]:
    yield model_server
    httpx.delete(f"{model_server}/control/faults", trust_env=False).raise_for_status()


Connect = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@asynccontextmanager
async def connected(model_url: str, seed: int = 1) -> AsyncIterator[httpx.AsyncClient]:
    """The application in this process, with the real client of a model at that address."""
    model = ChatOpenAI(
        model="gpt-4o-mini",
        base_url=f"{model_url}/v1",
        api_key=SecretStr("sk-test"),
        timeout=5,
        max_retries=0,
        # Its default client outlives this event loop: it is kept for the whole process.
        http_async_client=(http_client := DefaultAsyncHttpxClient()),
    )
    transport = httpx.ASGITransport(create_app(model, seed))
    client = httpx.AsyncClient(transport=transport, base_url="http://simulation")
    async with http_client, client:
        yield client


@pytest.fixture
def connect() -> Connect:
    return connected
