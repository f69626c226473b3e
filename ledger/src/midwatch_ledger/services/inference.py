"""Statistics: intervals, tests and quantiles, each by a method that the literature names.

Nothing here knows of the ledger. All p-values are two-sided; `level` is the confidence level of an
interval, such as 0.95.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_MOST_STEPS = 300
_TINY = 1e-300


@dataclass(frozen=True)
class Interval:
    """An estimate, and the interval that holds the truth with the level's confidence."""

    estimate: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Difference:
    """How far two estimates are apart (second minus first), and how sure that is."""

    estimate: float
    lower: float
    upper: float
    p_value: float


@dataclass(frozen=True)
class Mean:
    """A mean with its standard error and the degrees of freedom of that."""

    value: float
    standard_error: float
    degrees_of_freedom: float


def normal_quantile(level: float) -> float:
    """Return how many standard errors an interval of this level reaches to each side."""
    return _NORMAL.inv_cdf(0.5 + level / 2)


def p_of_z(z: float) -> float:
    """Return the two-sided p-value of a standard normal statistic."""
    return math.erfc(abs(z) / math.sqrt(2))


def p_of_t(t: float, degrees_of_freedom: float) -> float:
    """Return the two-sided p-value of Student's t."""
    if math.isinf(t):
        return 0.0
    whole = degrees_of_freedom + t * t
    return _incomplete_beta(degrees_of_freedom / whole, t * t / whole, degrees_of_freedom / 2, 0.5)


# The measures of a comparison have few different degrees of freedom, and each takes a millisecond.
@lru_cache(maxsize=1_024)
def t_quantile(level: float, degrees_of_freedom: float) -> float:
    """Return how many standard errors an interval of this level reaches, for Student's t."""
    lower, upper = 0.0, 1.0
    while p_of_t(upper, degrees_of_freedom) > 1 - level and upper < 1e12:
        upper *= 2
    for _ in range(100):
        middle = (lower + upper) / 2
        if middle in (lower, upper):
            break
        if p_of_t(middle, degrees_of_freedom) > 1 - level:
            lower = middle
        else:
            upper = middle
    return upper


def wilson(successes: int, total: int, level: float) -> Interval:
    """Return a ratio with its interval by Wilson's score; without any cases it is unknown.

    Raises:
        ValueError: there are no cases.
    """
    if total <= 0:
        raise ValueError("a ratio of nothing is unknown")
    z = normal_quantile(level)
    ratio = successes / total
    scale = 1 + z * z / total
    middle = (ratio + z * z / (2 * total)) / scale
    reach = z * math.sqrt(ratio * (1 - ratio) / total + z * z / (4 * total * total)) / scale
    # At the ends the formula gives 0 and 1 but for rounding.
    return Interval(
        ratio,
        0.0 if successes == 0 else min(max(0.0, middle - reach), ratio),
        1.0 if successes == total else max(min(1.0, middle + reach), ratio),
    )


def compare_ratios(first: tuple[int, int], second: tuple[int, int], level: float) -> Difference:
    """Compare two ratios, each as successes and cases.

    The interval is Newcombe's hybrid of Wilson's scores; the p-value is of the pooled z-test.

    Raises:
        ValueError: one of them has no cases.
    """
    one, other = wilson(*first, level), wilson(*second, level)
    difference = other.estimate - one.estimate
    lower = difference - math.hypot(other.estimate - other.lower, one.upper - one.estimate)
    upper = difference + math.hypot(other.upper - other.estimate, one.estimate - one.lower)
    pooled = (first[0] + second[0]) / (first[1] + second[1])
    error = math.sqrt(pooled * (1 - pooled) * (1 / first[1] + 1 / second[1]))
    return Difference(difference, lower, upper, p_of_z(difference / error) if error else 1.0)


def clustered_mean(totals: Sequence[float], counts: Sequence[float]) -> Mean | None:
    """Return the mean per case where cases come in clusters, each given as total and count.

    The standard error is that of the ratio estimator (linearised, between clusters): cases of one
    cluster may resemble each other without the error being understated. None without two clusters.
    """
    clusters = [(t, n) for t, n in zip(totals, counts, strict=True) if n > 0]
    cases = sum(n for _, n in clusters)
    if len(clusters) < 2:
        return None
    mean = math.fsum(t for t, _ in clusters) / cases
    squares = math.fsum((t - mean * n) ** 2 for t, n in clusters)
    variance = len(clusters) / (len(clusters) - 1) * squares / cases**2
    return Mean(mean, math.sqrt(variance), len(clusters) - 1)


def mean_interval(mean: Mean, level: float) -> Interval:
    """Return the mean with its interval by Student's t."""
    reach = t_quantile(level, mean.degrees_of_freedom) * mean.standard_error
    return Interval(mean.value, mean.value - reach, mean.value + reach)


def compare_means(first: Mean, second: Mean, level: float) -> Difference:
    """Compare two means by Welch's t-test, which doesn't take their variances to be equal."""
    difference = second.value - first.value
    variances = first.standard_error**2, second.standard_error**2
    total = sum(variances)
    if total <= _TINY:
        return Difference(difference, difference, difference, 0.0 if difference else 1.0)
    # By shares of the total, so that tiny variances don't vanish when squared.
    shares = variances[0] / total, variances[1] / total
    freedom = 1 / (
        shares[0] ** 2 / first.degrees_of_freedom + shares[1] ** 2 / second.degrees_of_freedom
    )
    error = math.sqrt(total)
    reach = t_quantile(level, freedom) * error
    return Difference(
        difference, difference - reach, difference + reach, p_of_t(difference / error, freedom)
    )


def quantile_shares(share: float, count: int, level: float) -> tuple[float, float]:
    """Return between which shares of a sample the quantile of the whole lies (Woodruff).

    The sample's own quantiles at these shares are the interval, whatever the distribution.
    """
    reach = normal_quantile(level) * math.sqrt(share * (1 - share) / count)
    return max(0.0, share - reach), min(1.0, share + reach)


def compare_positive(first: Interval, second: Interval, level: float) -> Difference | None:
    """Compare two positive estimates on the scale of their logarithms; the result is a ratio.

    1.1 says that the second is a tenth greater. The errors are read off the intervals. None if an
    estimate isn't positive.
    """
    if min(first.lower, second.lower) <= 0:
        return None
    z = normal_quantile(level)
    errors = [math.log(one.upper / one.lower) / (2 * z) for one in (first, second)]
    error = math.hypot(*errors)
    ratio = math.log(second.estimate / first.estimate)
    if error == 0:
        return Difference(math.exp(ratio), math.exp(ratio), math.exp(ratio), float(ratio == 0))
    return Difference(
        math.exp(ratio),
        math.exp(ratio - z * error),
        math.exp(ratio + z * error),
        p_of_z(ratio / error),
    )


def _incomplete_beta(x: float, rest: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function, by its continued fraction (Lentz).

    `rest` is `1 - x`, which the caller knows with more digits than that subtraction leaves.
    """
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(rest, x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    )
    return front * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for step in range(1, _MOST_STEPS):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        for coefficient in (even, odd):
            d = 1 / _away_from_zero(1 + coefficient * d)
            c = _away_from_zero(1 + coefficient / c)
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
