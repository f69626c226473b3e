"""Budgets: what each scope may spend in a calendar period, has spent, and is going to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Connection

from midwatch_ledger.store import budgets as store

Scope = Literal["everything", "agent", "model", "project"]
PeriodName = Literal["hour", "day", "week", "month"]

EVERYTHING = "all"
"""The value of the scope that is about everything."""


@dataclass(frozen=True)
class BudgetLine:
    """What one scope may spend in each period, in US dollars."""

    scope: Scope
    scope_value: str
    period: PeriodName
    amount: Decimal


def period_of(name: PeriodName, moment: datetime) -> tuple[datetime, datetime]:
    """Return the beginning and the end of the calendar period (UTC) that holds the moment."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    if name == "hour":
        return hour, hour + timedelta(hours=1)
    if name == "day":
        return day, day + timedelta(days=1)
    if name == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def replace(connection: Connection, lines: Sequence[BudgetLine], now: datetime) -> None:
    """Keep these budgets and no others."""
    store.replace(
        connection,
        [
            {
                "scope": line.scope,
                "scope_value": line.scope_value,
                "period": line.period,
                "amount": line.amount,
                "updated_at": now,
            }
            for line in lines
        ],
    )


def standing(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    """Return all budgets with what is spent, and what it comes to if it goes on like this."""
    rows = store.budgets(connection)
    values: defaultdict[tuple[Scope, PeriodName], list[str]] = defaultdict(list)
    for row in rows:
        values[row["scope"], row["period"]].append(row["scope_value"])
    spent = {
        (scope, period): store.spent(connection, scope, named, *period_of(period, now))
        for (scope, period), named in values.items()
    }
    return [
        _standing(row, spent[row["scope"], row["period"]].get(row["scope_value"]), now)
        for row in rows
    ]


def _standing(row: dict[str, Any], spent: Decimal | None, now: datetime) -> dict[str, Any]:
    start, end = period_of(row["period"], now)
    amount, used = row["amount"], spent or Decimal(0)
    elapsed = Decimal((now - start) / (end - start))
    return {
        "scope": row["scope"],
        "scope_value": row["scope_value"],
        "period": row["period"],
        "amount_usd": amount,
        "spent_usd": used,
        "remaining_usd": amount - used,
        "spent_ratio": used / amount,
        "forecast_usd": used / elapsed if elapsed else used,
        "period_start": start,
        "period_end": end,
        "updated_at": row["updated_at"],
    }
