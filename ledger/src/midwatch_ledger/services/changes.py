"""Changes in a series: steps by Pettitt's test, a trend by Mann and Kendall, outliers by medians.

All three go by ranks or medians: they take no distribution for granted, and single spikes don't
carry them away. They do take the points to be independent of each other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from midwatch_ledger.services.inference import p_of_z

LEAST_POINTS = 8
"""Shorter series say nothing that could be told from chance."""

_LEAST_SEGMENT = 4
_NORMAL_OF_MAD = 1.4826
_OUTLIER_Z = 3.5


@dataclass(frozen=True)
class Step:
    """Where a series moved to another level: the index of the first point there.

    `before` and `after` are the medians on its two sides, up to the next steps.
    """

    index: int
    before: float
    after: float
    p_value: float


@dataclass(frozen=True)
class Trend:
    """Whether a series goes up or down throughout, and by how much from point to point."""

    direction: str
    slope: float
    p_value: float


def pettitt(values: Sequence[float]) -> tuple[int, float]:
    """Return the most likely step and its p-value (Pettitt 1979, ties by mid-ranks)."""
    count, ranks = len(values), mid_ranks(values)
    best, index, total = 0.0, 0, 0.0
    for number, rank in enumerate(ranks[:-1], start=1):
        total += rank
        statistic = abs(2 * total - number * (count + 1))
        if statistic > best:
            best, index = statistic, number
    p_value = 2 * math.exp(-6 * best**2 / (count**3 + count**2))
    return index, min(1.0, p_value)


def steps(values: Sequence[float], p_below: float) -> list[Step]:
    """Return the steps in the order of the series: the surest first, then those on its sides.

    Each further search is held to a p-value as many times smaller as there are searches at its
    depth, so that more searches don't find more by chance.
    """
    found: list[tuple[int, float]] = []
    _search(values, 0, p_below, found)
    found.sort()
    bounds = [0, *(index for index, _ in found), len(values)]
    levels = [median(values[a:b]) for a, b in pairwise(bounds)]
    return [
        Step(index, levels[number], levels[number + 1], p_value)
        for number, (index, p_value) in enumerate(found)
    ]


def trend(values: Sequence[float], p_below: float) -> Trend:
    """Return the trend by the test of Mann and Kendall, its slope by Theil and Sen."""
    count = len(values)
    score = sum(
        (later > earlier) - (later < earlier)
        for number, earlier in enumerate(values)
        for later in values[number + 1 :]
    )
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    variance = (count * (count - 1) * (2 * count + 5) - ties) / 18
    if not score or variance <= 0:
        return Trend("none", 0.0, 1.0)
    p_value = p_of_z((abs(score) - 1) / math.sqrt(variance))
    slopes = [
        (later - earlier) / distance
        for number, earlier in enumerate(values)
        for distance, later in enumerate(values[number + 1 :], start=1)
    ]
    direction = "none" if p_value >= p_below else "up" if score > 0 else "down"
    return Trend(direction, median(slopes), p_value)


def outliers(values: Sequence[float]) -> list[tuple[int, float]]:
    """Return points far from the median, with their robust z (Iglewicz and Hoaglin: over 3.5)."""
    middle = median(values)
    deviation = median(abs(value - middle) for value in values) * _NORMAL_OF_MAD
    if deviation == 0:
        return []
    scores = ((value - middle) / deviation for value in values)
    return [(index, z) for index, z in enumerate(scores) if abs(z) > _OUTLIER_Z]


def mid_ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        start = end
    return ranks


def _search(
    values: Sequence[float], offset: int, p_below: float, found: list[tuple[int, float]]
) -> None:
    if len(values) < LEAST_POINTS:
        return
    index, p_value = pettitt(values)
    if p_value >= p_below or min(index, len(values) - index) < _LEAST_SEGMENT:
        return
    found.append((offset + index, p_value))
    _search(values[:index], offset, p_below / 2, found)
    _search(values[index:], offset + index, p_below / 2, found)
