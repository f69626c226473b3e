"""How fast, how reliable and how expensive: answers from the sums by minute and hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import add
from typing import Any

from sqlalchemy import Connection

from midwatch_ledger.models.rollups import DURATION_BOUNDS_MS, DURATION_CLASSES, TOKENS
from midwatch_ledger.services import acknowledgements, budgets
from midwatch_ledger.store import rollups
from midwatch_ledger.store.sums import Question, sums

Record = dict[str, Any]

_COARSE_FROM = timedelta(hours=24)
"""From this length on periods are answered from the sums by hour."""


def question(
    kind: str, start: datetime, end: datetime, *, resolution: str | None = None, **given: Any
) -> Question:
    """Return the question about a period, which is widened to full minutes.

    If it is to be answered in a resolution, it is widened to that.
    """
    usual = "minute" if end - start < _COARSE_FROM else "hour"
    length = rollups.HOUR if resolution == "hour" else rollups.MINUTE
    first, last = rollups.start_of(start, length), rollups.start_of(end, length)
    return Question(
        kind, first, last if last == end else last + length, resolution or usual, **given
    )


def measured(connection: Connection, asked: Question) -> Record:
    """Return the total, and each group of it; each over time as well if that is asked for."""
    length = asked.end - asked.start
    found = sums(connection, replace(asked, over_time=False))
    answer = {
        "kind": asked.kind,
        "resolution": asked.resolution,
        "start_date": asked.start,
        "end_date": asked.end,
        "group_by": list(asked.group_by),
        "total": total(found, asked.group_by, length),
        "groups": [
            {"group": {name: row[name] for name in asked.group_by}, **_measures(row, length)}
            for row in sorted(found, key=lambda row: -row["count"])
            if asked.group_by
        ],
    }
    if asked.over_time:
        answer["series"] = [
            {
                "start": row["bucket"],
                "group": {name: row[name] for name in asked.group_by},
                **_measures(row, _length_of(row["bucket"], asked)),
            }
            for row in sums(connection, asked)
        ]
    return answer


def total(parts: Sequence[Record], apart: Sequence[str], length: timedelta) -> Record | None:
    """Return the measures of sums together that are kept apart by these names; None without any."""
    return _measures(_together(parts, apart), length) if parts else None


def overview(connection: Connection, now: datetime, length: timedelta) -> Record:
    """Return what a person wants to see first: the last while, beside the while before it."""
    end = rollups.start_of(now, rollups.MINUTE) + rollups.MINUTE
    recent = question("trace", end - length, end)
    before = question("trace", end - 2 * length, end - length)
    by_agent = question("execution", end - length, end, group_by=("agent",))
    by_model = question("llm_call", end - length, end, group_by=("provider", "model"))
    return {
        "start_date": recent.start,
        "end_date": recent.end,
        "traces": measured(connection, recent)["total"],
        "traces_before": measured(connection, before)["total"],
        "agents": measured(connection, by_agent)["groups"],
        "models": measured(connection, by_model)["groups"],
        "unacknowledged_alerts": acknowledgements.unacknowledged(connection, now),
        "budgets": budgets.standing(connection, now),
        "stale_minutes": rollups.stale_count(connection),
    }


def quantile(counts: Sequence[int], share: float, slowest_ms: float) -> float | None:
    """Return the duration that this share of all doesn't exceed, in milliseconds.

    Within a class durations are taken to be spread evenly; the last class ends at the slowest.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, below, lower = share * total, 0, 0.0
    for number, count in enumerate(counts):
        upper = DURATION_BOUNDS_MS[number] if number < len(DURATION_BOUNDS_MS) else slowest_ms
        upper = min(upper, slowest_ms)
        if count and below + count >= wanted:
            return lower + (upper - lower) * max(wanted - below, 0.0) / count
        below += count
        lower = upper
    return float(slowest_ms)


def _together(groups: Sequence[Record], group_by: Sequence[str]) -> Record:
    """Return the sums of all groups."""
    whole = {name: value for name, value in groups[0].items() if name not in group_by}
    for group in groups[1:]:
        for name in whole:
            joined = max if name == "slowest_ms" else add
            whole[name] = joined(whole[name], group[name])
    return whole


def _length_of(bucket: datetime, asked: Question) -> timedelta:
    """Return how much a bucket has of the period: the first and last hour may have little."""
    length = rollups.MINUTE if asked.resolution == "minute" else rollups.HOUR
    return min(bucket + length, asked.end) - max(bucket, asked.start)


def _measures(row: Record, length: timedelta) -> Record:
    count, slowest = int(row["count"]), int(row["slowest_ms"])
    durations = [int(row[name]) for name in DURATION_CLASSES]
    return {
        "count": count,
        "failed": int(row["failed"]),
        "failure_ratio": int(row["failed"]) / count,
        "per_minute": count / (length / rollups.MINUTE),
        "avg_ms": int(row["duration_ms"]) / count,
        "p50_ms": quantile(durations, 0.5, slowest),
        "p95_ms": quantile(durations, 0.95, slowest),
        "p99_ms": quantile(durations, 0.99, slowest),
        "slowest_ms": slowest,
        **{name: int(row[name]) for name in TOKENS},
        "cost_usd": row["cost"],
        "priced": int(row["priced"]),
    }
