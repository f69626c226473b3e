"""Delivery without threads or real time: processes, receivers and a clock that a test moves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from midwatch.pipeline.backlog import Backlog
from midwatch.pipeline.breaker import Breaker
from midwatch.pipeline.delivery import Lane, Pace
from midwatch.pipeline.health import ExportHealth
from midwatch.pipeline.payloads import Outcome, Payload, Sent, Signal
from midwatch.pipeline.spans import SpanAccount
from midwatch.pipeline.spool import Spool
from midwatch.pipeline.spool_accounts import Account
from midwatch.pipeline.spool_lane import SpoolLane


@dataclass
class Clock:
    """Seconds that pass only when the test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Receiver:
    """Answers as it is told, and remembers the spans that it took, in order."""

    answer: Callable[[Payload], Outcome] = lambda payload: Sent()
    destination: str = "otlp"
    attempts: int = 0
    taken: list[str] = field(default_factory=list)

    def send(self, payload: Payload, timeout_seconds: float) -> Outcome:
        self.attempts += 1
        outcome = self.answer(payload)
        if isinstance(outcome, Sent):
            self.taken += json.loads(payload.body)
        return outcome

    def close(self) -> None:
        """Nothing is open."""


def payload_of(*names: str, signal: Signal = "traces") -> Payload:
    return Payload(signal, "application/json", json.dumps(names).encode(), len(names))


class Process:
    """One process that uses the spool: an account and a lane that is moved by hand."""

    def __init__(
        self,
        receiver: Receiver,
        clock: Clock,
        root: Path | None,
        *,
        mode: str = "on-failure",
        max_bytes: int = 1 << 20,
        signal: Signal = "traces",
        retries: int = 0,
        buffer_items: int = 1000,
    ) -> None:
        self.account = SpanAccount()
        self.told: Counter[tuple[str, str]] = Counter()
        self.errors: list[OSError] = []
        self.spool: Spool | None = None
        self.store: SpoolLane | None = None
        if root is not None:
            self.spool = Spool(root, max_bytes, lambda: Account(self.account.counts(), "otlp"))
            self.store = SpoolLane(
                self.spool,
                receiver.destination,
                signal,
                self._settle,
                self.account.settle_for_another,
                accounted=True,
            )
        self.backlog = Backlog(
            self.store, mode, buffer_items, self._settle, True, self.errors.append
        )
        self.breaker = Breaker(clock=clock, chance=lambda: 1.0)
        self.lane = Lane(
            receiver,
            self.backlog,
            self.breaker,
            ExportHealth("spans"),
            Pace(max_retries=retries, look_seconds=10.0),
            self.note,
            clock,
        )

    def _settle(self, result: str, reason: str, count: int, accounted: bool) -> None:
        self.told[(result, reason)] += count
        if accounted:
            self.account.settle(result, reason, count)

    def note(self) -> None:
        """Write the account down."""
        if self.spool is not None:
            try:
                self.spool.note_account()
            except OSError as error:
                self.errors.append(error)

    def create(self, count: int) -> None:
        self.account.settle("created", "none", count)

    def submit(self, *names: str) -> None:
        """Spans that are created, ended and given to the lane in one batch."""
        self.create(len(names))
        self.lane.submit(payload_of(*names))

    def work(self, steps: int = 100) -> None:
        """Let the lane do what there is to do now."""
        for _ in range(steps):
            if self.lane.step() > 0:
                return
        raise AssertionError("the lane does not come to rest")

    def end(self) -> None:
        """End as a program does that is told to."""
        self.lane.close(0)
        if self.spool is not None:
            self.spool.leave(self.account.final())

    def kill(self) -> None:
        """End as `kill -9` does: nothing runs any more, the system lets go of the locks."""
        assert self.spool is not None
        assert self.store is not None
        for held in (self.spool._sign, self.store._replayer):
            if held is not None:
                held.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def process(receiver: Receiver, clock: Clock, spool_dir: Path) -> Callable[..., Process]:
    """Makes processes that share a receiver, a clock and a spool."""

    def make(**options) -> Process:
        return Process(receiver, clock, options.pop("root", spool_dir), **options)

    return make
