from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from incidents.faults import FaultIncident
from incidents.registry import ALL_INCIDENTS, INCIDENTS, find_incident
from stack.client import StackClient
from stack.specification import HttpProbe, ProgramSpecification
from stack.state import DirectoryLock
from stack.supervisor import StackThread, Supervisor

from tests.free_ports import free_port


def program(tools: Any, name: str, directory: Path, *arguments: str) -> ProgramSpecification:
    port = free_port()
    return ProgramSpecification(
        name=name,
        command=(sys.executable, "-m", *arguments),
        directory=directory,
        environment=tools.environment(PORT=str(port), PYTHONUNBUFFERED="1"),
        ports={"http": port},
        readiness=HttpProbe(port, "/healthz", period_seconds=0.2),
    )


def stand_in(name: str, directory: Path) -> ProgramSpecification:
    """What stands for a program that is only ended and started, and is quick at that."""
    port = free_port()
    serve = ("http.server", str(port), "--bind", "127.0.0.1")
    return ProgramSpecification(
        name=name,
        command=(sys.executable, "-S", "-E", "-m", *serve),
        directory=directory,
        ports={"http": port},
        readiness=HttpProbe(port, "/healthz", period_seconds=0.2),
    )


@pytest.fixture(scope="module")
def stack_directory(tmp_path_factory: pytest.TempPathFactory, programs: Any) -> Iterator[Path]:
    """A stack of the programs that incidents act on."""
    directory = tmp_path_factory.mktemp("stack")
    (directory / "healthz").write_text("well")
    specifications = (
        program(programs, "model-server", directory, "model_server"),
        program(programs, "appliance", directory, "appliance"),
        program(
            programs, "traffic", directory, "traffic", "--security-agent-url", "http://127.0.0.1:9"
        ),
        stand_in("collector", directory),
        stand_in("ledger", directory),
    )
    lock = DirectoryLock(directory)
    lock.acquire()
    try:
        with StackThread(lambda: Supervisor(directory, specifications, free_port())):
            with StackClient.at(directory) as client:
                client.wait_ready()
            yield directory
    finally:
        lock.release()


@pytest.fixture
def stack(stack_directory: Path) -> Iterator[StackClient]:
    with StackClient.at(stack_directory) as client:
        yield client
        for incident in INCIDENTS.values():
            incident.stop(client)
        client.wait_ready()


def faults_of(stack: StackClient, name: str) -> set[str]:
    state = httpx.get(f"{stack.url(name)}/control/state", trust_env=False).json()
    return set(state["faults"])


def test_the_ten_incidents_exist_and_each_names_what_it_does_and_its_alerts() -> None:
    assert set(INCIDENTS) == {
        "tool-outage",
        "handoff-loop",
        "guardrail-storm",
        "self-rag-escalation",
        "provider-rate-limit",
        "slow-model",
        "cost-spike",
        "not-ready-with-failing-chats",
        "collector-down",
        "store-down",
    }
    for name, incident in INCIDENTS.items():
        assert incident.name == name
        assert incident.summary.endswith(".")
        assert incident.alerts


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_incident_starts_is_alone_and_stops_and_twice_changes_nothing(
    stack: StackClient, name: str
) -> None:
    incident = find_incident(name)
    assert not incident.active(stack)
    for _ in range(2):
        incident.start(stack)
        assert [other for other, it in INCIDENTS.items() if it.active(stack)] == [name]
    for _ in range(2):
        incident.stop(stack)
        assert not incident.active(stack)


@pytest.mark.parametrize("name", ["collector-down", "store-down"])
def test_a_program_that_is_down_comes_back(stack: StackClient, name: str, programs: Any) -> None:
    program_name = {"collector-down": "collector", "store-down": "ledger"}[name]
    url = f"{stack.url(program_name)}/healthz"
    incident = find_incident(name)
    incident.start(stack)
    assert not programs.answers(url)
    incident.stop(stack)
    programs.wait_until(lambda: programs.answers(url), f"{program_name} to come back")


