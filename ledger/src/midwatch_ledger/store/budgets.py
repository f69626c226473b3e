"""Budgets on disk, and what was spent of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from midwatch_ledger.models import Budget
from midwatch_ledger.store.rollups import SUMMED

Record = dict[str, Any]

_DIMENSIONS = ("agent", "model", "project")
"""The scopes that are about a part; they are called as the dimension is."""


def budgets(connection: Connection) -> list[Record]:
    """Return all budgets, in the order of their names."""
    query = select(Budget).order_by(Budget.scope, Budget.scope_value, Budget.period)
    return [dict(row) for row in connection.execute(query).mappings()]


def replace(connection: Connection, rows: Sequence[Record]) -> None:
    """Keep these budgets and no others."""
    connection.execute(delete(Budget))
    if rows:
        connection.execute(insert(Budget), list(rows))


def spent(
    connection: Connection, scope: str, values: Sequence[str], start: datetime, end: datetime
) -> dict[str, Decimal]:
    """Return what the scope's values have spent from `start` up to `end`; absent is nothing.

    Both are full hours: it is read from the sums by hour, which are some seconds behind.
    """
    total = func.sum(SUMMED.cost)
    within = (
        SUMMED.resolution == "hour",
        SUMMED.kind == "llm_call",
        SUMMED.bucket >= start,
        SUMMED.bucket < end,
    )
    if scope not in _DIMENSIONS:
        amount = connection.execute(select(total).where(*within)).scalar_one()
        return dict.fromkeys(values, amount or Decimal(0))
    column = SUMMED[scope]
    query = select(column, total).where(*within, column.in_(values)).group_by(column)
    return {value: amount for value, amount in connection.execute(query)}
