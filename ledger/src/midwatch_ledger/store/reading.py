"""Reading: the queries behind the routes, each bounded by a limit."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, or_, select

from midwatch_ledger.models import (
    AlertHistory,
    Base,
    Event,
    ExecutionLog,
    Feedback,
    LlmCallLog,
    Span,
    WorkflowTrace,
)
from midwatch_ledger.store.extents import Extent, began_in, extent_of, extent_of_ids
from midwatch_ledger.store.newest import newest
from midwatch_ledger.store.partitions import PARTITIONED

_IDS_PER_QUERY = 500
_APART = timedelta(days=1)
_SELECTIVE = ("report_id", "execution_log_id")
Record = dict[str, Any]


@dataclass(frozen=True)
class Mark:
    """A row's place in a list, newest first: what follows is older, or has a later id."""

    time: datetime
    id: uuid.UUID


@dataclass(frozen=True)
class Page:
    """Which of the matching rows are asked for: those after a mark, less the first `offset`."""

    limit: int
    offset: int = 0
    after: Mark | None = None


@dataclass(frozen=True)
class Period:
    """A span of time: from `start`, up to but not including `end`; None is unbounded."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Criteria:
    """What rows must match: column values (None: any) and a period of their start time."""

    equal: Mapping[str, object] = field(default_factory=dict)
    period: Period = Period()


def executions(connection: Connection, criteria: Criteria, page: Page) -> list[Record]:
    """Return executions, newest first."""
    return _page(connection, ExecutionLog, ExecutionLog.start_time, criteria, page)


def llm_calls(connection: Connection, criteria: Criteria, page: Page) -> list[Record]:
    """Return model calls, newest first."""
    return _page(connection, LlmCallLog, LlmCallLog.start_time, criteria, page)


def feedback(connection: Connection, criteria: Criteria, page: Page) -> list[Record]:
    """Return feedback, newest first."""
    return _page(connection, Feedback, Feedback.given_at, criteria, page)


def alerts(connection: Connection, criteria: Criteria, page: Page) -> list[Record]:
    """Return alert states, newest first."""
    return _page(connection, AlertHistory, AlertHistory.starts_at, criteria, page)


def executions_of(connection: Connection, execution_id: str) -> list[Record]:
    """Return all executions of one execution id, in the order in which they began."""
    id_of = ExecutionLog.execution_id
    extent = extent_of_ids(connection, [execution_id])
    # It is the trace's, unless the application has one of its own, for whatever days it likes.
    usual = (ExecutionLog.trace_id == execution_id, *began_in(ExecutionLog, extent))
    own = (id_of != ExecutionLog.trace_id,)
    found = [
        row
        for conditions in (usual, own)
        for row in _records(
            connection, select(ExecutionLog).where(id_of == execution_id, *conditions)
        )
    ]
    return sorted(found, key=lambda row: (row["start_time"], row["id"]))


def llm_calls_of(
    connection: Connection, executions: Sequence[Record]
) -> dict[uuid.UUID, list[Record]]:
    """Return the model calls made directly by each of the executions, in order of time."""
    found: dict[uuid.UUID, list[Record]] = {}
    for start in range(0, len(executions), _IDS_PER_QUERY):
        chunk = executions[start : start + _IDS_PER_QUERY]
        # An application may say so of a call of another trace, at any time later, but not before
        # there was the execution; a day is room for clocks that differ.
        since = min(execution["start_time"] for execution in chunk) - _APART
        for record in _records(
            connection,
            select(LlmCallLog)
            .where(
                LlmCallLog.execution_log_id.in_([execution["id"] for execution in chunk]),
                LlmCallLog.start_time >= since,
            )
            .order_by(LlmCallLog.start_time, LlmCallLog.id),
        ):
            found.setdefault(record["execution_log_id"], []).append(record)
    return found


def traces_by(connection: Connection, column: str, value: str, limit: int) -> list[Record]:
    """Return the traces whose column has the value, newest first."""
    return _records(
        connection,
        select(WorkflowTrace)
        .where(getattr(WorkflowTrace, column) == value)
        .order_by(WorkflowTrace.start_time.desc(), WorkflowTrace.trace_id)
        .limit(limit),
    )


def spans_of(connection: Connection, trace: Record, limit: int) -> list[Record]:
    """Return the spans of a trace, in the order in which they began.

    What a span says is kept once: that of an execution or a model call is taken from there.
    """
    trace_id, extent = trace["trace_id"], extent_of([trace])
    spans = _records(
        connection,
        select(Span)
        .where(Span.trace_id == trace_id, *began_in(Span, extent))
        .order_by(Span.start_unix_nanoseconds, Span.span_id)
        .limit(limit),
    )
    if any(span["role"] is not None and not span["attributes"] for span in spans):
        said = dict(_attributes_of(connection, trace_id, extent))
        for span in spans:
            if span["role"] is not None:
                span["attributes"] = span["attributes"] or said.get(span["span_id"], {})
    return spans


def _attributes_of(
    connection: Connection, trace_id: str, extent: Extent | None
) -> Iterator[tuple[str, Any]]:
    for table in (ExecutionLog, LlmCallLog):
        query = select(table.span_id, table.attributes).where(
            table.trace_id == trace_id, *began_in(table, extent)
        )
        yield from ((span_id, said) for span_id, said in connection.execute(query))


def events_of(connection: Connection, trace_id: str, limit: int) -> list[Record]:
    """Return the events of a trace in order of time."""
    return _records(
        connection,
        select(Event)
        .where(Event.trace_id == trace_id)
        .order_by(Event.occurred_at, Event.id)
        .limit(limit),
    )


def _page(
    connection: Connection, table: type[Base], time: Any, criteria: Criteria, page: Page
) -> list[Record]:
    key = table.__table__.c.id
    query = select(table).where(*_conditions(table, time, criteria))
    if page.after is not None:
        # The first condition alone says where an index is to be entered.
        query = query.where(
            time <= page.after.time, or_(time < page.after.time, key > page.after.id)
        )
    query = query.order_by(time.desc(), key)
    found_by_index = any(criteria.equal.get(name) is not None for name in _SELECTIVE)
    if table.__tablename__ not in PARTITIONED or found_by_index or page.offset:
        return _records(connection, query.limit(page.limit).offset(page.offset))
    # Of the two ends the mark is never the later one.
    end = criteria.period.end if page.after is None else page.after.time
    return newest(connection, query, time, page.limit, criteria.period.start, end)


def _conditions(table: type[Base], time: Any, criteria: Criteria) -> Iterable[ColumnElement[bool]]:
    for name, value in criteria.equal.items():
        if value is not None:
            yield getattr(table, name) == value
    if criteria.period.start is not None:
        yield time >= criteria.period.start
    if criteria.period.end is not None:
        yield time < criteria.period.end


def _records(connection: Connection, query: Select[Any]) -> list[Record]:
    return [dict(row) for row in connection.execute(query).mappings()]
