"""The head ratio falls while tracing costs more than it may, and recovers when it has calmed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch.pipeline.sampling_ratio import STEPS, WINDOW_SECONDS, Budget, RatioController

BUDGET = Budget(seconds=0.1, share=0.05)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Simulation:
    """A service whose turns cost what a function of the ratio says."""

    def __init__(self, ratio: float = 1.0, budget: Budget = BUDGET, **given) -> None:
        self.clock = Clock()
        self.queue = 0.0
        self.controller = RatioController(
            ratio, budget, clock=self.clock, pressure=lambda: self.queue, **given
        )
        self.ratios: list[float] = []

    def window(self, cost, turn_seconds: float = 1.0, turns: int = 20) -> float:
        ratio = self.controller.ratio
        for _ in range(turns):
            overhead = cost(ratio) if callable(cost) else cost
            self.controller.observe_turn(overhead, turn_seconds)
        self.clock.now += WINDOW_SECONDS
        self.ratios.append(self.controller.ratio)
        return self.ratios[-1]


def test_the_ratio_stays_what_the_settings_say_while_tracing_is_cheap():
    simulation = Simulation(0.5)
    assert {simulation.window(0.001) for _ in range(20)} == {0.5}


@pytest.mark.parametrize(
    ("overhead", "turn_seconds"),
    [(0.15, 60.0), (0.09, 1.0)],
    ids=["milliseconds a turn", "per cent of the turn"],
)
def test_the_ratio_falls_by_one_step_a_window_while_a_budget_is_exceeded(overhead, turn_seconds):
    simulation = Simulation()
    for step in STEPS[1:4]:
        assert simulation.window(overhead, turn_seconds) == step


def test_a_full_queue_lowers_the_ratio_without_any_turn():
    simulation = Simulation()
    simulation.queue = 0.9
    assert simulation.window(0.0, turns=0) == STEPS[1]


def test_the_ratio_never_falls_below_the_last_step_and_never_to_nothing():
    simulation = Simulation()
    for _ in range(40):
        simulation.window(10.0)
    assert simulation.controller.ratio == STEPS[-1] > 0


def test_the_ratio_recovers_one_step_after_three_calm_windows():
    simulation = Simulation()
    simulation.window(1.0)
    simulation.window(1.0)
    assert simulation.controller.ratio == STEPS[2]
    assert [simulation.window(0.001) for _ in range(6)] == [0.25, 0.25, 0.5, 0.5, 0.5, 1.0]


def test_a_cost_just_below_the_budget_neither_lowers_nor_raises_the_ratio():
    simulation = Simulation()
    simulation.window(1.0)
    assert {simulation.window(0.04) for _ in range(20)} == {STEPS[1]}


def test_it_does_not_swing_between_two_steps_every_window():
    simulation = Simulation()
    for _ in range(60):
        simulation.window(lambda ratio: 0.3 * ratio)
    changes = sum(a != b for a, b in zip(simulation.ratios, simulation.ratios[1:], strict=False))
    assert changes <= 60 / 3


def test_turns_that_are_short_do_not_make_a_small_cost_too_much():
    simulation = Simulation()
    assert {simulation.window(0.0015, turn_seconds=0.003) for _ in range(10)} == {1.0}


def test_one_slow_turn_among_many_lowers_nothing():
    simulation = Simulation()
    simulation.controller.observe_turn(1.0, 5.0)
    for _ in range(200):
        simulation.controller.observe_turn(0.001, 5.0)
    simulation.clock.now += WINDOW_SECONDS
    assert simulation.controller.ratio == 1.0


def test_many_dear_turns_lower_the_ratio_although_the_mean_is_within_the_budget():
    simulation = Simulation()
    for number in range(100):
        simulation.controller.observe_turn(0.5 if number % 10 == 0 else 0.001, 60.0)
    simulation.clock.now += WINDOW_SECONDS
    assert simulation.controller.ratio == STEPS[1]


def test_a_service_that_was_idle_for_long_has_calmed():
    simulation = Simulation()
    for _ in range(10):
        simulation.window(1.0)
    simulation.clock.now += 3600
    assert simulation.controller.ratio == 1.0


def test_without_adaptive_sampling_the_ratio_is_fixed():
    simulation = Simulation(0.3, adaptive=False)
    assert {simulation.window(10.0) for _ in range(5)} == {0.3}


def test_a_change_is_told_once():
    told: list[bool] = []
    simulation = Simulation(on_change=told.append)
    simulation.window(1.0)
    for _ in range(8):
        simulation.window(0.001)
    assert told == [True, False]


@settings(max_examples=60, deadline=None)
@given(
    cost=st.floats(0.0, 2.0),
    fixed=st.floats(0.0, 0.02),
    turn_seconds=st.floats(0.05, 100.0),
    ratio=st.floats(0.01, 1.0),
)
def test_where_a_step_meets_the_budget_it_converges_to_one_that_does(
    cost, fixed, turn_seconds, ratio
):
    simulation = Simulation(ratio)

    def overhead(in_force: float) -> float:
        return fixed + cost * in_force / ratio

    def allowed(step: float) -> bool:
        spent = overhead(step * ratio)
        within = spent <= BUDGET.share * turn_seconds * 1.000001 or spent <= 0.002
        return spent <= BUDGET.seconds * 1.000001 and within

    for _ in range(60):
        simulation.window(overhead, turn_seconds)
    for in_force in simulation.ratios:
        assert 0 < in_force <= ratio
    lawful = [step for step in STEPS if allowed(step)]
    settled = simulation.ratios[-12:]
    if lawful:
        # It may try one step more from time to time, to see whether that is affordable again.
        assert min(settled) <= max(lawful) * ratio * 1.0001
    else:
        assert set(settled) == {STEPS[-1] * ratio}
