"""A circuit breaker: a receiver that does not answer is left alone for a while, then asked once."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import IntEnum
from time import monotonic

LONGEST_REQUEST_SECONDS = 3600.0
"""A receiver's wish to be left alone is honoured up to this long."""


class BreakerState(IntEnum):
    """The values of the metric `midwatch_export_breaker_state`."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Says when a receiver may be asked.

    After a failure it opens, for a time that doubles with each further failure and that is varied
    a little, so that many processes do not ask at the same moment. Then one attempt is let through.
    Only a monotonic clock is read: changes of the time of day do not matter.
    """

    def __init__(
        self,
        *,
        first_seconds: float = 1.0,
        longest_seconds: float = 30.0,
        clock: Callable[[], float] = monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._open_until: float | None = None

    @property
    def state(self) -> BreakerState:
        """Closed, open, or open no longer but without a success yet."""
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.remaining_seconds() > 0 else BreakerState.HALF_OPEN

    def remaining_seconds(self) -> float:
        """How long the receiver must not be asked."""
        return 0.0 if self._open_until is None else max(self._open_until - self._clock(), 0.0)

    def succeed(self) -> None:
        """Close: the receiver has answered."""
        self._failures = 0
        self._open_until = None

    def fail(self, retry_after_seconds: float | None = None) -> None:
        """Open, for at least the time that the receiver asked for."""
        # Between half and all of the doubled time; the exponent is bounded against overflow.
        longest = min(self._first_seconds * 2 ** min(self._failures, 32), self._longest_seconds)
        seconds = longest * (0.5 + self._chance() / 2)
        if retry_after_seconds is not None:
            seconds = max(seconds, min(retry_after_seconds, LONGEST_REQUEST_SECONDS))
        self._failures += 1
        self._open_until = self._clock() + seconds
