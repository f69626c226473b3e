"""Pricing history anew on disk: the jobs, the calls that are next, and their new costs."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from midwatch.registry import span_attributes
from sqlalchemy import (
    BigInteger,
    Connection,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from midwatch_ledger.models import LlmCallLog, Repricing, Span, WorkflowTrace
from midwatch_ledger.models.boundary import DEFAULT_PROJECT
from midwatch_ledger.models.types import JsonDocument
from midwatch_ledger.store.extents import began_in, extent_of_ids, nanoseconds
from midwatch_ledger.store.rollups import mark_stale

_FOR_AN_HOUR = "cache_write_1h_tokens"
UNFINISHED = ("waiting", "running")
_TIERS = ("openai.response.service_tier", span_attributes.SERVED_BY_TIER.name)
Record = dict[str, Any]


def add(connection: Connection, row: Record) -> None:
    """Keep a new job."""
    connection.execute(insert(Repricing), [row])


def find(connection: Connection, identifier: uuid.UUID) -> Record | None:
    """Return a job."""
    query = select(Repricing).where(Repricing.id == identifier)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def listed(connection: Connection, limit: int, offset: int) -> list[Record]:
    """Return jobs, the newest first."""
    query = select(Repricing).order_by(Repricing.created_at.desc(), Repricing.id)
    rows = connection.execute(query.limit(limit).offset(offset)).mappings()
    return [dict(row) for row in rows]


def waiting(connection: Connection) -> bool:
    """Return whether a job is unfinished."""
    query = select(Repricing.id).where(Repricing.state.in_(UNFINISHED)).limit(1)
    return connection.execute(query).first() is not None


def take(connection: Connection) -> Record | None:
    """Return the oldest unfinished job that nobody works on, ours until the transaction ends."""
    query = (
        select(Repricing)
        .where(Repricing.state.in_(UNFINISHED))
        .order_by(Repricing.created_at, Repricing.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def change(connection: Connection, identifier: uuid.UUID, **values: Any) -> None:
    """Change columns of a job."""
    connection.execute(update(Repricing).where(Repricing.id == identifier).values(**values))


def end(connection: Connection, identifier: uuid.UUID, now: datetime, **values: Any) -> bool:
    """End a job if it is unfinished; return whether it was."""
    query = update(Repricing).where(Repricing.id == identifier, Repricing.state.in_(UNFINISHED))
    ended = connection.execute(query.values(updated_at=now, finished_at=now, **values))
    return bool(ended.rowcount)


def next_calls(
    connection: Connection, job: Record, limit: int
) -> tuple[list[Record], tuple[datetime, uuid.UUID] | None]:
    """Return the calls that come after the job's cursor, and the cursor after them.

    The cursor is None when there are no more. Unless the job is dry, the calls' traces are held
    until the transaction ends: no writer sums one up meanwhile.
    """
    keys = connection.execute(
        select(LlmCallLog.id, LlmCallLog.trace_id, LlmCallLog.start_time)
        .where(*_wanted(job))
        .order_by(LlmCallLog.start_time, LlmCallLog.id)
        .limit(limit)
    ).all()
    if not keys:
        return [], None
    if not job["dry_run"]:
        _hold(connection, sorted({key.trace_id for key in keys}))
    said = type_coerce(LlmCallLog.attributes, JsonDocument)
    columns: list[Any] = [
        LlmCallLog.id,
        LlmCallLog.trace_id,
        LlmCallLog.span_id,
        LlmCallLog.start_time,
        LlmCallLog.provider,
        LlmCallLog.model_id.label("model"),
        LlmCallLog.input_tokens,
        LlmCallLog.output_tokens,
        LlmCallLog.cache_read_tokens,
        LlmCallLog.cache_write_tokens,
        LlmCallLog.reasoning_tokens,
        LlmCallLog.input_cost,
        LlmCallLog.output_cost,
        LlmCallLog.total_cost,
        LlmCallLog.price_table,
        LlmCallLog.price_version,
        LlmCallLog.price_effective_date,
        func.coalesce(*(said[name].as_string() for name in _TIERS)).label("service_tier"),
        said[span_attributes.CACHE_WRITE_1H_TOKENS.name].as_integer().label(_FOR_AN_HOUR),
    ]
    query = (
        select(*columns)
        # By time beside the id: each day is a table of its own.
        .where(LlmCallLog.id.in_([key.id for key in keys]), *_period(job))
        .order_by(LlmCallLog.start_time, LlmCallLog.id)
    )
    calls = [dict(row) for row in connection.execute(query).mappings()]
    return calls, (keys[-1].start_time, keys[-1].id)


def correct(connection: Connection, rows: Sequence[Record], now: datetime) -> None:
    """Give calls other costs, and with them their spans, their traces and all sums.

    Each row has `id`, `trace_id`, `span_id`, `start_time` and the columns of `llm_call_logs` that
    change.
    """
    if not rows:
        return
    keyed = [{f"new_{name}": value for name, value in row.items()} for row in rows]
    changing = set(rows[0]) - {"id", "trace_id", "span_id", "start_time"}
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in sorted(changing)}
    connection.execute(
        update(LlmCallLog)
        .where(
            LlmCallLog.id == bindparam("new_id"),
            LlmCallLog.start_time == bindparam("new_start_time"),
        )
        .values(**values, updated_at=now),
        keyed,
    )
    connection.execute(
        update(Span)
        .where(
            Span.trace_id == bindparam("new_trace_id"),
            Span.span_id == bindparam("new_span_id"),
            # The time finds the day's partition: the call's is known to the microsecond.
            Span.start_unix_nanoseconds >= bindparam("new_first", type_=BigInteger()),
            Span.start_unix_nanoseconds < bindparam("new_first", type_=BigInteger()) + 1_000,
        )
        .values(cost=bindparam("new_total_cost")),
        [{**row, "new_first": nanoseconds(row["new_start_time"])} for row in keyed],
    )
    traces = sorted({row["trace_id"] for row in rows})
    extent = extent_of_ids(connection, traces)
    cost = (
        select(func.sum(Span.cost))
        .where(Span.trace_id == WorkflowTrace.trace_id, Span.role == "llm_call")
        .where(*began_in(Span, extent))
        .scalar_subquery()
    )
    connection.execute(
        update(WorkflowTrace)
        .where(WorkflowTrace.trace_id.in_(traces))
        .values(total_cost=cost, updated_at=now)
    )
    began = select(WorkflowTrace.start_time).where(WorkflowTrace.trace_id.in_(traces))
    times = [time for time in connection.execute(began).scalars() if time is not None]
    mark_stale(connection, [*times, *(row["start_time"] for row in rows)])


def _hold(connection: Connection, trace_ids: Sequence[str]) -> None:
    if connection.dialect.name == "sqlite":
        return  # The transaction holds the only write lock.
    connection.execute(
        select(WorkflowTrace.trace_id)
        .where(WorkflowTrace.trace_id.in_(trace_ids))
        .order_by(WorkflowTrace.trace_id)
        .with_for_update()
    )


def _period(job: Record) -> list[Any]:
    return [
        LlmCallLog.start_time >= job["period_start"],
        LlmCallLog.start_time < job["period_end"],
    ]


def _wanted(job: Record) -> list[Any]:
    columns = {
        "provider": LlmCallLog.provider,
        "model": LlmCallLog.model_id,
        "project": func.coalesce(func.nullif(LlmCallLog.project, ""), DEFAULT_PROJECT),
    }
    found = _period(job)
    found += [column == job[name] for name, column in columns.items() if job[name] is not None]
    if job["cursor_time"] is not None:
        found.append(LlmCallLog.start_time >= job["cursor_time"])
        found.append(
            or_(
                LlmCallLog.start_time > job["cursor_time"],
                and_(LlmCallLog.start_time == job["cursor_time"], LlmCallLog.id > job["cursor_id"]),
            )
        )
    return found
