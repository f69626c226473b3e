"""What S4's summary is made of: executions and model calls in groups, from sums and from rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select

from midwatch_ledger.models import ExecutionLog, LlmCallLog
from midwatch_ledger.store.rollups import SUMMED
from midwatch_ledger.store.sums import of_kind
from midwatch_ledger.store.windows import Parts, within

Record = dict[str, Any]

_TOKENS = ("input_tokens", "output_tokens")


def executions(connection: Connection, parts: Parts, report_id: UUID | None) -> Iterator[Record]:
    """Give executions by status and agent; a group comes once from sums and once from rows.

    Args:
        connection: what is read from.
        parts: the period. What is narrowed to a report can't be read from sums.
        report_id: only the executions of this report, if it isn't None.
    """
    summed = select(
        SUMMED.status,
        SUMMED.agent.label("agent_type"),
        func.sum(SUMMED["count"]).label("count"),
        func.sum(SUMMED.duration_ms).label("duration_ms"),
        func.min(SUMMED.fastest_ms).label("fastest_ms"),
        func.max(SUMMED.slowest_ms).label("slowest_ms"),
    ).group_by(SUMMED.status, SUMMED.agent)
    grouped = (ExecutionLog.status, ExecutionLog.agent_type)
    read = select(
        *grouped,
        func.count().label("count"),
        func.sum(ExecutionLog.duration_ms).label("duration_ms"),
        func.min(ExecutionLog.duration_ms).label("fastest_ms"),
        func.max(ExecutionLog.duration_ms).label("slowest_ms"),
    ).group_by(*grouped)
    yield from _both(connection, parts, "execution", summed, ExecutionLog, read, report_id)


def llm_calls(connection: Connection, parts: Parts, report_id: UUID | None) -> Iterator[Record]:
    """Give model calls by provider and model, as `executions` does.

    A model call's tokens are those of its input and its output together.
    """
    summed = select(
        SUMMED.provider,
        SUMMED.model.label("model_id"),
        func.sum(SUMMED["count"]).label("count"),
        *(func.sum(SUMMED[name]).label(name) for name in _TOKENS),
        func.sum(SUMMED.input_tokens + SUMMED.output_tokens).label("total_tokens"),
        func.sum(SUMMED.cost).label("cost"),
    ).group_by(SUMMED.provider, SUMMED.model)
    grouped = (LlmCallLog.provider, LlmCallLog.model_id)
    read = select(
        *grouped,
        func.count().label("count"),
        *(
            func.coalesce(func.sum(getattr(LlmCallLog, name)), 0).label(name)
            for name in (*_TOKENS, "total_tokens")
        ),
        func.sum(LlmCallLog.total_cost).label("cost"),
    ).group_by(*grouped)
    yield from _both(connection, parts, "llm_call", summed, LlmCallLog, read, report_id)


def _both(
    connection: Connection,
    parts: Parts,
    kind: str,
    summed: Any,
    table: type[ExecutionLog | LlmCallLog],
    read: Any,
    report_id: UUID | None,
) -> Iterator[Record]:
    queries = [summed.where(of_kind(kind, parts))] if parts.hours or parts.minutes else []
    if parts.rows:
        of_report = [] if report_id is None else [table.report_id == report_id]
        queries.append(read.where(within(table.start_time, parts.rows), *of_report))
    for query in queries:
        for row in connection.execute(query).mappings():
            yield dict(row)
