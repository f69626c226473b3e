"""Talks to a running stack."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from stack.errors import NotRunningError, StackError
from stack.invocation import command
from stack.state import DEFAULT_DIRECTORY, StackRecord, is_alive, read_record


@dataclass(frozen=True)
class ProgramStatus:
    """A program as the supervisor sees it now; the fields mean what the control API says."""

    name: str
    state: str
    ready: bool
    pid: int | None
    restarts: int
    last_exit: int | None
    failure: str | None
    url: str | None
    ports: dict[str, int]
    log: str
    rss_bytes: int | None
    cpu_percent: float | None


class StackClient:
    """Reads and controls a running stack.

    Args:
        record: the contents of its state file; see `StackClient.at`.
    """

    def __init__(self, record: StackRecord) -> None:
        self.record = record
        self._http = httpx.Client(base_url=record.control, timeout=30, trust_env=False)

    @classmethod
    def at(cls, path: Path | str = DEFAULT_DIRECTORY) -> StackClient:
        """Find the stack of a directory or of a state file.

        Raises:
            NotRunningError: there is no state file, or its supervisor is gone.
        """
        record = read_record(Path(path))
        if not is_alive(Path(record.directory)):
            raise NotRunningError(
                f"the stack in {record.directory} is gone without having ended properly (its "
                f"supervisor was process {record.pid}). Clear what it left with "
                f"`{command('stack', 'down', '--directory', record.directory)}`, then start it "
                "again."
            )
        return cls(record)

    def __enter__(self) -> StackClient:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close its connections; the stack goes on."""
        self.close()

    def close(self) -> None:
        """Close the connections; the stack goes on."""
        self._http.close()

    def url(self, name: str) -> str:
        """Return the address of a program.

        Raises:
            StackError: the stack has no such program, or it has no port.
        """
        entry = self.record.programs.get(name)
        if entry is None or entry.url is None:
            known = ", ".join(sorted(self.record.programs))
            raise StackError(f"the stack has no address for {name!r}; its programs are {known}")
        return entry.url

    def programs(self) -> dict[str, ProgramStatus]:
        """Return all programs by name.

        Raises:
            StackError: the supervisor doesn't answer.
        """
        answer = self._call("GET", "/programs")
        return {
            name: ProgramStatus(name=name, **entry) for name, entry in answer["programs"].items()
        }

    def start(self, name: str) -> None:
        """Start a program that was stopped or held back."""
        self._call("POST", f"/programs/{name}/start")

    def stop(self, name: str) -> None:
        """Stop a program; it stays stopped until `start`. Returns when it has ended."""
        self._call("POST", f"/programs/{name}/stop")

    def kill(self, name: str) -> None:
        """Kill a program as a crash would; the supervisor starts it again."""
        self._call("POST", f"/programs/{name}/kill")

    def shut_down(self) -> None:
        """Ask the supervisor to end everything; returns before it has."""
        self._call("POST", "/shutdown")

    def wait_ready(
        self,
        names: Iterable[str] | None = None,
        timeout_seconds: float = 60.0,
        watching: Callable[[dict[str, ProgramStatus]], None] | None = None,
    ) -> None:
        """Wait until the named programs (all that are meant to run, by default) are ready.

        Args:
            names: what to wait for.
            timeout_seconds: after it, the wait is given up.
            watching: is told the state of all programs each time it was asked for.

        Raises:
            StackError: with each late program's state and, if it keeps dying, its log's tail.
        """
        wanted = set(names) if names is not None else None
        deadline = time.monotonic() + timeout_seconds
        while True:
            programs = self.programs()
            if watching is not None:
                watching(programs)
            late = [
                program
                for name, program in programs.items()
                if not program.ready
                and (name in wanted if wanted is not None else program.state != "stopped")
            ]
            if not late:
                return
            if time.monotonic() >= deadline or all(program.failure for program in late):
                raise StackError("\n".join(_why_late(program) for program in late))
            time.sleep(0.2)

    def _call(self, method: str, path: str) -> Any:
        try:
            answer = self._http.request(method, path)
        except httpx.HTTPError as problem:
            raise StackError(
                f"the supervisor at {self.record.control} doesn't answer ({problem}). See its "
                f"state with `{command('stack', 'status', '--directory', self.record.directory)}`."
            ) from None
        body = answer.json()
        if answer.is_error:
            raise StackError(body.get("error", answer.text))
        return body


def _why_late(program: ProgramStatus) -> str:
    if program.failure:
        return program.failure
    return f"{program.name} is {program.state}, not ready; its log is {program.log}"
