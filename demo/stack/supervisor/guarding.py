"""Keeps a watchdog beside the supervisor."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

_PAUSE_SECONDS = 0.5
_END_SECONDS = 10.0


async def keep_watchdog(mark: str) -> None:
    """Run the watchdog, again whenever it ends, until cancelled; then it ends too.

    The watchdog inherits nothing but its end of the pipe. Cancel this when everything that carries
    the mark has ended: the watchdog is told that there is nothing to look for.
    """
    while True:
        watchdog = await _start(mark)
        try:
            await watchdog.wait()
            await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            await _dismiss(watchdog)


async def _start(mark: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        str(Path(__file__).with_name("watchdog.py")),
        mark,
        stdin=PIPE,
        stdout=DEVNULL,
        stderr=DEVNULL,
        start_new_session=True,
    )


async def _dismiss(watchdog: Process) -> None:
    if watchdog.stdin is not None and watchdog.returncode is None:
        watchdog.stdin.write(b".")
        watchdog.stdin.close()
    try:
        await asyncio.wait_for(watchdog.wait(), _END_SECONDS)
    except TimeoutError:
        watchdog.kill()
        await watchdog.wait()
