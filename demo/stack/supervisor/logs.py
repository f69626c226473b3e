"""The log of one program: a file that never outgrows its limit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_DEFAULT_LIMIT_BYTES = 8 * 1024 * 1024


class ProgramLog:
    """Collects what a program prints.

    The program writes to the file itself: its output costs the supervisor nothing and goes on even
    when the supervisor hangs. Every writer appends, so the file may be shortened under it.
    """

    def __init__(self, path: Path, limit_bytes: int = _DEFAULT_LIMIT_BYTES) -> None:
        self.path = path
        self._limit_bytes = limit_bytes

    @property
    def previous(self) -> Path:
        """Where the older part goes when the file reaches its limit."""
        return self.path.with_name(self.path.name + ".1")

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Give the file, open for appending."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as stream:
            yield stream

    def note(self, text: str) -> None:
        """Write a line of the supervisor's own."""
        with self.opened() as stream:
            stream.write(f"[stack] {text}\n".encode())

    def trim(self) -> None:
        """Move the contents aside when they have reached the limit."""
        try:
            if self.path.stat().st_size <= self._limit_bytes:
                return
        except FileNotFoundError:
            return
        with self.path.open("rb") as source, self.previous.open("wb") as target:
            while block := source.read(1024 * 1024):
                target.write(block)
        os.truncate(self.path, 0)

    def tail(self, lines: int = 15) -> list[str]:
        """Return the last lines, the older part included."""
        found: list[str] = []
        for path in (self.previous, self.path):
            if path.exists():
                found += _last_lines(path, lines)
        return found[-lines:]


def _last_lines(path: Path, lines: int, window_bytes: int = 64 * 1024) -> list[str]:
    with path.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - window_bytes))
        return stream.read().decode(errors="replace").splitlines()[-lines:]
