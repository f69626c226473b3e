"""What happened on one day, for people who weren't there: as a document, and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
    trends,
)
from midwatch_ledger.services.bottlenecks import begins_among
from midwatch_ledger.services.comparison import Side
from midwatch_ledger.services.recommendations import BY_MODEL, recommend_by
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
_MOST_ADVICE = 5
_OF_TURNS: tuple[Measure, ...] = ("count", "failure_ratio", "p95_ms")


def report(connection: Connection, day: datetime, now: datetime) -> Record:
    """Return the report of the day (UTC) that begins then."""
    end = day + DAY
    calls = _question("llm_call", day, end)
    # Several parts of the report are about the same sums, which are read once.
    week = _question("trace", end - _LOOK_BACK, end, over_time=True)
    hours = sums(connection, week)
    turns, before = (
        Side([row for row in hours if start <= row["bucket"] < start + DAY])
        for start in (day, day - DAY)
    )
    by_model = sums(connection, replace(calls, group_by=BY_MODEL))
    begins = begins_among(turns.buckets, calls)
    return {
        "day": day.date().isoformat(),
        "made_at": now,
        "complete": now >= end and reports.is_settled(connection, day),
        "turns": performance.total(turns.buckets, ("bucket",), DAY),
        "turns_before": performance.total(before.buckets, ("bucket",), DAY),
        "against_day_before": comparison.compare(before, turns, _LEVEL),
        "calls": performance.total(by_model, BY_MODEL, DAY),
        "cost_by_agent": attribution.dearest(by_model, "agent", _MOST),
        "cost_by_model": attribution.dearest(by_model, "model", _MOST),
        "dearest_sessions": attribution.attribute(connection, calls, "session", 5)["items"],
        "outcomes": _outcomes(connection, day),
        "feedback": _feedback(connection, day),
        "changes": [
            *_changes(week, hours, _OF_TURNS, day, now),
            *_changes_of_costs(connection, day, now),
        ],
        "alerts": _alerts(connection, day),
        "budgets": budgets.standing(connection, now),
        "recommendations": recommend_by(connection, calls, Decimal(0), by_model, begins)["items"][
            :_MOST_ADVICE
        ],
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


def _outcomes(connection: Connection, day: datetime) -> list[Record]:
    asked = _question("trace", day, day + DAY, group_by=("agent",))
    found: list[Record] = flows.outcomes(connection, asked, _LEVEL)["outcomes"]
    return found[:_MOST]


def _changes_of_costs(connection: Connection, day: datetime, now: datetime) -> list[Record]:
    end = day + DAY
    asked = _question(
        *("llm_call", end - _LOOK_BACK, end), over_time=True, columns=("cost", "priced")
    )
    return _changes(asked, sums(connection, asked), ("cost_per_case_usd",), day, now)


def _changes(
    asked: Question,
    rows: Sequence[Record],
    measures: Sequence[Measure],
    day: datetime,
    now: datetime,
) -> list[Record]:
    """Return the steps of the day that the days before it show to be steps."""
    return [
        {"measure": measure, "kind": asked.kind, **step}
        for measure, steps in trends.steps(rows, asked, measures, _STEP_LEVEL, now).items()
        for step in steps
        if step["at"] >= day
    ]


def _alerts(connection: Connection, day: datetime) -> list[Record]:
    criteria = Criteria({"status": "firing"}, Period(day, day + DAY))
    rows = reading.alerts(connection, criteria, Page(_MOST_ALERTS))
    counted = Counter((row["alert_name"], row["severity"] or "") for row in rows)
    return [
        {"alert": name, "severity": severity, "times": times}
        for (name, severity), times in counted.most_common(_MOST)
    ]
