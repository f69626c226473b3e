"""How often somebody may ask: buckets that fill evenly and hold a minute's worth."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

_MOST_CALLERS = 20_000


class RateLimit:
    """So many calls a minute for each caller, in bursts as well.

    Callers who were not seen for longest are forgotten when there are too many: their buckets are
    the fullest.
    """

    def __init__(self, per_minute: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60
        self._monotonic = monotonic
        self._lock = Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Take one call; return 0, or how many seconds to wait if there is none."""
        with self._lock:
            level, now = self._level(caller)
            if level < 1:
                self._keep(caller, level, now)
                return (1 - level) / self._per_second
            self._keep(caller, level - 1, now)
            return 0.0

    def wait(self, caller: str) -> float:
        """Return how many seconds to wait for the next call, 0 for none; take nothing."""
        with self._lock:
            level, _ = self._level(caller)
            return 0.0 if level >= 1 else (1 - level) / self._per_second

    def _level(self, caller: str) -> tuple[float, float]:
        now = self._monotonic()
        level, since = self._buckets.get(caller, (self._capacity, now))
        return min(self._capacity, level + (now - since) * self._per_second), now

    def _keep(self, caller: str, level: float, now: float) -> None:
        self._buckets[caller] = (level, now)
        self._buckets.move_to_end(caller)
        while len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
