from __future__ import annotations

import ast
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import retail_simulation

from tests.free_ports import free_port


@pytest.fixture
def simulation(model_server: str, programs: Any) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "retail_simulation"],
        env=programs.environment(
            HOST="127.0.0.1",
            PORT=str(port),
            OPENAI_BASE_URL=f"{model_server}/v1",
            OPENAI_API_KEY="sk-secret-of-the-test",
            RETAIL_SIMULATION_MODEL="gpt-4.1-nano",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        programs.wait_until(lambda: programs.answers(f"{url}/readyz"), "the simulation")
        yield url, process
    finally:
        process.kill()
        process.communicate()


def test_the_program_serves_asks_the_model_it_was_given_and_ends_on_sigterm(
    simulation: tuple[str, subprocess.Popen[str]], model_server: str, programs: Any
) -> None:
    url, process = simulation
    assert programs.answers(f"{url}/healthz")
    answer = httpx.post(f"{url}/simulation/days", json={"days": 3}, timeout=60, trust_env=False)
    assert answer.json()["decisions"] > answer.json()["fallback_decisions"] == 0
    asked = httpx.get(f"{model_server}/control/state", trust_env=False).json()["answered"]
    assert asked["gpt-4.1-nano retail.orchestrator 200"] == answer.json()["events"]
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "sk-secret-of-the-test" not in told
    assert "Traceback" not in told


def test_the_program_ends_well_on_sigterm_while_its_model_holds_a_request(
    simulation: tuple[str, subprocess.Popen[str]], calm_model_server: str, programs: Any
) -> None:
    url, process = simulation
    httpx.put(f"{calm_model_server}/control/faults/timeout", trust_env=False).raise_for_status()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/simulation/days", json={"days": 3}, timeout=0.5, trust_env=False)
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=30)
    assert process.returncode == 0, told


def test_everything_that_is_wrong_with_the_environment_is_told_at_once(programs: Any) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "retail_simulation"],
        env=programs.environment(
            OPENAI_BASE_URL="model", RETAIL_SIMULATION_MODEL_TIMEOUT_SECONDS="soon"
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    for told in ("OPENAI_BASE_URL", "'model'", "OPENAI_API_KEY", "TIMEOUT_SECONDS", "'soon'"):
        assert told in ended.stderr


def test_the_application_knows_nothing_of_telemetry() -> None:
    imported: set[str] = set()
    for file in Path(retail_simulation.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    assert "langgraph" in imported
    assert imported & {"midwatch", "opentelemetry", "prometheus_client", "langfuse"} == set()
