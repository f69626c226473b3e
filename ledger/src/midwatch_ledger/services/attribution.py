"""What each call, agent, task, session, user or project costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Connection

from midwatch_ledger.store import attribution as store
from midwatch_ledger.store.details import DAY, day_of
from midwatch_ledger.store.sums import Question, sums

Record = dict[str, Any]
By = Literal[
    "call",
    "task",
    "session",
    "user",
    "agent",
    "project",
    "service",
    "service_version",
    "provider",
    "model",
    "prompt",
    "prompt_version",
]
BY_DAY = frozenset(store.SCOPES)
_COLUMNS = ("input_tokens", "output_tokens", "cost")


def attribute(connection: Connection, question: Question, by: By, limit: int) -> Record:
    """Return what the dearest subjects of a kind cost in a period, and what all did.

    Sessions, users and tasks are told by whole days; of each day the dearest 2,000 of each kind
    have a row of their own, the others are in the total only.
    """
    project = question.equal.get("project")
    if by in BY_DAY:
        period = days(question.start, question.end)
        items = store.dearest(connection, by, period, project, limit)
        total = store.total(connection, by, period, project)
    elif by == "call":
        period = (question.start, question.end)
        items = [_call(row) for row in store.dearest_calls(connection, *period, project, limit)]
        total = _total(connection, question)
    else:
        period = (question.start, question.end)
        asked = replace(question, kind="llm_call", group_by=(by,), columns=_COLUMNS)
        items = _groups(sums(connection, asked), by)
        total = {name: sum(row[name] for row in items) for name in store.MEASURES[1:]}
        total |= {"turns": None, "cost": sum((row["cost"] for row in items), Decimal(0))}
        items = items[:limit]
    whole = total["cost"] or Decimal(1)
    return {
        "by": by,
        "start_date": period[0],
        "end_date": period[1],
        "total": _measures(total),
        "items": [_item(row, whole) for row in items],
    }


def dearest(rows: Sequence[Record], by: By, limit: int) -> list[Record]:
    """Return the dearest groups, out of the sums of model calls that keep them apart."""
    items = _groups(rows, by)
    whole = sum((row["cost"] for row in items), Decimal(0)) or Decimal(1)
    return [_item(row, whole) for row in items[:limit]]


def days(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Return the period widened to full days (UTC)."""
    last = day_of(end)
    return day_of(start), last if last == end else last + DAY


def _item(row: Record, whole: Decimal) -> Record:
    return {
        "subject": row["subject"],
        "project": row.get("project") or None,
        **_measures(row),
        "share": float(row["cost"] / whole),
        "call": row.get("call"),
    }


def _groups(rows: Sequence[Record], by: str) -> list[Record]:
    apart: dict[str, list[Record]] = {}
    for row in rows:
        apart.setdefault(row[by], []).append(row)
    return sorted(
        ({"subject": subject, **_summed(of_one)} for subject, of_one in apart.items()),
        key=lambda row: (-row["cost"], row["subject"]),
    )


def _total(connection: Connection, question: Question) -> Record:
    rows = sums(connection, replace(question, kind="llm_call", columns=_COLUMNS))
    return _summed(rows)


def _summed(rows: Sequence[Record]) -> Record:
    return {
        "turns": None,
        "llm_calls": sum(int(row["count"]) for row in rows),
        "total_tokens": sum(int(row["input_tokens"]) + int(row["output_tokens"]) for row in rows),
        "cost": sum((row["cost"] for row in rows), Decimal(0)),
    }


def _call(row: Record) -> Record:
    return {
        "subject": f"{row['trace_id']}:{row['span_id']}",
        "project": row["project"],
        "turns": None,
        "llm_calls": 1,
        "total_tokens": (row["input_tokens"] or 0) + (row["output_tokens"] or 0),
        "cost": row["cost"],
        "call": {name: value for name, value in row.items() if name not in ("project", "cost")},
    }


def _measures(row: Record) -> Record:
    return {
        "turns": row["turns"],
        "llm_calls": row["llm_calls"],
        "total_tokens": row["total_tokens"],
        "cost_usd": row["cost"],
    }
