"""A clock that goes on only when it is told to, and ids that are counted."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """Stands still until `advance` is called.

    Args:
        beginning: the moment that it shows at first.
    """

    def __init__(self, beginning: datetime = _BEGINNING) -> None:
        self._lock = threading.Lock()
        self._began_ns = int(beginning.timestamp()) * 1_000_000_000
        self._passed_ns = 0

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass.

        Raises:
            ValueError: the number is below zero.
        """
        if seconds < 0:
            raise ValueError(f"time goes forward only: {seconds!r} seconds; give a number from 0")
        with self._lock:
            self._passed_ns += round(seconds * 1_000_000_000)

    @property
    def now(self) -> datetime:
        """The moment that it shows."""
        return datetime.fromtimestamp(self.time_ns() / 1e9, UTC)

    def perf_counter(self) -> float:
        """The seconds that have passed."""
        return self._passed_ns / 1e9

    def time_ns(self) -> int:
        """The moment in nanoseconds of Unix time."""
        return self._began_ns + self._passed_ns


class CountedIds(RandomIdGenerator):
    """Ids of traces and spans, and made-up ids, counted from 1 each."""

    def __init__(self) -> None:
        self._traces = itertools.count(1)
        self._spans = itertools.count(1)
        self._tokens = itertools.count(1)

    def generate_trace_id(self) -> int:
        """The next trace."""
        return next(self._traces)

    def generate_span_id(self) -> int:
        """The next span."""
        return next(self._spans)

    def is_trace_id_random(self) -> bool:
        """They are not."""
        return False

    def token_hex(self, byte_count: int) -> str:
        """The next made-up id."""
        return f"{next(self._tokens):0{2 * byte_count}x}"
