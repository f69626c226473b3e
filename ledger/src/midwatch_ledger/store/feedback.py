"""Feedback on disk, and the model calls that it is about."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from midwatch_ledger.models import Feedback, FeedbackReview, LlmCallLog
from midwatch_ledger.store.extents import began_in, extent_of_ids
from midwatch_ledger.store.writing import insert_new

Record = dict[str, Any]


def add(connection: Connection, row: Record) -> None:
    """Add feedback unless it is there."""
    insert_new(connection, Feedback, [row])


def find(connection: Connection, identifier: uuid.UUID, *, lock: bool = False) -> Record | None:
    """Return one opinion; with `lock` no other transaction changes it meanwhile."""
    query = select(Feedback).where(Feedback.id == identifier)
    # SQLite's write lock holds already, and it has no FOR UPDATE: SQLAlchemy leaves it out there.
    found = _all(connection, query.with_for_update() if lock else query)
    return found[0] if found else None


def review(connection: Connection, row: Record) -> None:
    """Note a step of a review, and have the feedback stand as it says."""
    connection.execute(insert(FeedbackReview), [row])
    connection.execute(
        update(Feedback)
        .where(Feedback.id == row["feedback_id"])
        .values(state=row["state"], assignee=row["assignee"], updated_at=row["reviewed_at"])
    )


def reviews(connection: Connection, identifier: uuid.UUID) -> list[Record]:
    """Return the steps of a review in order."""
    query = select(FeedbackReview).where(FeedbackReview.feedback_id == identifier)
    return _all(connection, query.order_by(FeedbackReview.reviewed_at, FeedbackReview.id))


def model_calls(connection: Connection, trace_ids: Sequence[str]) -> list[Record]:
    """Return what was asked and answered in the traces, in order of time."""
    columns: tuple[Any, ...] = (
        LlmCallLog.trace_id,
        LlmCallLog.span_id,
        LlmCallLog.agent,
        LlmCallLog.model_id,
        LlmCallLog.prompt_name,
        LlmCallLog.prompt_version,
        LlmCallLog.prompt,
        LlmCallLog.response,
        LlmCallLog.start_time,
    )
    extent = extent_of_ids(connection, trace_ids)
    query = select(*columns).where(
        LlmCallLog.trace_id.in_(trace_ids), *began_in(LlmCallLog, extent)
    )
    return _all(connection, query.order_by(LlmCallLog.start_time, LlmCallLog.id))


def _all(connection: Connection, query: Select[Any]) -> list[Record]:
    return [dict(row) for row in connection.execute(query).mappings()]
