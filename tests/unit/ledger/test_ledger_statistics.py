"""The ledger's statistics beside scipy's, and beside what is worked out the long way."""

from __future__ import annotations

import math
import random
from functools import cache
from statistics import mean, median
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from midwatch_ledger.services import changes, inference
from midwatch_ledger.services.inference import Interval

CASES = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVELS = st.sampled_from([0.8, 0.9, 0.95, 0.99])
SERIES = st.lists(st.integers(0, 20).map(float), min_size=8, max_size=60)
FREEDOM = st.floats(1, 5000)


@cache
def scipys() -> Any:
    """Import scipy when a test asks it: that takes a second, and every worker collects this."""
    from scipy import stats

    return stats


@pytest.fixture(scope="module", autouse=True)
def scipy_is_there() -> None:
    """Import it before the first example, which has a deadline."""
    scipys()


@given(st.floats(-60, 60), FREEDOM)
@example(3.0069606967841835e-07, 1024.0)
def test_p_values_of_t_are_those_of_scipy(t: float, freedom: float) -> None:
    assert inference.p_of_t(t, freedom) == pytest.approx(
        2 * scipys().t.sf(abs(t), freedom), rel=1e-7, abs=1e-250
    )


@given(LEVELS, FREEDOM)
def test_quantiles_of_t_are_those_of_scipy(level: float, freedom: float) -> None:
    expected = scipys().t.ppf(0.5 + level / 2, freedom)

    assert inference.t_quantile(level, freedom) == pytest.approx(expected, rel=1e-6)


@given(st.floats(-30, 30))
def test_p_values_of_z_are_those_of_scipy(z: float) -> None:
    assert inference.p_of_z(z) == pytest.approx(2 * scipys().norm.sf(abs(z)), rel=1e-9)


@given(CASES, LEVELS)
def test_intervals_of_ratios_are_those_of_scipy(cases: tuple[int, int], level: float) -> None:
    found = inference.wilson(*cases, level)

    expected = scipys().binomtest(*cases).proportion_ci(level, method="wilson")
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.lower <= found.estimate <= found.upper


def test_a_ratio_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown"):
        inference.wilson(0, 0, 0.95)


@given(CASES, CASES)
def test_ratios_differ_as_surely_as_the_chi_square_test_says(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    table = [[good, total - good] for good, total in (first, second)]
    assume(all(map(sum, zip(*table, strict=True))))

    found = inference.compare_ratios(first, second, 0.95)

    expected = scipys().chi2_contingency(table, correction=False)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.lower - 1e-12 <= found.estimate <= found.upper + 1e-12


def test_newcombes_interval_is_the_one_he_published() -> None:
    # Newcombe 1998, table II, method 10: 56/70 and 48/80.
    found = inference.compare_ratios((48, 80), (56, 70), 0.95)

    assert (found.lower, found.upper) == pytest.approx((0.0524, 0.3339), abs=1e-4)


@given(*[st.lists(st.floats(-100, 100), min_size=2, max_size=30)] * 2)
def test_means_differ_as_surely_as_welchs_test_says(
    first: list[float], second: list[float]
) -> None:
    assume(all(max(values) - min(values) > 0.01 for values in (first, second)))
    one, other = (inference.clustered_mean(v, [1] * len(v)) for v in (first, second))
    assert one is not None
    assert other is not None

    found = inference.compare_means(one, other, 0.9)

    expected = scipys().ttest_ind(second, first, equal_var=False)
    interval = expected.confidence_interval(0.9)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-5, abs=1e-12)
    assert (found.lower, found.upper) == pytest.approx((interval.low, interval.high), rel=1e-5)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=30), LEVELS)
def test_a_mean_of_single_cases_has_the_interval_of_students_t(
    values: list[float], level: float
) -> None:
    found = inference.clustered_mean(values, [1] * len(values))

    assert found is not None
    interval = inference.mean_interval(found, level)
    reach = scipys().t.ppf(0.5 + level / 2, len(values) - 1) * scipys().sem(values)
    assert interval.estimate == pytest.approx(mean(values))
    assert interval.upper - interval.estimate == pytest.approx(reach, rel=1e-5, abs=1e-9)


def test_the_intervals_of_clustered_means_hold_the_truth_as_often_as_they_say() -> None:
    chance, held = random.Random(7), 0  # noqa: S311 -- a simulation
    for _ in range(400):
        totals, counts = [], []
        for _ in range(30):
            shift, count = chance.gauss(0, 2), chance.randint(1, 20)
            totals.append(sum(10 + shift + chance.gauss(0, 1) for _ in range(count)))
            counts.append(float(count))
        found = inference.clustered_mean(totals, counts)
        assert found is not None
        interval = inference.mean_interval(found, 0.95)
        held += interval.lower <= 10 <= interval.upper

    assert 0.90 <= held / 400 <= 0.985


