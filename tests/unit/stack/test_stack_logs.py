"""Logs keep within their limit and are read from their end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from stack.supervisor.logs import ProgramLog


def test_a_log_that_reaches_its_limit_is_moved_aside(tmp_path: Path) -> None:
    log = ProgramLog(tmp_path / "x.log", limit_bytes=100)
    with log.opened() as stream:
        for number in range(50):
            stream.write(f"line {number}\n".encode())
    log.trim()
    assert log.path.stat().st_size == 0
    assert log.tail(2) == ["line 48", "line 49"]


def test_a_program_goes_on_writing_after_its_log_was_moved_aside(tmp_path: Path) -> None:
    log = ProgramLog(tmp_path / "x.log", limit_bytes=10)
    text = "import sys\nprint('a' * 50, flush=True)\nsys.stdin.read()\nprint('after')\n"
    with log.opened() as stream:
        process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", text], stdin=subprocess.PIPE, stdout=stream
        )
    deadline = time.monotonic() + 10
    while log.path.stat().st_size == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    log.trim()
    process.communicate(b"")
    assert log.path.read_text() == "after\n"


def test_the_tail_reaches_back_over_the_cut(tmp_path: Path) -> None:
    log = ProgramLog(tmp_path / "x.log", limit_bytes=1)
    with log.opened() as stream:
        stream.write(b"one\ntwo\n")
    log.trim()
    log.note("three")
    assert log.tail(3) == ["one", "two", "[stack] three"]


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    log = ProgramLog(tmp_path / "x.log")
    log.trim()
    assert log.tail() == []
