from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from traffic.driver import Driver
from traffic.faults import traffic_fault_board
from traffic.player import Targets
from traffic.settings import PROFILES, Profile
from traffic.statistics import Summary

from tests.free_ports import free_port


class FakeAgent:
    """Stands for an application: slow or failing as told, and it remembers what it was asked."""

    def __init__(self, port: int = 0) -> None:
        self.seconds = 0.0
        self.status = 200
        self.bodies: list[dict[str, Any]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                with agent.counted(json.loads(raw)):
                    time.sleep(agent.seconds)
                self.send_response(agent.status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments: object) -> None:
                """Keep the test's output clean."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *arguments: object) -> None:
                """A driver that gives up on a connection is expected."""

        self.server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self._thread.start()

    def counted(self, body: dict[str, Any]) -> FakeAgent:
        with self._lock:
            self.bodies.append(body)
        return self

    def __enter__(self) -> None:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._at_once -= 1

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    fake = FakeAgent()
    yield fake
    fake.close()


def play(url: str, seconds: float, grace_seconds: float = 0.1, **changes: object) -> Summary:
    # Simulation requests have one turn and no pause: each arrival is one request.
    mix = PROFILES[Profile.NORMAL].model_copy(update={"simulation_ratio": 1.0, **changes})
    driver = Driver(1, mix, Targets(url, url), traffic_fault_board())
    asyncio.run(driver.run(seconds, grace_seconds))
    return driver.statistics.summary()


def test_arrivals_keep_their_rate_while_answers_are_slow(agent: FakeAgent) -> None:
    agent.seconds = 1.0
    summary = play(agent.url, 2.0, rate=20.0, max_concurrency=200)
    assert 32 <= summary.arrivals <= 41
    assert summary.shed == 0
    # A closed loop would wait for the first answers; these came while none was there yet.
    assert agent.most_at_once >= 10


def test_arrivals_for_which_there_is_no_room_are_shed_and_counted(agent: FakeAgent) -> None:
    agent.seconds = 5.0
    summary = play(agent.url, 1.0, rate=20.0, max_concurrency=3)
    assert agent.most_at_once == 3
    assert summary.arrivals - summary.shed == 3
    assert summary.arrivals >= 14


def test_a_failing_application_does_not_end_the_load(agent: FakeAgent) -> None:
    agent.status = 500
    summary = play(agent.url, 1.0, grace_seconds=3, rate=20.0)
    assert summary.failed == summary.requests == summary.arrivals >= 14
    assert "500" in summary.last_failure


def test_a_refusal_is_not_a_failure(agent: FakeAgent) -> None:
    agent.status = 429
    summary = play(agent.url, 0.5, grace_seconds=3, rate=20.0)
    assert (summary.refused, summary.failed) == (summary.requests, 0)
    assert summary.requests


def test_an_application_that_is_not_there_is_counted_as_unreachable(programs: Any) -> None:
    summary = play(f"http://127.0.0.1:{free_port()}", 0.5, rate=20.0)
    assert summary.unreachable == summary.requests > 0


def test_the_turns_of_a_conversation_share_their_session(agent: FakeAgent) -> None:
    summary = play(agent.url, 1.0, grace_seconds=8, simulation_ratio=0.0, rate=20.0)
    by_session: dict[str, int] = {}
    for body in agent.bodies:
        by_session[body["session_id"]] = by_session.get(body["session_id"], 0) + 1
    assert len(by_session) == summary.arrivals - summary.shed
    assert max(by_session.values()) > 1
    assert any(body.get("confirm") is True for body in agent.bodies)


class RunningTraffic:
    def __init__(self, port: int, environment: dict[str, str], *arguments: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._http = httpx.Client(trust_env=False)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "traffic", "--report-every", "0.3", *arguments],
            env=environment | {"PORT": str(port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self._http.close()

    def control(self, method: str, path: str, **body: object) -> httpx.Response:
        return self._http.request(method, self.url + path, json=body or None)

    def summary(self) -> dict[str, Any]:
        state: dict[str, Any] = self.control("GET", "/control/state").json()
        summary: dict[str, Any] = state["summary"]
        return summary

    def end(self) -> list[dict[str, Any]]:
        """Send SIGTERM and return the lines that it wrote."""
        self.process.send_signal(signal.SIGTERM)
        out, error = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, error
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def traffic(agent: FakeAgent, programs: Any) -> Iterator[RunningTraffic]:
    running = RunningTraffic(
        free_port(),
        programs.environment(),
        "--security-agent-url",
        agent.url,
        "--retail-simulation-url",
        agent.url,
        "--rate",
        "10",
    )
    try:
        programs.wait_until(lambda: programs.answers(f"{running.url}/readyz"), "the load driver")
        yield running
    finally:
        running.process.kill()
        running.process.communicate()
        running.close()


def test_the_program_reports_survives_a_failure_and_ends_on_sigterm_with_a_summary(
    agent: FakeAgent, traffic: RunningTraffic, programs: Any
) -> None:
    programs.wait_until(lambda: traffic.summary()["ok"] > 0, "good answers")
    agent.status = 503
    programs.wait_until(lambda: traffic.summary()["failed"] > 0, "failures")
    agent.status = 200
    good = traffic.summary()["ok"]
    programs.wait_until(lambda: traffic.summary()["ok"] > good, "good answers again")
    lines = traffic.end()
    assert [line["event"] for line in lines[-2:]] == ["traffic", "traffic.finished"]
    assert lines[-1]["in_flight"] == 0
    assert lines[-1]["requests"] == len(agent.bodies)


def test_a_storm_starts_and_stops_on_command(traffic: RunningTraffic, programs: Any) -> None:
    storm = "/control/faults/guardrail-storm"
    traffic.control("PUT", "/control/mix", guardrail_ratio=0, rate=10).raise_for_status()
    answer = traffic.control("PUT", storm, probability=1, rate_factor=3)
    assert answer.status_code == 200
    assert traffic.control("GET", "/control/state").json()["rate"] == 30
    before = traffic.summary()["kinds"].get("injection", 0)
    programs.wait_until(
        lambda: traffic.summary()["kinds"].get("injection", 0) > before + 5, "injections"
    )
    traffic.control("DELETE", storm).raise_for_status()
    after = traffic.summary()
    programs.wait_until(
        lambda: traffic.summary()["arrivals"] > after["arrivals"] + 5, "more arrivals"
    )
    assert traffic.summary()["kinds"]["injection"] == after["kinds"]["injection"]
    assert traffic.control("GET", "/control/state").json()["rate"] == 10


def test_a_change_out_of_range_changes_nothing_and_names_every_problem(
    traffic: RunningTraffic,
) -> None:
    before = traffic.control("GET", "/control/state").json()["mix"]
    answer = traffic.control("PUT", "/control/mix", rate=-1, guardrail_ratio=3)
    assert answer.status_code == 422
    assert {problem["field"] for problem in answer.json()["problems"]} == {
        "rate",
        "guardrail_ratio",
    }
    assert traffic.control("GET", "/control/state").json()["mix"] == before


@pytest.fixture
def run_traffic(run_module: Any) -> Callable[..., subprocess.CompletedProcess[str]]:
    return lambda *arguments: run_module("traffic", *arguments, PORT="0")


def test_wrong_options_are_all_named_before_anything_starts(run_traffic: Any) -> None:
    ended = run_traffic(
        "--security-agent-url", "http://127.0.0.1:9", "--rate", "0", "--guardrail-ratio", "7"
    )
    assert ended.returncode == 2
    assert "--rate" in ended.stderr
    assert "--guardrail-ratio" in ended.stderr


def test_without_an_application_it_says_how_to_name_one(run_traffic: Any) -> None:
    ended = run_traffic()
    assert ended.returncode == 2
    assert "--stack" in ended.stderr


def test_a_control_port_in_use_is_named(agent: FakeAgent, run_traffic: Any) -> None:
    port = str(agent.server.server_port)
    ended = run_traffic("--security-agent-url", agent.url, "--port", port)
    assert ended.returncode == 2
    assert port in ended.stderr
    assert "--port" in ended.stderr
