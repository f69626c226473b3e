"""Recognises the processes of one stack by a mark in their environment.

The mark is inherited by whatever a program starts, also by a process that leaves its process group,
so "exactly what the stack started" can be found again after the supervisor is gone.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import psutil

MARK_VARIABLE = "MIDWATCH_STACK_MARK"
_KILL_ROUNDS = 5


def marked_processes(mark: str) -> Iterator[psutil.Process]:
    """Yield the living processes that carry the mark, without the caller itself."""
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get(MARK_VARIABLE) == mark:
                yield process
        except (psutil.Error, OSError):
            continue  # It ended meanwhile, or it belongs to another user.


def end_marked(mark: str, grace_seconds: float) -> int:
    """End every process that carries the mark: SIGTERM, then SIGKILL after the grace.

    Returns:
        How many processes were found.
    """
    found = list(marked_processes(mark))
    for process in found:
        _signal(process, kill=False)
    psutil.wait_procs(found, timeout=grace_seconds)
    for _ in range(_KILL_ROUNDS):  # A process may start another one while it is being ended.
        left = list(marked_processes(mark))
        if not left:
            break
        for process in left:
            _signal(process, kill=True)
        psutil.wait_procs(left, timeout=1)
    return len(found)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with contextlib.suppress(psutil.Error):
        if kill:
            process.kill()
        else:
            process.terminate()
