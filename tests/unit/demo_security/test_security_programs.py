"""The three programs as processes: they start, serve, end on SIGTERM, and say what is wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.free_ports import free_port

Start = Callable[..., tuple[subprocess.Popen[str], str]]


def environment(**more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AGENT_", "SECURITY_AGENT_", "OPENAI_", "OTEL_", "MIDWATCH_"))
        and name not in {"HOST", "PORT"}
    }
    return {**kept, **more}


@pytest.fixture
def start(tmp_path) -> Iterator[Start]:
    """Starts a program on a free port and waits until it is alive."""
    running: list[subprocess.Popen[str]] = []

    def run(module: str, *arguments: str, **more: str) -> tuple[subprocess.Popen[str], str]:
        port = free_port()
        with (tmp_path / f"{module}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=environment(PORT=str(port), **more),
                stdout=log,
                stderr=log,
                text=True,
                cwd=tmp_path,
            )
        running.append(process)
        url = f"http://127.0.0.1:{port}"
        wait_until_alive(process, url)
        return process, url

    yield run
    for process in running:
        process.kill()
        process.wait()


def wait_until_alive(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + 60
    with httpx.Client(base_url=url, trust_env=False) as client:
        while time.monotonic() < deadline:
            assert process.poll() is None, "the program ended"
            try:
                if client.get("/healthz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
    raise AssertionError(f"{url} did not come up")


def end(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=15)


@pytest.mark.parametrize("module", ["model_server", "appliance"])
def test_a_server_ends_on_sigterm_even_while_it_holds_a_connection(start, module):
    process, url = start(module)
    fault, path = ("timeout", "/v1/models") if module == "model_server" else ("hang", "/api/mode")
    with httpx.Client(base_url=url, trust_env=False, timeout=0.5) as client:
        assert client.put(f"/control/faults/{fault}").is_success
        with pytest.raises(httpx.ReadTimeout):
            client.get(path, headers={"authorization": "Bearer k"})
    assert end(process) == 0


@pytest.mark.parametrize("observability", ["true", "false"])
def test_the_agent_answers_with_and_without_telemetry(
    start, model_server, appliance, tmp_path, observability
):
    process, url = start(
        "security_agent",
        OPENAI_BASE_URL=f"{model_server.url}/v1",
        OPENAI_API_KEY="k",
        APPLIANCE_URL=appliance.url,
        AGENT_OBSERVABILITY_ENABLED=observability,
        AGENT_METRICS_NAMESPACE="security_agent",
        AGENT_TRACE_JSONL_PATH=str(tmp_path / "logs" / "agent-traces.jsonl"),
    )
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        assert client.get("/readyz").json()["ready"] is True
        reply = client.post("/chat", json={"message": "What is the current status?"})
        metrics = client.get("/metrics").text
    assert reply.json()["outcome"] == "answered"
    assert "security_agent_chat_requests_total 1.0" in metrics
    assert ("security_agent_agent_route_total" in metrics) is (observability == "true")
    assert (tmp_path / "logs").exists() is (observability == "true")
    assert end(process) == 0


def run_agent(*arguments: str, answers: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "security_agent", *arguments],
        env=environment(AGENT_OBSERVABILITY_ENABLED="false", **more),
        input=answers,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_one_question_can_be_asked_on_the_command_line(
    agent_environment, run_module, appliance, monkeypatch
):
    # The log of this process is pytest's.
    monkeypatch.setattr("security_agent.logs.configure_logging", lambda level: None)
    done = run_module("security_agent", "chat", "Switch to strict mode", answers="y\n")
    assert done.returncode == 0, done.stderr
    assert "Please confirm" in done.stdout
    assert "Done, as you confirmed" in done.stdout
    assert appliance.get("/api/mode").json() == {"mode": "strict"}


def test_a_question_that_cannot_be_answered_ends_with_the_reason():
    done = run_agent(
        "chat",
        "Show the status",
        OPENAI_BASE_URL=f"http://127.0.0.1:{free_port()}/v1",
        OPENAI_API_KEY="k",
        SECURITY_AGENT_MODEL_MAX_RETRIES="0",
    )
    assert done.returncode == 1
    assert "can't be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_ends_the_start_with_what_is_allowed():
    done = run_agent(OPENAI_BASE_URL="nowhere", SECURITY_AGENT_TURN_SECONDS="-1")
    assert done.returncode == 2
    assert "OPENAI_BASE_URL='nowhere'" in done.stderr
    assert "SECURITY_AGENT_TURN_SECONDS='-1'" in done.stderr
    assert "OPENAI_API_KEY is not set" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["model_server", "appliance", "security_agent"])
def test_a_port_in_use_is_told_with_the_way_out(module):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", module],
            env=environment(PORT=str(port), OPENAI_API_KEY="k", AGENT_OBSERVABILITY_ENABLED="no"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode != 0
    assert str(port) in done.stderr
    assert "PORT" in done.stderr
    assert "Traceback" not in done.stderr
