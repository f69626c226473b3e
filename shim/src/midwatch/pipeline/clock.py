"""Time and made-up ids as the shim reads them; a test may put its own sources in their place."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Sources:
    """Where time and ids come from."""

    perf_counter: Callable[[], float] = time.perf_counter
    time_ns: Callable[[], int] = time.time_ns
    token_hex: Callable[[int], str] = secrets.token_hex


_sources = Sources()


def perf_counter() -> float:
    """Seconds that only go forward, for durations."""
    return _sources.perf_counter()


def time_ns() -> int:
    """Nanoseconds of Unix time."""
    return _sources.time_ns()


def token_hex(byte_count: int) -> str:
    """A made-up id of so many bytes, as hexadecimal digits."""
    return _sources.token_hex(byte_count)


@contextmanager
def reading_from(sources: Sources) -> Iterator[None]:
    """Read from these sources in the whole process while the block runs."""
    global _sources
    before, _sources = _sources, sources
    try:
        yield
    finally:
        _sources = before
