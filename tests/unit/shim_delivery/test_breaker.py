"""The circuit breaker: how long a receiver is left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from midwatch.pipeline.breaker import LONGEST_REQUEST_SECONDS, Breaker, BreakerState


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def breaker(clock: Clock, chance: float = 1.0) -> Breaker:
    return Breaker(first_seconds=1.0, longest_seconds=30.0, clock=clock, chance=lambda: chance)


def state(under_test: Breaker) -> BreakerState:
    return under_test.state


def test_it_is_closed_until_something_fails():
    under_test = breaker(Clock())
    assert state(under_test) is BreakerState.CLOSED
    assert under_test.remaining_seconds() == 0


def test_it_opens_half_opens_and_closes():
    clock = Clock()
    under_test = breaker(clock)
    under_test.fail()
    assert state(under_test) is BreakerState.OPEN
    clock.now += 1.0
    assert state(under_test) is BreakerState.HALF_OPEN
    under_test.succeed()
    assert state(under_test) is BreakerState.CLOSED


def test_the_time_doubles_with_each_failure_up_to_the_longest():
    clock, waits = Clock(), []
    under_test = breaker(clock)
    for _ in range(8):
        under_test.fail()
        waits.append(under_test.remaining_seconds())
        clock.now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_success_begins_the_doubling_anew():
    clock = Clock()
    under_test = breaker(clock)
    for _ in range(5):
        under_test.fail()
    under_test.succeed()
    under_test.fail()
    assert under_test.remaining_seconds() == 1


def test_chance_takes_off_up_to_half():
    clock = Clock()
    under_test = breaker(clock, chance=0.0)
    under_test.fail()
    assert under_test.remaining_seconds() == 0.5


@pytest.mark.parametrize(
    ("asked", "waits"),
    [(120.0, 120.0), (0.1, 1.0), (None, 1.0), (1e9, LONGEST_REQUEST_SECONDS)],
)
def test_the_receivers_wish_is_honoured_within_reason(asked, waits):
    under_test = breaker(Clock())
    under_test.fail(asked)
    assert under_test.remaining_seconds() == waits


@given(st.integers(0, 5000), st.floats(0, 1, exclude_max=True))
def test_however_often_it_fails_the_time_is_within_its_bounds(failures, chance):
    under_test = breaker(Clock(), chance)
    for _ in range(failures + 1):
        under_test.fail()
    assert 0.5 <= under_test.remaining_seconds() <= 30


def test_a_jump_of_the_time_of_day_changes_nothing(monkeypatch):
    under_test = Breaker(first_seconds=100, longest_seconds=100, chance=lambda: 1.0)
    under_test.fail()
    monkeypatch.setattr(time, "time", lambda: 4e9)
    monkeypatch.setattr(time, "time_ns", lambda: int(4e18))
    assert state(under_test) is BreakerState.OPEN
    assert 99 < under_test.remaining_seconds() <= 100