def test_a_tool_outage_makes_the_appliance_refuse_work(stack: StackClient, programs: Any) -> None:
    url = f"{stack.url('appliance')}/api/status"
    assert programs.answers(url)
    find_incident("tool-outage").start(stack)
    assert not programs.answers(url)


def test_a_fault_that_others_started_with_other_parameters_is_not_the_incident(
    stack: StackClient,
) -> None:
    incident = find_incident("slow-model")
    url = f"{stack.url('model-server')}/control/faults/slow"
    httpx.put(url, json={"extra_seconds": 0.1}, trust_env=False).raise_for_status()
    assert not incident.active(stack)
    incident.start(stack)
    assert incident.active(stack)


def test_an_incident_that_cannot_start_whole_leaves_nothing_behind(stack: StackClient) -> None:
    loop = find_incident("handoff-loop")
    slow = find_incident("slow-model")
    assert isinstance(loop, FaultIncident)
    assert isinstance(slow, FaultIncident)
    stack.stop("appliance")
    outage = find_incident("tool-outage")
    assert isinstance(outage, FaultIncident)
    both = FaultIncident("both", "Two.", ("A",), (*loop.faults, *outage.faults))
    try:
        with pytest.raises(Exception, match="appliance does not answer"):
            both.start(stack)
        assert faults_of(stack, "model-server") == set()
    finally:
        stack.start("appliance")
        stack.wait_ready(["appliance"])


@pytest.fixture
def run_incidents(run_module: Any) -> Callable[..., subprocess.CompletedProcess[str]]:
    return lambda *arguments: run_module("incidents", *arguments, COLUMNS="160")


def test_the_command_starts_shows_and_stops(
    stack: StackClient, stack_directory: Path, run_incidents: Any
) -> None:
    place = ("--stack", str(stack_directory / "stack.json"))
    assert run_incidents("start", "cost-spike", *place).returncode == 0
    shown = run_incidents("status", *place)
    assert shown.returncode == 0
    assert next(line for line in shown.stdout.splitlines() if "active" in line).split()[1] == (
        "cost-spike"
    )
    assert shown.stdout.count("active") == 1
    assert run_incidents("stop", "cost-spike", *place).returncode == 0
    assert "active" not in run_incidents("status", *place).stdout


def test_a_run_ends_the_incident_after_its_time(
    stack: StackClient, stack_directory: Path, run_incidents: Any
) -> None:
    ended = run_incidents("run", "slow-model", "--for", "0.1", "--stack", str(stack_directory))
    assert ended.returncode == 0, ended.stderr
    assert faults_of(stack, "model-server") == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_ends_the_incident(
    stack: StackClient, stack_directory: Path, number: signal.Signals, programs: Any
) -> None:
    running = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "incidents",
            "run",
            "cost-spike",
            "--for",
            "600",
            "--stack",
            str(stack_directory),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        programs.wait_until(lambda: find_incident("cost-spike").active(stack), "the incident")
        running.send_signal(number)
        told, _ = running.communicate(timeout=20)
    finally:
        running.kill()
        running.wait()
    assert "ended early" in told
    assert not find_incident("cost-spike").active(stack)


def test_an_unknown_incident_is_answered_with_the_nearest_names(run_incidents: Any) -> None:
    ended = run_incidents("start", "tool-outrage")
    assert ended.returncode == 2
    assert "tool-outage" in ended.stderr
    assert "slow-model" not in ended.stderr


def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path, run_incidents: Any) -> None:
    ended = run_incidents("start", "tool-outage", "--stack", str(tmp_path))
    assert ended.returncode == 2
    assert "python -m stack up" in ended.stderr


def test_the_list_names_every_incident_with_its_alerts(run_incidents: Any) -> None:
    listed = run_incidents("list").stdout
    for incident in ALL_INCIDENTS.values():
        assert incident.name in listed
        assert all(alert in listed for alert in incident.alerts)
