"""From a queue to one receiver: attempts, retries, the breaker, the backlog while it is away."""

from __future__ import annotations

import os
import random
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from opentelemetry.instrumentation.utils import suppress_instrumentation

from midwatch.pipeline.attempts import attempt
from midwatch.pipeline.backlog import Backlog, Parcel
from midwatch.pipeline.breaker import Breaker, BreakerState
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.health import ExportHealth
from midwatch.pipeline.payloads import (
    Misconfigured,
    Outcome,
    Payload,
    Refused,
    Sent,
    Transport,
    Unavailable,
)

_PROMPT_PAYLOADS = 4
_PROMPT_SECONDS = 1.0
"""Not more payloads, nor for longer, wait in memory behind an attempt."""

_LAST_ATTEMPT_SECONDS = 0.5


@dataclass(frozen=True)
class Pace:
    """How often and how long a receiver is asked.

    `look_seconds` is how often the spool is searched for what dead processes left.
    """

    max_retries: int = 3
    timeout_seconds: float = 10.0
    first_retry_seconds: float = 0.2
    longest_retry_seconds: float = 2.0
    look_seconds: float = 10.0


class Lane:
    """Sends payloads of one signal to one receiver, in order, in a thread of its own.

    Nothing that it does blocks the application, and no lane waits for another.

    Args:
        transport: makes the attempts.
        backlog: keeps what waits.
        breaker: says when to leave the receiver alone.
        health: is told whether sending works.
        pace: how often and how long to try.
        note: is called after each change of the counts.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        transport: Transport,
        backlog: Backlog,
        breaker: Breaker,
        health: ExportHealth,
        pace: Pace,
        note: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._transport = transport
        self._backlog = backlog
        self.breaker = breaker
        self.health = health
        self._pace = pace
        self._note = note
        self._clock = clock
        self._closing = False
        self._ended = False
        self._reset()

    def start(self) -> None:
        """Begin to send, also after a fork."""
        self._start_thread()
        reset = weakref.WeakMethod(self._reset_after_fork)
        os.register_at_fork(after_in_child=lambda: (renew := reset()) and renew())

    def submit(self, payload: Payload) -> None:
        """Take a payload; the disk may be waited for, the receiver never."""
        if payload.count == 0:
            return
        with self._changed:
            self._backlog.put(payload, prompt=self._is_prompt())
            if self._ended:
                self._backlog.fail()
                self._backlog.abandon("shutdown")
            self._poke()
        self._note()

    def flush(self, seconds: float) -> bool:
        """Wait until everything is sent; false at once while the receiver is to be left alone."""
        deadline = monotonic() + seconds
        with self._changed:
            while self._backlog.in_memory or self._backlog.on_disk or self._backlog.parcel:
                remaining = deadline - monotonic()
                if remaining <= 0 or self.breaker.state is BreakerState.OPEN:
                    return False
                self._changed.wait(min(remaining, 0.1))
        return True

    def begin_close(self) -> None:
        """Make no further retries."""
        with self._changed:
            self._closing = True
            self._poke()

    def close(self, seconds: float) -> None:
        """Send what waits within the time; what is left in memory goes to the spool, or is lost.

        What a receiver that is well would take from the spool is sent too.
        """
        deadline = monotonic() + seconds
        self.begin_close()
        with self._changed:
            if self._is_working():
                self._wait(deadline, lambda: self._is_working() and self._is_waiting())
            if self._is_waiting():
                self._backlog.fail()
            if self._backlog.in_memory:
                self._last_attempt(min(deadline, monotonic() + _LAST_ATTEMPT_SECONDS))
            self._ended = True
            self._backlog.abandon("shutdown")
            self._backlog.close()
            self._poke()
        self._transport.close()
        self._note()

    def step(self) -> float:
        """Do the next thing there is to do; returns the seconds after which to call again."""
        with self._changed:
            self._look_around()
            pause = max(self.breaker.remaining_seconds(), self._retry_at - self._clock(), 0.0)
            parcel = self._backlog.take() if pause == 0 or self._insisting else None
            if parcel is None:
                self._changed.notify_all()
            else:
                self._sends, self._sending_since = True, self._clock()
        if parcel is None:
            # What was found thrown away or damaged is counted from now on, whatever ends this.
            self._note()
            return min(pause or self._pace.look_seconds, self._pace.look_seconds)
        outcome = self._attempt(parcel)
        with self._changed:
            self._sends = False
            if self._backlog.parcel is parcel:
                self._take_in(outcome)
            self._changed.notify_all()
        self._note()
        return 0.0

    def _reset(self) -> None:
        # Re-entrant: a signal handler may close while the interrupted code holds it.
        self._changed = threading.Condition(threading.RLock())
        self._poked = False
        self._insisting = False
        self._tries = 0
        self._retry_at = self._clock()
        self._look_at = self._clock()
        self._sends = False
        self._sending_since = self._clock()
        self._thread: threading.Thread | None = None

    def _reset_after_fork(self) -> None:
        # The parent sends what it has; its locks may be held for ever here.
        self._reset()
        self._backlog.start_anew()
        self.breaker.succeed()
        self.health.start_anew()
        if not self._ended:
            self._start_thread()

    def _start_thread(self) -> None:
        name = f"midwatch-{self._transport.destination}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress_instrumentation():
            while not self._ended:
                try:
                    seconds = self.step()
                except Exception as error:
                    FAILURES.note("delivery", error)
                    seconds = self._pace.longest_retry_seconds
                with self._changed:
                    if seconds > 0 and not self._poked:
                        self._changed.wait(seconds)
                    self._poked = False

    def _poke(self) -> None:
        self._poked = True
        self._changed.notify_all()

    def _is_prompt(self) -> bool:
        return (
            self._backlog.in_memory < _PROMPT_PAYLOADS
            and self.breaker.state is BreakerState.CLOSED
            and not (self._sends and self._clock() - self._sending_since > _PROMPT_SECONDS)
        )

    def _is_waiting(self) -> bool:
        return bool(self._backlog.in_memory or self._backlog.on_its_way)

    def _is_working(self) -> bool:
        return self.breaker.state is BreakerState.CLOSED and self._tries == 0

    def _wait(self, deadline: float, condition: Callable[[], bool]) -> None:
        while condition() and (remaining := deadline - monotonic()) > 0:
            self._changed.wait(remaining)

    def _last_attempt(self, deadline: float) -> None:
        """Ask the receiver once more, although it should be left alone: nothing else is left."""
        self._insisting = True
        self._poke()
        self._wait(deadline, lambda: self._insisting and self._backlog.in_memory > 0)

    def _look_around(self) -> None:
        if self._clock() >= self._look_at:
            self._look_at = self._clock() + self._pace.look_seconds
            self._backlog.look_around()

    def _attempt(self, parcel: Parcel) -> Outcome:
        seconds = self._pace.timeout_seconds
        try:
            seconds = _LAST_ATTEMPT_SECONDS if self._insisting else seconds
            return attempt(self._transport, parcel.payload, seconds)
        except Exception as error:
            FAILURES.note("transport", error)
            return Unavailable(type(error).__name__)

    def _take_in(self, outcome: Outcome) -> None:
        if isinstance(outcome, Unavailable):
            self._take_in_failure(outcome)
            return
        self._tries = 0
        self.breaker.succeed()
        self._backlog.recover()
        if isinstance(outcome, Refused):
            count = self._backlog.parcel.payload.count if self._backlog.parcel else 0
            self.health.refused(count, outcome.reason)
            self._backlog.finish(count, "refused")
            return
        self.health.note(True)
        self._take_in_success(outcome)

    def _take_in_success(self, sent: Sent) -> None:
        if sent.refused:
            self.health.refused(sent.refused, sent.message)
        self._backlog.finish(sent.refused, "refused")

    def _take_in_failure(self, outcome: Unavailable) -> None:
        self._tries += 1
        wished = outcome.retry_after_seconds or 0.0
        probing = self.breaker.state is not BreakerState.CLOSED
        hopeless = isinstance(outcome, Misconfigured)
        if (
            not hopeless
            and self._tries <= self._pace.max_retries
            and wished <= self._pace.longest_retry_seconds
            and not (probing or self._closing)
        ):
            doubled = self._pace.first_retry_seconds * 2 ** min(self._tries - 1, 16)
            delay = min(doubled, self._pace.longest_retry_seconds) * random.uniform(0.5, 1)  # noqa: S311
            self._retry_at = self._clock() + max(delay, wished)
            return
        self._tries = 0
        self._insisting = False
        self.breaker.fail(outcome.retry_after_seconds)
        self._backlog.fail()
        self.health.note(False, outcome.reason, for_ever=hopeless)
