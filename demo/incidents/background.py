"""Incidents whose cause is a program of its own, which runs for as long as they last."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stack.surroundings import base_environment

from incidents.causes.lasting import file_of, holder_of
from incidents.model import AbsentError, IncidentError, Stack

_BEGIN_SECONDS = 60.0
_END_SECONDS = 10.0
_LOOK_SECONDS = 0.05
# Those that this process has started, by the file that each holds: they are its children, for whose
# end it has to ask.
_started: dict[Path, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class ProgramRunsIncident:
    """A program does harm until the incident ends; it also ends with the stack.

    Attributes:
        module: of `incidents.causes`; is given the stack's folder and the incident's name.
        arguments: what it is given beyond that.
        addresses: by option, the program of the stack whose address is given with it, or
            `program.port` where it is not that of its first port.
        needs: programs that a stack can be without, and the incident can not.
    """

    name: str
    summary: str
    alerts: tuple[str, ...]
    module: str
    arguments: tuple[str, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()

    def start(self, stack: Stack) -> None:
        """Start the program; return when the harm is done."""
        self._require(stack)
        if self.active(stack):
            return
        directory = Path(stack.record.directory)
        file = file_of(directory, self.name)
        _ask_for_the_end(file)
        log = file.with_suffix(".log")
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as stream:
            process = subprocess.Popen(
                self._command(stack),
                env=base_environment(directory),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _started[file] = process
        if not _comes_true(lambda: self.active(stack) or process.poll() is not None):
            process.kill()
        if not self.active(stack):
            told = log.read_text(encoding="utf-8", errors="replace").strip()[-600:]
            raise IncidentError(
                f"{self.name} could not begin (exit code {process.wait()}): {told or 'too late'}"
            )

    def stop(self, stack: Stack) -> None:
        """End the program."""
        file = file_of(Path(stack.record.directory), self.name)
        self._end(file)
        _ask_for_the_end(file)

    def active(self, stack: Stack) -> bool:
        """Tell whether the program runs and does harm."""
        return holder_of(file_of(stack.record.directory, self.name)) is not None

    def _require(self, stack: Stack) -> None:
        absent = [name for name in self.needs if name not in stack.programs()]
        if absent:
            raise AbsentError(
                f"{self.name} needs {' and '.join(absent)}, which this stack runs without; put the"
                " program on PATH and start the stack anew"
            )

    def _end(self, file: Path) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            pid = holder_of(file)
            if pid is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if _comes_true(lambda: holder_of(file) is None, _END_SECONDS):
                return
        raise IncidentError(f"{self.name} goes on: process {holder_of(file)} does not end")

    def _command(self, stack: Stack) -> list[str]:
        given = [
            argument
            for option, program in self.addresses
            for argument in (option, _address(stack, program))
        ]
        command = [sys.executable, "-m", f"incidents.causes.{self.module}"]
        return [*command, stack.record.directory, self.name, *self.arguments, *given]


def _ask_for_the_end(file: Path) -> None:
    """Wait for the child that held a file: it lets go of it a moment before it has ended."""
    process = _started.pop(file, None)
    if process is None:
        return
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _address(stack: Stack, place: str) -> str:
    program, _, port = place.partition(".")
    return f"127.0.0.1:{stack.programs()[program].ports[port]}" if port else stack.url(program)


def _comes_true(condition: Callable[[], bool], seconds: float = _BEGIN_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
