"""Turns of the demo's applications, with the shim and without: their time, their CPU."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import uvicorn
from appliance.application import create_app as create_appliance
from model_server.application import create_app as create_model_server
from model_server.settings import Settings

from tests.bench.outages import collector
from tests.bench.processes import _OF_THE_TESTER

PROMISED_PERCENT = 5.0
_START_SECONDS = 60.0
_QUESTIONS = (
    "What is the status of the firewall?",
    "How long are logs kept?",
    "Which sensors reported something last night?",
)


@dataclass(frozen=True)
class Application:
    """An application of the demo and how to take a turn with it."""

    name: str
    module: str
    ready: str
    turn: Callable[[httpx.Client, int], httpx.Response]


APPLICATIONS = (
    Application(
        "security agent",
        "security_agent",
        "/readyz",
        lambda client, number: client.post(
            "/chat",
            json={
                "message": _QUESTIONS[number % len(_QUESTIONS)],
                "session_id": f"bench-{number // 3}",
            },
        ),
    ),
    Application(
        "retail simulation",
        "retail_simulation",
        "/readyz",
        lambda client, number: client.post("/simulation/days", json={"days": 1, "seed": number}),
    ),
)


@dataclass
class Served:
    """An application that runs, and what its turns took."""

    process: psutil.Process
    client: httpx.Client
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    def take_turn(self, application: Application, number: int, *, counts: bool) -> None:
        """Take a turn; its CPU is that of the whole process until the answer is there."""
        before, began = self._cpu(), time.perf_counter()
        application.turn(self.client, number).raise_for_status()
        if counts:
            self.seconds.append(time.perf_counter() - began)
            self.cpu_seconds.append(self._cpu() - before)

    def _cpu(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


def watch_demo(turns: int, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """One row for each application: turns with the shim and without, taken by turns."""
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        model = stack.enter_context(_in_thread(create_model_server(Settings())))
        appliance = stack.enter_context(_in_thread(create_appliance()))
        address = stack.enter_context(collector("healthy"))
        for application in APPLICATIONS:
            progress(f"{application.name}: {turns} turns with the shim and without")
            with TemporaryDirectory(prefix="midwatch-bench-") as folder:
                environment = _environment(model, appliance, address, folder)
                rows.append(_application(application, turns, environment, Path(folder)))
    return rows


def _application(
    application: Application, turns: int, environment: dict[str, str], folder: Path
) -> dict[str, Any]:
    with ExitStack() as stack:
        served = {
            shimmed: stack.enter_context(_running(application, environment, folder, shimmed))
            for shimmed in (False, True)
        }
        for number in range(turns + 5):
            for one in served.values():
                one.take_turn(application, number, counts=number >= 5)
    plain, ours = served[False], served[True]
    added = statistics.median(
        with_it - without for with_it, without in zip(ours.seconds, plain.seconds, strict=True)
    )
    turn = statistics.median(plain.seconds)
    return {
        "application": application.name,
        "turns": turns,
        "turn_ms": turn * 1000,
        "turn_with_shim_ms": statistics.median(ours.seconds) * 1000,
        "added_ms": added * 1000,
        "added_percent": added / turn * 100,
        "cpu_ms": statistics.mean(plain.cpu_seconds) * 1000,
        "cpu_with_shim_ms": statistics.mean(ours.cpu_seconds) * 1000,
        "promised_percent": PROMISED_PERCENT,
    }


@contextmanager
def _running(
    application: Application, environment: dict[str, str], folder: Path, shimmed: bool
) -> Iterator[Served]:
    port = _free_port()
    command = [sys.executable, "-m", application.module]
    if shimmed:
        command = [str(Path(sys.executable).with_name("midwatch-run")), *command]
    process = subprocess.Popen(
        command,
        env={
            **environment,
            "PORT": str(port),
            "AGENT_OBSERVABILITY_ENABLED": str(shimmed).lower(),
        },
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            _wait_until_ready(client, application, process)
            yield Served(psutil.Process(process.pid), client)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(
    client: httpx.Client, application: Application, process: subprocess.Popen[bytes]
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if client.get(application.ready).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the {application.name} did not get ready in {_START_SECONDS:.0f} s")


def _environment(model: str, appliance: str, address: str, folder: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_OF_THE_TESTER)}
    return {
        **kept,
        "OPENAI_BASE_URL": f"{model}/v1",
        "OPENAI_API_KEY": "bench-key",
        "APPLIANCE_URL": appliance,
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_SERVICE_NAME": "bench",
        "MIDWATCH_SPOOL_DIR": folder,
        "HOME": folder,
    }


@contextmanager
def _in_thread(application: Any) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
