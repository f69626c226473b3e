"""Reads a log as it grows."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from stack.supervisor.logs import ProgramLog

_LOOK_SECONDS = 0.3


def follow_log(path: Path, lines: int, *, endless: bool, write: Callable[[str], None]) -> None:
    """Write the last lines of a log, then, if it shall be endless, each new one.

    A log that the supervisor shortens is followed from its new beginning.
    """
    position = path.stat().st_size if path.exists() else 0
    for line in ProgramLog(path).tail(lines):
        write(line)
    while endless:
        time.sleep(_LOOK_SECONDS)
        size = path.stat().st_size if path.exists() else 0
        position = min(position, size)
        if size == position:
            continue
        with path.open("rb") as stream:
            stream.seek(position)
            whole, newline, _ = stream.read().rpartition(b"\n")
        position += len(whole) + len(newline)
        for line in whole.decode(errors="replace").splitlines():
            write(line)
