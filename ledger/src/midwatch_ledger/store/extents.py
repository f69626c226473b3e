"""From when to when traces went on, which says on which days their rows can be.

The large tables of PostgreSQL have a partition for each day. Who asks for rows by their trace
alone has all of them looked through; with the trace's own times only one or two are left. All that
is kept of a trace's spans began within its times, whatever day it was first seen on and however
late it came, as both are worked out anew with each span.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from midwatch_ledger.models import ExecutionLog, LlmCallLog, Span, WorkflowTrace
from midwatch_ledger.store.among import among

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Extent:
    """From when to when traces went on, as far as the ledger knows."""

    start: datetime
    end: datetime


def extent_of(traces: Iterable[Mapping[str, Any]]) -> Extent | None:
    """Return when these traces went on; None if that isn't known of one of them."""
    starts, ends = [], []
    for trace in traces:
        if trace["start_time"] is None or trace["end_time"] is None:
            return None
        starts.append(trace["start_time"])
        ends.append(trace["end_time"])
    return Extent(min(starts), max(ends)) if starts else None


def extent_of_ids(connection: Connection, trace_ids: Sequence[str]) -> Extent | None:
    """Return when the traces of these ids went on; None if that isn't known of one of them."""
    wanted = sorted(set(trace_ids))
    times = (WorkflowTrace.start_time, WorkflowTrace.end_time)
    query = select(func.min(times[0]), func.max(times[1]), *(func.count(time) for time in times))
    start, end, *known = connection.execute(
        query.where(among(connection, WorkflowTrace.trace_id, wanted))
    ).one()
    if start is None or end is None or known != [len(wanted)] * 2:
        return None
    return Extent(start, end)


def began_in(
    table: type[Span | ExecutionLog | LlmCallLog], extent: Extent | None
) -> list[ColumnElement[bool]]:
    """Return that a row began while its trace went on; nothing where that isn't known."""
    if extent is None:
        return []
    if table is Span:
        # Times are known to the microsecond: a span begins anywhere in it.
        first, last = nanoseconds(extent.start), nanoseconds(extent.end + _MICROSECOND) - 1
        return [Span.start_unix_nanoseconds >= first, Span.start_unix_nanoseconds <= last]
    return [table.start_time >= extent.start, table.start_time <= extent.end]  # type: ignore[union-attr]


def nanoseconds(moment: datetime) -> int:
    """Return the nanoseconds since 1970 at which the time's microsecond begins."""
    return (moment - _EPOCH) // _MICROSECOND * 1000
