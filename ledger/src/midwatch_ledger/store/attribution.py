"""What sessions, users and tasks cost, by day."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select

from midwatch_ledger.models import CostDetail, LlmCallLog, WorkflowTrace
from midwatch_ledger.store.details import DAY
from midwatch_ledger.store.records import records

KEPT_OF_A_DAY = 2_000
"""How many subjects of a scope have a row of their own on one day; the dearest have."""

SCOPES = {
    "session": WorkflowTrace.session_id,
    "user": WorkflowTrace.user_hash,
    "task": WorkflowTrace.call_id,
}
"""Where a turn names its subject of each scope."""

MEASURES = ("turns", "llm_calls", "total_tokens", "cost")
Record = dict[str, Any]


def work_out_day(connection: Connection, day: datetime, kept: int = KEPT_OF_A_DAY) -> None:
    """Make the day's rows anew from its turns."""
    rows: list[Record] = []
    for scope, column in SCOPES.items():
        dearest = _turns(day, func.coalesce(WorkflowTrace.project, ""), column).where(
            column.is_not(None)
        )
        ordered = dearest.order_by(func.coalesce(func.sum(WorkflowTrace.total_cost), 0).desc())
        of_scope = _rows(connection, ordered.limit(kept))
        totals = _rows(connection, _turns(day, func.coalesce(WorkflowTrace.project, "")))
        found = [*of_scope, *_others(totals, of_scope)]
        rows.extend({"day": day, "scope": scope, **row} for row in found)
    connection.execute(delete(CostDetail).where(CostDetail.day == day))
    if rows:
        connection.execute(insert(CostDetail), rows)


def dearest(
    connection: Connection,
    scope: str,
    period: tuple[datetime, datetime],
    project: str | None,
    limit: int,
) -> list[Record]:
    """Return the subjects that cost the most in these days, the dearest first."""
    cost = func.sum(CostDetail.cost).label("cost")
    query = (
        _details(scope, period, project, CostDetail.project, CostDetail.subject, cost)
        .where(CostDetail.subject != "")
        .group_by(CostDetail.project, CostDetail.subject)
        .order_by(cost.desc(), CostDetail.subject)
        .limit(limit)
    )
    return _all(connection, query)


def total(
    connection: Connection, scope: str, period: tuple[datetime, datetime], project: str | None
) -> Record:
    """Return what all turns of these days took and cost."""
    cost = func.coalesce(func.sum(CostDetail.cost), Decimal(0)).label("cost")
    (row,) = _all(connection, _details(scope, period, project, cost))
    return {name: row[name] or 0 for name in MEASURES}


def dearest_calls(
    connection: Connection, start: datetime, end: datetime, project: str | None, limit: int
) -> list[Record]:
    """Return the model calls that cost the most of those that began in the period."""
    columns: list[Any] = [
        LlmCallLog.trace_id,
        LlmCallLog.span_id,
        LlmCallLog.agent,
        LlmCallLog.provider,
        LlmCallLog.model_id.label("model"),
        LlmCallLog.project,
        LlmCallLog.start_time,
        LlmCallLog.input_tokens,
        LlmCallLog.output_tokens,
        LlmCallLog.input_cost,
        LlmCallLog.output_cost,
        LlmCallLog.total_cost.label("cost"),
    ]
    query = (
        select(*columns)
        .where(
            LlmCallLog.start_time >= start,
            LlmCallLog.start_time < end,
            LlmCallLog.total_cost.is_not(None),
        )
        .order_by(LlmCallLog.total_cost.desc(), LlmCallLog.id)
        .limit(limit)
    )
    if project is not None:
        query = query.where(LlmCallLog.project == project)
    return _all(connection, query)


def _turns(day: datetime, project: Any, subject: Any = None) -> Select[Any]:
    grouped = [project] if subject is None else [project, subject]
    return (
        select(
            project.label("project"),
            *(() if subject is None else (subject.label("subject"),)),
            func.count().label("turns"),
            func.sum(WorkflowTrace.llm_calls).label("llm_calls"),
            func.sum(WorkflowTrace.total_tokens).label("total_tokens"),
            func.sum(WorkflowTrace.total_cost).label("cost"),
        )
        .where(WorkflowTrace.start_time >= day, WorkflowTrace.start_time < day + DAY)
        .group_by(*grouped)
    )


def _rows(connection: Connection, query: Select[Any]) -> list[Record]:
    rows = _all(connection, query)
    for row in rows:
        row.update({name: row[name] or 0 for name in MEASURES[:3]}, cost=row["cost"] or Decimal(0))
    return rows


def _others(totals: list[Record], named: list[Record]) -> list[Record]:
    """Return for each project what its turns come to beside the named subjects."""
    others = {row["project"]: {**row, "subject": ""} for row in totals}
    for row in named:
        other = others[row["project"]]
        for name in MEASURES:
            other[name] -= row[name]
    return [row for row in others.values() if row["turns"]]


def _details(
    scope: str, period: tuple[datetime, datetime], project: str | None, *columns: Any
) -> Select[Any]:
    measures = [
        func.sum(getattr(CostDetail, name)).label(name) for name in MEASURES if name != "cost"
    ]
    query = select(*columns, *measures).where(
        CostDetail.scope == scope, CostDetail.day >= period[0], CostDetail.day < period[1]
    )
    return query if project is None else query.where(CostDetail.project == project)


def _all(connection: Connection, query: Select[Any]) -> list[Record]:
    found = records(connection, query)
    for row in found:
        # PostgreSQL sums whole numbers to decimals.
        row.update({name: int(row[name]) for name in MEASURES[:3] if row.get(name) is not None})
    return found
