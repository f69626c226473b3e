"""Compares two parts of the record: two windows, versions, agents, models, prompts or variants.

The first is the baseline, the second the candidate. Everything is worked out from the sums, whose
minutes or hours are the clusters of the means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from midwatch_ledger.models.rollups import DURATION_CLASSES
from midwatch_ledger.services import inference
from midwatch_ledger.services.inference import Difference, Interval
from midwatch_ledger.services.performance import quantile
from midwatch_ledger.store.sums import Question, sums

Record = dict[str, Any]

LEAST_CASES = 20
"""With fewer cases on a side nothing is said about which is better."""

_LEAST_CLUSTERS = 5
_CLASSES = itemgetter(*DURATION_CLASSES)
_COLUMNS = (
    *("duration_ms", *DURATION_CLASSES),
    *("input_tokens", "output_tokens", "cost", "priced"),
)


@dataclass(frozen=True)
class Side:
    """One of the two parts: its sums by minute or hour."""

    buckets: Sequence[Record]

    @property
    def count(self) -> int:
        """How many cases there are."""
        return self.total("count")

    def total(self, name: str) -> int:
        """Return the sum of a column."""
        return int(sum([row[name] for row in self.buckets]))

    def column(self, name: str) -> list[float]:
        """Return a column by bucket."""
        return [float(row[name]) for row in self.buckets]

    def quantile(self, share: float) -> float | None:
        """Return a quantile of the durations in milliseconds, out of their classes."""
        return quantile(self._classes, share, self._slowest)

    # Asked for many times: for each quantile, and for both ends of its interval.
    @cached_property
    def _classes(self) -> list[int]:
        return [int(sum(of_class)) for of_class in zip(*map(_CLASSES, self.buckets), strict=True)]

    @cached_property
    def _slowest(self) -> int:
        return max((int(row["slowest_ms"]) for row in self.buckets), default=0)


@dataclass(frozen=True)
class Finding:
    """How the two sides compare by one measure.

    `scale` says whether the effect is a difference or a ratio of the candidate to the baseline.
    """

    measure: str
    method: str
    scale: str
    baseline: Interval | None
    candidate: Interval | None
    effect: Difference | None


def read(connection: Connection, question: Question) -> Side:
    """Return the part of the record that a question asks for; it must keep buckets apart."""
    return Side(sums(connection, replace(question, columns=_COLUMNS)))


def compare(baseline: Side, candidate: Side, level: float) -> list[Record]:
    """Return for each measure both estimates, the effect, how sure it is, and a verdict.

    The p-values are adjusted for how many measures are looked at (Holm), and so are the verdicts.
    """
    findings = [
        _ratio("failure_ratio", "failed", baseline, candidate, level),
        _mean("avg_ms", "duration_ms", baseline, candidate, level),
        *(
            _quantile(f"p{share * 100:.0f}_ms", share, baseline, candidate, level)
            for share in (0.5, 0.95)
        ),
        _mean("cost_usd", "cost", baseline, candidate, level, per="priced"),
        *(
            _mean(name, name, baseline, candidate, level)
            for name in ("input_tokens", "output_tokens")
        ),
    ]
    enough = min(baseline.count, candidate.count) >= LEAST_CASES
    adjusted = holm([None if one.effect is None else one.effect.p_value for one in findings])
    return [_told(one, p, enough, level) for one, p in zip(findings, adjusted, strict=True)]


def compare_failures(measure: str, baseline: Side, candidate: Side, level: float) -> Record:
    """Return how the ratios of failures compare, as one measure looked at by itself."""
    finding = _ratio(measure, "failed", baseline, candidate, level)
    enough = min(baseline.count, candidate.count) >= LEAST_CASES
    p_value = None if finding.effect is None else finding.effect.p_value
    return _told(finding, p_value, enough, level)


def cost_interval(side: Side, level: float) -> Interval | None:
    """Return the average cost of a case with its interval; None if that isn't known."""
    mean = inference.clustered_mean(side.column("cost"), side.column("priced"))
    if mean is None or mean.degrees_of_freedom + 1 < _LEAST_CLUSTERS:
        return None
    return inference.mean_interval(mean, level)


