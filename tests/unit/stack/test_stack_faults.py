"""What keeps a stack from running is told with its remedy."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from stack import assembly, components
from stack.cli import app
from stack.running import clear_leftovers
from stack.state import DirectoryLock, StackRecord
from stack.supervisor.marking import MARK_VARIABLE
from toolchain import ProgramsUnavailable
from typer.testing import CliRunner, Result


def stack(*arguments: str | Path) -> Result:
    """Run the command line; wide, because Typer sets refused options in a box with broken lines."""
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "500"})


@pytest.fixture
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that all programs were found: none is started in these tests."""
    names = ("helm", "otelcol", "prometheus", "alertmanager")
    monkeypatch.setattr(assembly, "find_programs", lambda: {n: Path("/absent") / n for n in names})


def test_a_program_that_cannot_be_had_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: object) -> dict[str, Path]:
        raise ProgramsUnavailable({"otelcol": "no network. Connect this machine."})

    monkeypatch.setattr(components, "ensure_programs", none)
    result = stack("up", "--directory", tmp_path / "s")
    assert result.exit_code == 1
    assert "otelcol: no network. Connect this machine." in result.stderr


@pytest.mark.usefixtures("_found")
def test_a_workspace_without_its_programs_says_how_to_install_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    result = stack("up", "--directory", tmp_path / "s")
    assert result.exit_code == 1
    assert "midwatch-run" in result.stderr
    assert "make install" in result.stderr


@pytest.mark.usefixtures("_found")
def test_a_fixed_port_in_use_is_told_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = stack("up", "--directory", tmp_path / "s", "--port", f"slack={port}")
    assert result.exit_code == 1
    assert f"port {port}, fixed for slack, is in use" in result.stderr
    assert "--port slack=NUMBER" in result.stderr


def test_an_unreadable_port_is_told_with_its_form(tmp_path: Path) -> None:
    result = stack("up", "--directory", tmp_path / "s", "--port", "grafana")
    assert result.exit_code == 1
    assert "NAME=NUMBER" in result.stderr


def test_a_directory_that_cannot_be_written_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = stack("up", "--directory", tmp_path / "file" / "stack")
    assert result.exit_code == 1
    assert "can't be written" in result.stderr
    assert "--directory" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_write_permission_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    result = stack("up", "--directory", tmp_path / "stack")
    tmp_path.chmod(0o700)
    assert result.exit_code == 1
    assert "Permission denied" in result.stderr


def test_a_second_stack_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    result = stack("up", "--directory", tmp_path)
    lock.release()
    assert result.exit_code == 1
    assert f"a stack already runs in {tmp_path}" in result.stderr
    assert f"python -m stack down --directory {tmp_path}" in result.stderr


@pytest.mark.parametrize("command", ["status", "down"])
def test_commands_without_a_stack_say_how_to_start_one(tmp_path: Path, command: str) -> None:
    result = stack(command, "--directory", tmp_path)
    assert result.exit_code == 1
    assert "python -m stack up" in result.stderr


def test_a_state_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"half": ')
    result = stack("status", "--directory", tmp_path)
    assert result.exit_code == 1
    assert "is not a state file" in result.stderr


@pytest.fixture
def leftover(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that a supervisor has left, and its stale state file."""
    record = StackRecord(str(tmp_path), "http://127.0.0.1:1", pid=1, mark="mark-of-a-dead-stack")
    record.write()
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", "import time; time.sleep(60)"],
        env={MARK_VARIABLE: "mark-of-a-dead-stack"},
    )
    yield process
    process.kill()
    process.wait()


def test_a_stale_state_file_is_told_with_the_remedy(
    tmp_path: Path, leftover: subprocess.Popen[bytes]
) -> None:
    result = stack("status", "--directory", tmp_path)
    assert result.exit_code == 1
    assert "is gone without having ended properly" in result.stderr
    assert f"python -m stack down --directory {tmp_path}" in result.stderr


def test_a_remedy_can_be_copied_from_a_narrow_terminal_too(
    tmp_path: Path, leftover: subprocess.Popen[bytes]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stack", "status", "--directory", str(tmp_path)],
        env={**os.environ, "COLUMNS": "40"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"python -m stack down --directory {tmp_path}" in done.stderr


def test_down_ends_what_a_dead_stack_has_left_and_nothing_else(
    tmp_path: Path, leftover: subprocess.Popen[bytes]
) -> None:
    bystander = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", "import time; time.sleep(60)"],
        env={MARK_VARIABLE: "mark-of-another-stack"},
    )
    try:
        result = stack("down", "--directory", tmp_path)
        assert result.exit_code == 0
        assert "ended 1 processes" in result.stdout
        assert not psutil.pid_exists(leftover.pid)
        assert psutil.pid_exists(bystander.pid)
        assert not (tmp_path / "stack.json").exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_clearing_a_directory_without_leftovers_finds_nothing(tmp_path: Path) -> None:
    assert clear_leftovers(tmp_path) == 0


def test_the_log_of_an_unknown_program_is_refused_with_those_there_are(tmp_path: Path) -> None:
    state = {
        "directory": str(tmp_path),
        "control": "http://127.0.0.1:1",
        "pid": 1,
        "mark": "m",
        "programs": {"ledger": {"url": None, "ports": {}, "pid": None, "log": "x"}},
    }
    (tmp_path / "stack.json").write_text(json.dumps(state))
    result = stack("logs", "leger", "--directory", tmp_path)
    assert result.exit_code == 1
    assert "'leger'; there are ledger" in result.stderr


def test_an_unknown_incident_is_refused_with_those_there_are(tmp_path: Path) -> None:
    result = stack("demo", "--directory", tmp_path / "s", "--incident", "tool-outrage")
    assert result.exit_code == 2
    assert "tool-outage" in result.stderr


def test_a_demo_that_is_too_short_is_refused(tmp_path: Path) -> None:
    result = stack("demo", "--directory", tmp_path / "s", "--duration", "5")
    assert result.exit_code == 2
    assert "90 seconds or more" in result.stderr
