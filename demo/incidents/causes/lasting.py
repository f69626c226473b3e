"""How a cause says that it lasts: it holds a file in the stack's folder until it is told to end."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stack.state import is_alive

_LOOK_SECONDS = 1.0


def file_of(directory: Path | str, name: str) -> Path:
    """The file that the cause of an incident holds, in the folder of a stack."""
    return Path(directory) / "incidents" / f"{name}.pid"


def holder_of(file: Path) -> int | None:
    """The process that is the cause now, None when there is none."""
    try:
        with file.open("rb") as stream:
            if _taken(stream):
                return None
            told = stream.read().strip()
    except OSError:
        return None
    return int(told) if told.isdigit() else None


class Lasting:
    """Lasts until SIGTERM, or until the stack has ended."""

    def __init__(self, directory: Path, stream: IO[bytes]) -> None:
        self._directory = directory
        self._stream = stream
        self._ended = threading.Event()

    def begins(self) -> None:
        """Say that the cause is there now."""
        self._stream.truncate(0)
        self._stream.write(str(os.getpid()).encode())
        self._stream.flush()

    def end(self) -> None:
        """Have the next wait return False."""
        self._ended.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait so long, None for ever; return False when the cause is to end."""
        left = seconds
        while left is None or left > 0:
            pause = _LOOK_SECONDS if left is None else min(left, _LOOK_SECONDS)
            if self._ended.wait(pause) or not is_alive(self._directory):
                return False
            left = None if left is None else left - pause
        return not self._ended.is_set()


@contextmanager
def lasting(directory: Path, name: str) -> Iterator[Lasting]:
    """Hold the file of an incident.

    Raises:
        BlockingIOError: another process holds it.
    """
    file = file_of(directory, name)
    file.parent.mkdir(exist_ok=True)
    with file.open("ab", buffering=0) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stream.truncate(0)
        cause = Lasting(directory, stream)
        signal.signal(signal.SIGTERM, lambda number, frame: cause.end())
        yield cause


def _taken(stream: IO[bytes]) -> bool:
    """Whether the lock could be taken, so that nobody holds it; it is given back with the file."""
    try:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