def p95_interval(side: Side, level: float) -> Interval | None:
    """Return the 95th percentile of the durations with its interval; None without any."""
    return quantile_interval(side, 0.95, level)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return the p-values adjusted for their number by Holm's method; None stays."""
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    greatest = 0.0
    for place, (p, index) in enumerate(order):
        greatest = max(greatest, min(1.0, p * (len(order) - place)))
        adjusted[index] = greatest
    return adjusted


def _ratio(measure: str, column: str, one: Side, other: Side, level: float) -> Finding:
    method = "Wilson's interval, Newcombe's for the difference, pooled z-test"
    if not one.count or not other.count:
        return Finding(measure, method, "difference", None, None, None)
    pair, other_pair = ((side.total(column), side.count) for side in (one, other))
    effect = inference.compare_ratios(pair, other_pair, level)
    first, second = inference.wilson(*pair, level), inference.wilson(*other_pair, level)
    return Finding(measure, method, "difference", first, second, effect)


def _mean(
    measure: str, column: str, one: Side, other: Side, level: float, per: str = "count"
) -> Finding:
    method = "mean per case with the error between minutes or hours, Welch's t-test"
    means = [
        inference.clustered_mean(side.column(column), side.column(per)) for side in (one, other)
    ]
    first, second = means
    if first is None or second is None:
        return Finding(measure, method, "difference", None, None, None)
    fewest = min(first.degrees_of_freedom, second.degrees_of_freedom) + 1
    effect = inference.compare_means(first, second, level) if fewest >= _LEAST_CLUSTERS else None
    intervals = [inference.mean_interval(mean, level) for mean in (first, second)]
    return Finding(measure, method, "difference", intervals[0], intervals[1], effect)


def _quantile(measure: str, share: float, one: Side, other: Side, level: float) -> Finding:
    method = "Woodruff's interval out of the classes of durations, compared by logarithms"
    first, second = (quantile_interval(side, share, level) for side in (one, other))
    effect = None
    if first is not None and second is not None:
        effect = inference.compare_positive(first, second, level)
    return Finding(measure, method, "ratio", first, second, effect)


def quantile_interval(side: Side, share: float, level: float) -> Interval | None:
    """Return a quantile of the durations with its interval; None without any."""
    if not side.count:
        return None
    lower, upper = inference.quantile_shares(share, side.count, level)
    found = [side.quantile(one) for one in (share, lower, upper)]
    middle, low, high = (0.0 if one is None else one for one in found)
    return Interval(middle, low, high)


def _told(finding: Finding, adjusted: float | None, enough: bool, level: float) -> Record:
    effect = finding.effect
    return {
        "measure": finding.measure,
        "method": finding.method,
        "baseline": None if finding.baseline is None else _interval(finding.baseline),
        "candidate": None if finding.candidate is None else _interval(finding.candidate),
        "effect": None
        if effect is None
        else {
            "scale": finding.scale,
            "estimate": effect.estimate,
            "lower": effect.lower,
            "upper": effect.upper,
            "relative": _relative(finding),
        },
        "p_value": None if effect is None else effect.p_value,
        "adjusted_p_value": adjusted,
        "verdict": _verdict(finding, adjusted, enough, level),
    }


def _interval(found: Interval) -> Record:
    return {"estimate": found.estimate, "lower": found.lower, "upper": found.upper}


def _relative(finding: Finding) -> float | None:
    """Return by which part of the baseline the candidate is greater."""
    if finding.baseline is None or finding.candidate is None or not finding.baseline.estimate:
        return None
    return finding.candidate.estimate / finding.baseline.estimate - 1


def _verdict(finding: Finding, adjusted: float | None, enough: bool, level: float) -> str:
    """Of all measures less is better."""
    if finding.effect is None or adjusted is None or not enough:
        return "too_few"
    if adjusted >= 1 - level:
        return "no_difference"
    nothing = 1.0 if finding.scale == "ratio" else 0.0
    return "worse" if finding.effect.estimate > nothing else "better"
