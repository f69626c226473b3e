"""What happened on one day, for people who weren't there: as a document, and as Markdown."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection

from midwatch_ledger.services import (
    attribution,
    budgets,
    comparison,
    flows,
    performance,
    recommendations,
    trends,
)
from midwatch_ledger.services.trends import Measure
from midwatch_ledger.store import reading, reports
from midwatch_ledger.store.details import DAY
from midwatch_ledger.store.reading import Criteria, Page, Period
from midwatch_ledger.store.sums import Question, sums

Record = dict[str, Any]

_LEVEL = 0.95
_STEP_LEVEL = 0.99
_LOOK_BACK = timedelta(days=7)
_MOST = 10
_MOST_ALERTS = 500
_WATCHED: tuple[Measure, ...] = ("count", "failure_ratio", "p95_ms", "cost_per_case_usd")


def report(connection: Connection, day: datetime, now: datetime) -> Record:
    """Return the report of the day (UTC) that begins then."""
    period = day, day + DAY
    turns = _question("trace", *period)
    before = _question("trace", day - DAY, day)
    calls = _question("llm_call", *period)
    sides = [comparison.read(connection, replace(side, over_time=True)) for side in (before, turns)]
    by_agent, by_model = (
        attribution.attribute(connection, calls, by, _MOST) for by in ("agent", "model")
    )
    return {
        "day": day.date().isoformat(),
        "made_at": now,
        "complete": now >= period[1] and reports.is_settled(connection, day),
        "turns": performance.measured(connection, turns)["total"],
        "turns_before": performance.measured(connection, before)["total"],
        "against_day_before": comparison.compare(sides[0], sides[1], _LEVEL),
        "calls": performance.measured(connection, calls)["total"],
        "cost_by_agent": by_agent["items"],
        "cost_by_model": by_model["items"],
        "dearest_sessions": attribution.attribute(connection, calls, "session", 5)["items"],
        "outcomes": flows.outcomes(connection, replace(turns, group_by=("agent",)), _LEVEL)[
            "outcomes"
        ][:_MOST],
        "feedback": _feedback(connection, day),
        "changes": _changes(connection, day, now),
        "alerts": _alerts(connection, day),
        "budgets": budgets.standing(connection, now),
        "recommendations": recommendations.recommend(connection, calls, Decimal(0))["items"][:5],
    }


def as_document(made: Record) -> Record:
    """Return a report as plain JSON has it: money as numbers, times as text."""
    text = orjson.dumps(made, default=_plain, option=orjson.OPT_UTC_Z)
    document: Record = orjson.loads(text)
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return str(value)


def _question(kind: str, start: datetime, end: datetime, **given: Any) -> Question:
    """Days are full hours: nothing is lost by the coarser sums."""
    return performance.question(kind, start, end, resolution="hour", **given)


def _feedback(connection: Connection, day: datetime) -> Record:
    asked = _question("feedback", day, day + DAY, group_by=("status",), columns=())
    counts = {row["status"]: int(row["count"]) for row in sums(connection, asked)}
    return {
        "positive": counts.get("completed", 0),
        "negative": counts.get("failed", 0),
        "neutral": counts.get("", 0),
    }


def _changes(connection: Connection, day: datetime, now: datetime) -> list[Record]:
    """Return the steps of the day that the days before it show to be steps."""
    found = []
    for measure in _WATCHED:
        kind = "llm_call" if measure == "cost_per_case_usd" else "trace"
        asked = _question(kind, day + DAY - _LOOK_BACK, day + DAY, over_time=True)
        told = trends.trend(connection, asked, measure, _STEP_LEVEL, now)
        found += [
            {"measure": measure, "kind": kind, **step}
            for step in told["steps"]
            if step["at"] >= day
        ]
    return found


def _alerts(connection: Connection, day: datetime) -> list[Record]:
    criteria = Criteria({"status": "firing"}, Period(day, day + DAY))
    rows = reading.alerts(connection, criteria, Page(_MOST_ALERTS))
    counted = Counter((row["alert_name"], row["severity"] or "") for row in rows)
    return [
        {"alert": name, "severity": severity, "times": times}
        for (name, severity), times in counted.most_common(_MOST)
    ]
