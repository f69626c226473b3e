"""One program through its whole life: wait for others, start, probe, restart, stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Callable, Mapping
from enum import StrEnum

import httpx

from stack.specification import ProgramSpecification
from stack.supervisor.backoff import Backoff
from stack.supervisor.logs import ProgramLog
from stack.supervisor.marking import MARK_VARIABLE
from stack.supervisor.probes import watch

_PREDECESSOR_SECONDS = 30.0
_NOT_FOUND = 127  # What a shell says of a program that it can't start.


class State(StrEnum):
    """Where a program is in its life."""

    WAITING = "waiting"  # for the programs that it comes after
    STARTING = "starting"  # runs, not ready yet
    READY = "ready"
    UNREADY = "unready"  # was ready once, fails its readiness probe now
    RESTARTING = "restarting"  # ended, will be started again
    STOPPED = "stopped"  # on request


class ManagedProgram:
    """Keeps one program running as its specification says, until told otherwise."""

    def __init__(
        self,
        specification: ProgramSpecification,
        log: ProgramLog,
        mark: str,
        changed: Callable[[], None],
        backoff: Backoff | None = None,
    ) -> None:
        self.specification = specification
        self.log = log
        self.restarts = 0
        self.last_exit: int | None = None
        self.ready = asyncio.Event()
        self.state = State.STOPPED if specification.held else State.WAITING
        self._mark = mark
        self._changed = changed
        self._backoff = backoff or Backoff()
        self._process: Process | None = None
        self._wanted = asyncio.Event()
        self._spawning = asyncio.Lock()
        self._ended = asyncio.Event()
        if not specification.held:
            self._wanted.set()

    @property
    def pid(self) -> int | None:
        """The process id while the program runs."""
        return self._process.pid if self._process is not None else None

    @property
    def failure(self) -> str | None:
        """Why the program can't be kept running, with the tail of its log; None when it can."""
        if not self._backoff.alarmed or self.state in (State.READY, State.STOPPED):
            return None
        tail = "\n".join(f"    {line}" for line in self.log.tail())
        return (
            f"{self.specification.name} ended {self._backoff.early_deaths} times right after its "
            f"start, last with {_exit_words(self.last_exit)}. Its log ({self.log.path}) ends:\n"
            f"{tail}"
        )

    async def supervise(
        self, client: httpx.AsyncClient, others: Mapping[str, ManagedProgram]
    ) -> None:
        """Run the program for ever; cancel this only after `stop`."""
        await self._wanted.wait()
        await self._wait_for_predecessors(others)
        while True:
            if not self._wanted.is_set():
                self._enter(State.STOPPED)
                await self._wanted.wait()
            lived = await self._live_once(client)
            if self._wanted.is_set():
                await self._wait_before_restart(lived)

    def start(self) -> None:
        """Ask for the program to run; does nothing when it does."""
        self._backoff.early_deaths = 0
        self._wanted.set()

    async def stop(self) -> None:
        """End the program: SIGTERM to its group, SIGKILL after its time limit."""
        self._wanted.clear()
        async with self._spawning:  # A process that is being born now must be seen below.
            if self._process is None:
                self._enter(State.STOPPED)
                return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._ended.wait(), self.specification.stop_seconds)
        except TimeoutError:
            self.log.note(f"did not end within {self.specification.stop_seconds:g} s: killed")
            self._signal(signal.SIGKILL)
            await self._ended.wait()
        self._enter(State.STOPPED)

    async def kill(self) -> None:
        """Send SIGKILL, as a crash would end it, and wait for the end; it is started again."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            await self._ended.wait()

    async def _wait_for_predecessors(self, others: Mapping[str, ManagedProgram]) -> None:
        names = [name for name in self.specification.after if name in others]
        waits = [asyncio.ensure_future(others[name].ready.wait()) for name in names]
        if not waits:
            return
        _, late = await asyncio.wait(waits, timeout=_PREDECESSOR_SECONDS)
        for wait in late:
            wait.cancel()
        if late:
            missing = [name for name in names if not others[name].ready.is_set()]
            self.log.note(f"started although not ready yet: {', '.join(missing)}")

    async def _live_once(self, client: httpx.AsyncClient) -> float:
        began = time.monotonic()
        self._enter(State.STARTING)
        async with self._spawning:
            process = await self._spawn() if self._wanted.is_set() else None
        if process is None:
            return 0.0
        self._enter(State.STARTING)
        probes = self._probes(client)
        code = await process.wait()
        for task in probes:
            task.cancel()
        # Whatever it started in its own group and left behind must not hold its ports.
        self._signal(signal.SIGKILL)
        self._process = None
        self.last_exit = code
        self.ready.clear()
        self.log.note(f"ended with {_exit_words(code)}")
        self._ended.set()
        return time.monotonic() - began

    async def _spawn(self) -> Process | None:
        specification = self.specification
        try:
            specification.directory.mkdir(parents=True, exist_ok=True)
            with self.log.opened() as stream:
                self._process = await asyncio.create_subprocess_exec(
                    *specification.command,
                    cwd=specification.directory,
                    env={**specification.environment, MARK_VARIABLE: self._mark},
                    stdin=DEVNULL,
                    stdout=stream,
                    stderr=STDOUT,
                    start_new_session=True,
                )
        except OSError as problem:
            self.log.note(f"can't be started: {problem}")
            self.last_exit = _NOT_FOUND
            return None
        self._ended.clear()
        return self._process

    def _probes(self, client: httpx.AsyncClient) -> list[asyncio.Task[None]]:
        tasks = []
        if self.specification.readiness is None:
            self._readiness(True)
        else:
            tasks.append(
                asyncio.create_task(watch(client, self.specification.readiness, self._readiness))
            )
        if self.specification.liveness is not None:
            tasks.append(
                asyncio.create_task(watch(client, self.specification.liveness, self._liveness))
            )
        return tasks

    def _readiness(self, good: bool) -> None:
        if good:
            self.ready.set()
        else:
            self.ready.clear()
            self.log.note("fails its readiness probe")
        self._enter(State.READY if good else State.UNREADY)

    def _liveness(self, good: bool) -> None:
        if not good:
            self.log.note("fails its liveness probe: restarted")
            self._signal(signal.SIGKILL)

    async def _wait_before_restart(self, lived: float) -> None:
        self.restarts += 1
        delay = self._backoff.after(lived)
        self._enter(State.RESTARTING)
        deadline = time.monotonic() + delay
        while self._wanted.is_set() and time.monotonic() < deadline:
            await asyncio.sleep(min(0.1, delay))

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        # The program leads its own group (start_new_session), so the group's id is its pid.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _enter(self, state: State) -> None:
        self.state = state
        self._changed()


def _exit_words(code: int | None) -> str:
    if code is None:
        return "no exit code"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
