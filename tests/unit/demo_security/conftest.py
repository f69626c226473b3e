"""Real servers on free loopback ports, and a security agent that talks to them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn
from appliance.application import create_app as create_appliance
from fastapi import FastAPI
from flask.testing import FlaskClient
from model_server.application import create_app as create_model_server
from model_server.latency import Latency
from model_server.settings import Settings

QUICK = Latency(base_seconds=0, per_token_seconds=0, jitter=0)


@dataclass(frozen=True)
class RunningServer:
    """A server of the demo that runs in this process."""

    url: str
    client: httpx.Client

    def put(self, path: str, body: object = None) -> httpx.Response:
        return self.client.put(path, json=body)

    def post(self, path: str, body: object = None) -> httpx.Response:
        return self.client.post(path, json=body)

    def fault(self, name: str, **parameters: object) -> None:
        self.put(f"/control/faults/{name}", parameters).raise_for_status()

    def get(self, path: str, timeout: float = 5) -> httpx.Response:
        return self.client.get(path, timeout=timeout)

    def delete(self, path: str) -> httpx.Response:
        return self.client.delete(path)


def run_server(app: FastAPI) -> Iterator[RunningServer]:
    """Serve an application on a free port until the generator is closed."""
    listener = socket.create_server(("127.0.0.1", 0))
    # Connections inherit it. Without, what follows the head of an answer comes 40 ms late.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1, lifespan="off")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, trust_env=False) as client:
            yield RunningServer(url, client)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@pytest.fixture(scope="session")
def serve() -> Callable[[FastAPI], Iterator[RunningServer]]:
    """Serves an application; a fixture, because test modules can't share imports."""
    return run_server


@pytest.fixture(scope="session")
def shared_model_server() -> Iterator[RunningServer]:
    yield from run_server(create_model_server(Settings(latency=QUICK)))


@pytest.fixture
def model_server(shared_model_server: RunningServer) -> Iterator[RunningServer]:
    """A model server without latency; faults end with the test."""
    yield shared_model_server
    shared_model_server.delete("/control/faults")
    shared_model_server.put("/control/latency", QUICK.model_dump())


@pytest.fixture(scope="session")
def shared_appliance() -> Iterator[RunningServer]:
    yield from run_server(create_appliance())


@pytest.fixture
def appliance(shared_appliance: RunningServer) -> Iterator[RunningServer]:
    """An appliance in balanced mode without blocks; faults end with the test."""
    yield shared_appliance
    shared_appliance.delete("/control/faults")
    shared_appliance.put("/api/mode", {"mode": "balanced"}).raise_for_status()
    for block in shared_appliance.get("/api/blocks").json()["blocks"]:
        shared_appliance.delete(f"/api/blocks/{block['address']}")


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Where the agent's events go."""
    return tmp_path / "agent-traces.jsonl"


@pytest.fixture(scope="session")
def model_clients() -> Iterator[None]:
    """The agent's model clients, made once for the session's model server."""
    from security_agent.assistant import knowledge, llm

    cached = (
        knowledge.get_knowledge_base,
        llm.get_llm,
        llm.get_streaming_llm,
        llm.get_embeddings,
    )
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


@pytest.fixture
def agent_environment(
    model_server: RunningServer,
    appliance: RunningServer,
    traces: Path,
    model_clients: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """The security agent set up for the servers, with telemetry of its own for this test."""
    for name in [name for name in os.environ if name.startswith(("SECURITY_AGENT_", "AGENT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{model_server.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    monkeypatch.setenv("APPLIANCE_URL", appliance.url)
    monkeypatch.setenv("SECURITY_AGENT_MODEL_MAX_RETRIES", "0")
    from security_agent.assistant import graph, tools
    from security_agent.assistant.telemetry import AgentTelemetry

    tools.get_appliance.cache_clear()
    monkeypatch.setattr(graph, "TELEMETRY", AgentTelemetry("security_agent", traces, True))
    yield
    tools.get_appliance().close()
    tools.get_appliance.cache_clear()


@pytest.fixture
def client(agent_environment: None) -> Iterator[FlaskClient]:
    """A client of the security agent's HTTP interface."""
    from security_agent.assistant.api import create_app
    from security_agent.assistant.readiness import dependency_check
    from security_agent.config import AppConfig

    readiness = dependency_check(AppConfig())
    yield create_app(readiness=readiness).test_client()
    readiness.close()