def test_one_cluster_says_nothing_of_the_error() -> None:
    assert inference.clustered_mean([5.0, 0.0], [10, 0]) is None


def test_the_interval_of_a_quantile_holds_the_truth_as_often_as_it_says() -> None:
    chance, held, true = random.Random(7), 0, -math.log(0.05)  # noqa: S311 -- a simulation
    for _ in range(400):
        ordered = sorted(chance.expovariate(1) for _ in range(500))
        lower, upper = inference.quantile_shares(0.95, 500, 0.9)
        held += ordered[int(lower * 500)] <= true <= ordered[min(499, int(upper * 500))]

    assert 0.85 <= held / 400 <= 0.97


def test_positive_estimates_are_compared_by_their_ratio() -> None:
    found = inference.compare_positive(Interval(100, 90, 111), Interval(200, 180, 222), 0.95)

    assert found is not None
    assert found.estimate == pytest.approx(2)
    assert 1.6 < found.lower < 2 < found.upper < 2.4
    assert found.p_value < 1e-6
    assert inference.compare_positive(Interval(1, 0, 2), Interval(1, 1, 1), 0.95) is None


@given(SERIES)
def test_ranks_are_those_of_scipy(values: list[float]) -> None:
    assert changes.mid_ranks(values) == list(scipys().rankdata(values))


@given(SERIES)
def test_the_likeliest_step_is_the_one_found_by_trying_all(values: list[float]) -> None:
    def apart(index: int) -> float:
        return abs(
            sum((a > b) - (a < b) for a in values[:index] for b in values[index:]),
        )

    index, p_value = changes.pettitt(values)

    count, best = len(values), max(map(apart, range(1, len(values))))
    assert apart(index) == best or best == 0
    assert p_value == pytest.approx(min(1, 2 * math.exp(-6 * best**2 / (count**3 + count**2))))


@given(SERIES)
def test_a_trend_is_as_sure_as_kendalls_tau_of_time(values: list[float]) -> None:
    assume(len(set(values)) > 1)
    count = len(values)
    found = changes.trend(values, 0.05)

    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    score = sum((values[b] > values[a]) - (values[b] < values[a]) for a, b in pairs)
    tau = scipys().kendalltau(range(count), values).statistic
    assert math.copysign(1, score) == math.copysign(1, tau) or score == 0
    assert found.slope == pytest.approx(
        scipys().theilslopes(values).slope if score else 0.0, abs=1e-12
    )
    assert (found.direction == "none") == (found.p_value >= 0.05)


def test_a_step_is_found_where_it_is_with_its_levels() -> None:
    chance = random.Random(3)  # noqa: S311 -- a simulation
    values = [chance.gauss(10, 1) for _ in range(30)] + [chance.gauss(16, 1) for _ in range(20)]

    (step,) = changes.steps(values, 0.01)

    assert step.index == 30
    assert (step.before, step.after) == (median(values[:30]), median(values[30:]))


def test_several_steps_are_found_in_order() -> None:
    chance = random.Random(3)  # noqa: S311 -- a simulation
    values = [chance.gauss(level, 1) for level in (10, 20, 5) for _ in range(25)]

    assert [step.index for step in changes.steps(values, 0.01)] == [25, 50]


def test_noise_has_steps_and_trends_as_rarely_as_asked_for() -> None:
    chance, stepped, trended = random.Random(11), 0, 0  # noqa: S311 -- a simulation
    for _ in range(300):
        values = [chance.expovariate(1) for _ in range(40)]
        stepped += bool(changes.steps(values, 0.01))
        trended += changes.trend(values, 0.01).direction != "none"

    assert stepped <= 9
    assert trended <= 9


def test_a_single_spike_is_an_outlier_and_no_step() -> None:
    chance = random.Random(5)  # noqa: S311 -- a simulation
    values = [chance.gauss(10, 1) for _ in range(40)]
    values[17] = 200.0

    assert changes.steps(values, 0.01) == []
    assert [index for index, _ in changes.outliers(values)] == [17]


def test_a_constant_series_has_nothing_to_tell() -> None:
    values = [4.0] * 20

    assert changes.steps(values, 0.05) == []
    assert changes.outliers(values) == []
    assert changes.trend(values, 0.05) == changes.Trend("none", 0.0, 1.0)
