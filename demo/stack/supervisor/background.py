"""A supervisor beside a program that has other things to do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType

from stack.supervisor.supervisor import Supervisor

_START_SECONDS = 30.0


class StackThread:
    """Runs a supervisor in a thread; as a context manager it ends it on leaving.

    Args:
        make: makes the supervisor, inside the thread whose event loop it belongs to.
    """

    def __init__(self, make: Callable[[], Supervisor]) -> None:
        self._make = make
        self._supervisor: Supervisor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._up = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="stack-supervisor", daemon=True)

    def __enter__(self) -> StackThread:
        """Start, and return when the control API is about to answer.

        Raises:
            BaseException: whatever kept the supervisor from starting.
        """
        self._thread.start()
        self._up.wait(_START_SECONDS)
        if self._problem is not None:
            raise self._problem
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every program and wait until nothing is left."""
        if self._loop is not None and self._supervisor is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._supervisor.finish)
        self._thread.join()

    @property
    def ended(self) -> bool:
        """Whether the supervisor has ended, for instance because `down` asked it to."""
        return not self._thread.is_alive()

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as problem:
            self._problem = problem
        finally:
            self._up.set()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._supervisor = self._make()
        announced = asyncio.create_task(self._announce(self._supervisor))
        try:
            await self._supervisor.run()
        finally:
            announced.cancel()

    async def _announce(self, supervisor: Supervisor) -> None:
        await supervisor.running.wait()
        self._up.set()
