"""How a measure went over time, and where it changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection

from midwatch_ledger.models.rollups import DURATION_CLASSES, TOKENS
from midwatch_ledger.services import changes
from midwatch_ledger.services.comparison import Side
from midwatch_ledger.store.sums import Question, sums

Record = dict[str, Any]
Measure = Literal[
    "count",
    "failed",
    "failure_ratio",
    "avg_ms",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "cost_usd",
    "cost_per_case_usd",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
]

MOST_POINTS = 200
_Points = list[tuple[datetime, float]]
_LENGTHS = [
    timedelta(minutes=minutes)
    for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)
]
_EPOCH = datetime(2001, 1, 1, tzinfo=UTC)  # A Monday: weeks begin there.
_SUMMED = {"count": "count", "failed": "failed", "cost_usd": "cost", **{n: n for n in TOKENS}}
_RATIOS = {
    "failure_ratio": ("failed", "count"),
    "avg_ms": ("duration_ms", "count"),
    "cost_per_case_usd": ("cost", "priced"),
}
_SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
METHOD = (
    "steps by Pettitt's test, searched on both sides of each; trend by Mann and Kendall with the "
    "slope of Theil and Sen; outliers by the median of deviations (over 3.5)"
)


def trend(
    connection: Connection, question: Question, measure: Measure, level: float, now: datetime
) -> Record:
    """Return the measure over time with its steps, trend and outliers.

    Points that are not over yet are left out. Where nothing happened a sum is 0, and a ratio or a
    time is unknown and left out.
    """
    rows = sums(connection, replace(question, columns=_columns(measure)))
    length = _length(question)
    points = list(_points(_sides(rows, question, now), measure))
    answer: Record = {
        "measure": measure,
        "kind": question.kind,
        "start_date": question.start,
        "end_date": question.end,
        "point_seconds": int(length.total_seconds()),
        "confidence": level,
        "method": METHOD,
        "points": [{"start": start, "value": value} for start, value in points],
        "enough": len(points) >= changes.LEAST_POINTS,
        "trend": None,
        "steps": [],
        "outliers": [],
    }
    if answer["enough"]:
        answer |= _changes(points, level) | {"steps": _steps(points, level)}
    return answer


def steps(
    rows: Iterable[Record],
    question: Question,
    measures: Iterable[Measure],
    level: float,
    now: datetime,
) -> dict[Measure, list[Record]]:
    """Return only the steps of each measure, out of what `sums` says to the question."""
    sides = list(_sides(rows, question, now))
    found: dict[Measure, list[Record]] = {}
    for measure in measures:
        points = list(_points(sides, measure))
        found[measure] = _steps(points, level) if len(points) >= changes.LEAST_POINTS else []
    return found


def _changes(points: _Points, level: float) -> Record:
    values = [value for _, value in points]
    found = changes.trend(values, 1 - level)
    return {
        "trend": {
            "direction": found.direction,
            "change_per_point": found.slope,
            "p_value": found.p_value,
            "confidence": 1 - found.p_value,
        },
        "outliers": [
            {"at": points[index][0], "value": values[index], "robust_z": z}
            for index, z in changes.outliers(values)
        ],
    }


def _steps(points: _Points, level: float) -> list[Record]:
    return [
        {
            "at": points[step.index][0],
            "before": step.before,
            "after": step.after,
            "relative": step.after / step.before - 1 if step.before else None,
            "p_value": step.p_value,
            "confidence": 1 - step.p_value,
        }
        for step in changes.steps([value for _, value in points], 1 - level)
    ]


def _sides(
    rows: Iterable[Record], question: Question, now: datetime
) -> Iterator[tuple[datetime, Side]]:
    """Give the whole points of the period, each with its sums."""
    length = _length(question)
    buckets: dict[datetime, list[Record]] = {}
    for row in rows:
        buckets.setdefault(_start_of(row["bucket"], length), []).append(row)
    start = _start_of(question.start, length)
    while start < question.end:
        # The first and the last point may stick out of the period: half a point would be a change.
        if start >= question.start and start + length <= min(question.end, now):
            yield start, Side(buckets.get(start, []))
        start += length


def _points(
    sides: Iterable[tuple[datetime, Side]], measure: Measure
) -> Iterator[tuple[datetime, float]]:
    for start, side in sides:
        value = _value(side, measure)
        if value is not None:
            yield start, value


def _columns(measure: Measure) -> tuple[str, ...]:
    if measure in _SHARES:
        return DURATION_CLASSES
    if measure in _SUMMED:
        return () if measure == "failed" else (_SUMMED[measure],)
    return tuple(name for name in _RATIOS[measure] if name != "failed")


def _value(side: Side, measure: Measure) -> float | None:
    if measure in _SUMMED:
        return sum(side.column(_SUMMED[measure]))
    if not side.count:
        return None
    if measure in _SHARES:
        return side.quantile(_SHARES[measure])
    column, per = _RATIOS[measure]
    cases = side.total(per)
    return sum(side.column(column)) / cases if cases else None


def _length(question: Question) -> timedelta:
    period = question.end - question.start
    least = timedelta(minutes=1) if question.resolution == "minute" else timedelta(hours=1)
    fitting = (one for one in _LENGTHS if one >= least and period / one <= MOST_POINTS)
    return next(fitting, _LENGTHS[-1])


def _start_of(moment: datetime, length: timedelta) -> datetime:
    return moment - (moment - _EPOCH) % length
