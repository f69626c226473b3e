"""The command line with the real programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from stack.ports import is_free
from stack.state import STATE_FILE, read_record
from stack.supervisor.marking import marked_processes

pytestmark = pytest.mark.programs

Run = Callable[..., subprocess.CompletedProcess[str]]


def stack(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What brings a stack up and down, as a program."""
    command = [sys.executable, "-m", "stack", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "300"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=180, env=environment, check=False
    )


@pytest.fixture
def told_by(run_module: Run) -> Run:
    """Runs a command that only looks, or refuses, in this process."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return run_module("stack", *arguments, COLUMNS="300")

    return run


def without(*names: str) -> list[str]:
    return [argument for name in names for argument in ("--without", name)]


@pytest.fixture
def directory(tmp_path: Path, programs: dict[str, Path]) -> Iterator[Path]:
    assert programs
    yield tmp_path / "stack"
    if (tmp_path / "stack" / STATE_FILE).exists():
        stack("down", "--directory", tmp_path / "stack")


def test_a_detached_stack_is_shown_and_ends_without_a_trace(directory: Path, told_by: Run) -> None:
    # The agents take longest to start; the appliance is as much a program of Python's as they are.
    agents = without("traffic", "retail-simulation", "security-agent")
    up = stack("up", "--detach", "--directory", directory, *agents)
    assert up.returncode == 0, up.stderr
    record = read_record(directory)
    ports = [port for program in record.programs.values() for port in program.ports.values()]
    assert set(record.programs) >= {"collector", "prometheus", "alertmanager", "ledger"}
    status = told_by("status", "--directory", directory).stdout
    assert all(f"{name} " in status for name in record.programs)
    assert "MiB" in status
    assert "Server is ready" in told_by("logs", "prometheus", "--directory", directory).stdout

    again = told_by("up", "--directory", directory)
    assert again.returncode == 1
    assert "already runs" in again.stderr

    down = stack("down", "--directory", directory)
    assert down.returncode == 0, down.stderr
    assert list(marked_processes(record.mark)) == []
    assert [port for port in ports if not is_free(port)] == []
    assert not (directory / "stack.json").exists()


def test_rendering_shows_every_program_and_no_secret(directory: Path, told_by: Run) -> None:
    result = told_by("render", "--directory", directory)
    assert result.returncode == 0, result.stderr
    described: dict[str, Any] = yaml.safe_load(result.stdout)
    assert {"collector", "prometheus", "alertmanager", "ledger"} <= set(described)
    assert ".svc" not in result.stdout
    secrets = list(directory.glob("programs/*/files/etc/midwatch/secrets/**/*"))
    values = [path.read_text() for path in secrets if path.is_file()]
    assert len(values) >= 2
    assert not any(value in result.stdout for value in values)


def test_an_invalid_chart_value_is_told_with_the_value_and_the_remedy(
    directory: Path, told_by: Run
) -> None:
    result = told_by(
        "render", "--directory", directory, "--set", "alertmanager.slack.enabled=maybe"
    )
    assert result.returncode == 1
    assert "alertmanager" in result.stderr
    assert "enabled" in result.stderr
    assert "values.schema.json" in result.stderr


def test_an_unknown_program_left_out_is_told_with_those_there_are(
    directory: Path, told_by: Run
) -> None:
    result = told_by("up", "--directory", directory, "--without", "grafna")
    assert result.returncode == 1
    assert "grafna" in result.stderr
    assert "prometheus" in result.stderr


def test_a_program_that_never_gets_ready_is_told_and_decides_the_exit_code(directory: Path) -> None:
    broken = "collector.env.GOMEMLIMIT=nonsense"
    command = [sys.executable, "-m", "stack", "up", "--directory", str(directory), "--set", broken]
    command += without(
        *("security-agent", "retail-simulation", "traffic", "model-server", "appliance"),
        *("ledger", "slack", "smtp"),
    )
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any("Ctrl-C" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "not everything is ready: collector ended" in errors
    assert "not everything was ready until the end" in errors


def test_ending_where_nothing_runs_says_so_and_what_to_do(directory: Path, told_by: Run) -> None:
    result = told_by("down", "--directory", directory)
    assert result.returncode == 1
    assert f"no stack runs in {directory}" in result.stderr
    assert "name the directory" in result.stderr
