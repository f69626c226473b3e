"""Runs all programs of a stack and answers for them."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

import httpx

from stack.specification import ProgramSpecification
from stack.state import STATE_FILE, ProgramRecord, StackRecord
from stack.supervisor.control import ControlServer
from stack.supervisor.guarding import keep_watchdog
from stack.supervisor.logs import ProgramLog
from stack.supervisor.marking import end_marked
from stack.supervisor.program import ManagedProgram
from stack.supervisor.usage import Usage, UsageMeter

_HOUSEKEEPING_SECONDS = 5.0
_LEFTOVER_GRACE_SECONDS = 2.0
_CONTROL_END_SECONDS = 5.0


class UnknownProgramError(Exception):
    """The stack has no program of that name."""


class Supervisor:
    """Starts programs in order of readiness, keeps them running, and ends exactly those.

    Args:
        directory: holds `stack.json` and the logs; the caller holds its lock.
        specifications: the programs.
        control_port: the port of the control API.
    """

    def __init__(
        self,
        directory: Path,
        specifications: Sequence[ProgramSpecification],
        control_port: int,
    ) -> None:
        self.mark = secrets.token_hex(16)
        self._directory = directory
        self._control_port = control_port
        self._specifications = tuple(specifications)
        self._programs: dict[str, ManagedProgram] = {}
        self._meter = UsageMeter()
        self._dirty = asyncio.Event()
        self._finish = asyncio.Event()
        self.running = asyncio.Event()

    @property
    def programs(self) -> dict[str, ManagedProgram]:
        """The programs by name, in the order given."""
        return dict(self._programs)

    def program(self, name: str) -> ManagedProgram:
        """Return one program.

        Raises:
            UnknownProgramError: with the names there are.
        """
        try:
            return self._programs[name]
        except KeyError:
            known = ", ".join(sorted(self._programs))
            raise UnknownProgramError(f"there is no program {name!r}; there are {known}") from None

    def finish(self) -> None:
        """Ask `run` to end everything and return."""
        self._finish.set()

    def usage(self) -> dict[str, Usage]:
        """Measure memory and processor time of each running program, its children included."""
        return self._meter.measure({n: p.pid for n, p in self._programs.items()})

    async def run(self) -> None:
        """Run the programs until `finish` is called; nothing of them is left afterwards."""
        self._programs = {
            specification.name: self._managed(specification)
            for specification in self._specifications
        }
        control = ControlServer(self, self._control_port)
        tasks: list[asyncio.Task[None]] = []
        watchdog: list[asyncio.Task[None]] = []
        # Loopback only: a proxy from the environment must not see probes.
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                tasks.append(asyncio.create_task(control.serve()))
                await control.wait_started()
                self._write_record()
                watchdog.append(asyncio.create_task(keep_watchdog(self.mark)))
                tasks.append(asyncio.create_task(self._housekeeping()))
                tasks.append(asyncio.create_task(self._keep_record()))
                for program in self._programs.values():
                    tasks.append(asyncio.create_task(program.supervise(client, self._programs)))
                self.running.set()
                await self._until_finished([*tasks, *watchdog])
            finally:
                await self._stop_all()
                control.finish()
                await asyncio.wait(tasks[:1], timeout=_CONTROL_END_SECONDS)
                await _cancelled(tasks)
                await asyncio.to_thread(end_marked, self.mark, _LEFTOVER_GRACE_SECONDS)
                await _cancelled(watchdog)
                (self._directory / STATE_FILE).unlink(missing_ok=True)

    async def _until_finished(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        finish = asyncio.create_task(self._finish.wait())
        done, _ = await asyncio.wait({finish, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finish.cancel()
        for task in done:
            if task is not finish:
                task.result()  # A task of the supervisor never ends by itself: raise its reason.

    def _managed(self, specification: ProgramSpecification) -> ManagedProgram:
        log = ProgramLog(self._directory / "logs" / f"{specification.name}.log")
        return ManagedProgram(specification, log, self.mark, self._dirty.set)

    async def _keep_record(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            self._write_record()
            await asyncio.sleep(0.1)

    async def _housekeeping(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)
            for program in self._programs.values():
                await asyncio.to_thread(program.log.trim)

    async def _stop_all(self) -> None:
        for layer in stop_layers(self._specifications):
            await asyncio.gather(*(self._programs[name].stop() for name in layer))

    def _write_record(self) -> None:
        programs = {
            name: ProgramRecord(
                url=program.specification.url,
                ports=dict(program.specification.ports),
                pid=program.pid,
                log=str(program.log.path),
            )
            for name, program in self._programs.items()
        }
        StackRecord(
            directory=str(self._directory),
            control=f"http://127.0.0.1:{self._control_port}",
            pid=os.getpid(),
            mark=self.mark,
            programs=programs,
        ).write()


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def stop_layers(specifications: Sequence[ProgramSpecification]) -> list[list[str]]:
    """Return names in layers such that each program ends before those that it comes after.

    Agents end before the collector, the collector before the stores: what they flush still arrives.
    """
    left = {specification.name: set(specification.after) for specification in specifications}
    layers = []
    while left:
        needed = {name for after in left.values() for name in after}
        layer = sorted(set(left) - needed) or sorted(left)
        layers.append(layer)
        for name in layer:
            del left[name]
    return layers
