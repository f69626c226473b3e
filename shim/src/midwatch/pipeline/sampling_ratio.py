"""How much is traced: less while tracing costs more than it may, more again when it has calmed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic

from opentelemetry.metrics import CallbackOptions, Observation

STEPS = (1.0, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01)
"""The parts of the configured ratio that may be in force, one step at a time."""

WINDOW_SECONDS = 10.0
"""How long is watched before a step is taken."""

_FEWEST_TURNS = 5
_CALM_WINDOWS = 3
_CALM_SHARE = 0.5
"""Tracing is calm below this part of what it may cost, for so many windows in a row."""

_FULL_QUEUE = 0.8
_DEAR_TURNS = 0.05
"""More turns than this part of all may not exceed the latency budget."""

_NEGLIGIBLE_SECONDS = 0.002
"""So much a turn is no burden, however short the turn is."""


@dataclass(frozen=True)
class Budget:
    """What tracing may cost: seconds a turn, and a part of the turn's time from 0 to 1."""

    seconds: float
    share: float


@dataclass
class _Window:
    began: float
    turns: int = 0
    dear_turns: int = 0
    overhead_seconds: float = 0.0
    turn_seconds: float = 0.0

    def cost(self, budget: Budget) -> float:
        """What tracing cost, as a part of what it may cost: 1 is just allowed."""
        if self.turns < _FEWEST_TURNS:
            return 0.0
        mean = self.overhead_seconds / self.turns
        cost = mean / budget.seconds
        if self.dear_turns > max(1.0, _DEAR_TURNS * self.turns):
            cost = max(cost, 1.01)
        if mean > _NEGLIGIBLE_SECONDS and self.turn_seconds > 0:
            cost = max(cost, self.overhead_seconds / self.turn_seconds / budget.share)
        return cost


class RatioController:
    """The head ratio in force.

    Args:
        ratio: what the settings ask for; never exceeded.
        budget: what tracing may cost a turn.
        adaptive: whether the ratio may fall below that.
        pressure: how full the export queue is, from 0 to 1.
        on_change: is told whether the ratio is below what the settings ask for.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        ratio: float,
        budget: Budget,
        *,
        adaptive: bool = True,
        pressure: Callable[[], float] = lambda: 0.0,
        on_change: Callable[[bool], None] = lambda _: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._ratio = ratio
        self._budget = budget
        self._adaptive = adaptive
        self._pressure = pressure
        self._on_change = on_change
        self._clock = clock
        self._lock = threading.Lock()
        self._step = 0
        self._calm = 0
        self._window = _Window(clock())

    @property
    def ratio(self) -> float:
        """The ratio in force now."""
        if self._adaptive and self._clock() - self._window.began >= WINDOW_SECONDS:
            self._judge()
        return self._ratio * STEPS[self._step]

    def observe_turn(self, overhead_seconds: float, turn_seconds: float) -> None:
        """A turn ended that took so long, so much of it in tracing."""
        if not self._adaptive:
            return
        with self._lock:
            window = self._window
            window.turns += 1
            window.overhead_seconds += overhead_seconds
            window.turn_seconds += turn_seconds
            if overhead_seconds > self._budget.seconds:
                window.dear_turns += 1

    def observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """The ratio in force as the observation of `midwatch_sampling_ratio`."""
        return [Observation(self.ratio)]

    def renew_after_fork(self) -> None:
        """A lock may have been held by another thread at the moment of the fork."""
        self._lock = threading.Lock()

    def _judge(self) -> None:
        """Take in the window that has passed; windows without a turn after it were calm."""
        with self._lock:
            now, window = self._clock(), self._window
            passed = int((now - window.began) / WINDOW_SECONDS)
            if passed < 1:
                return
            before = self._step
            cost, queue = window.cost(self._budget), self._pressure()
            if cost > 1.0 or queue > _FULL_QUEUE:
                self._step = min(self._step + 1, len(STEPS) - 1)
                self._calm = 0
            elif cost < _CALM_SHARE and queue < _CALM_SHARE:
                self._calm += 1
            else:
                self._calm = 0
            if queue < _CALM_SHARE:
                self._calm += passed - 1
            while self._calm >= _CALM_WINDOWS and self._step > 0:
                self._step -= 1
                self._calm -= _CALM_WINDOWS
            self._calm = min(self._calm, _CALM_WINDOWS - 1)
            self._window = _Window(window.began + passed * WINDOW_SECONDS)
        if self._step != before:
            self._on_change(self._step > 0)
