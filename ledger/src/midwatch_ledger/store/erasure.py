"""Finding and deleting all that is kept of a session or of a user, and what is held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from midwatch.registry.span_attributes import EXTERNAL_USER_ID
from sqlalchemy import ColumnElement, Connection, Text, cast, delete, insert, or_, select, update

from midwatch_ledger.models import (
    AgentTransition,
    Base,
    CostDetail,
    DailyReport,
    DeadLetter,
    Event,
    ExecutionLog,
    Feedback,
    FeedbackReview,
    GuardrailDecision,
    LegalHold,
    Span,
    WorkflowTrace,
)
from midwatch_ledger.store.rollups import mark_stale

Kind = Literal["session", "user"]
Record = dict[str, Any]

# What names its session or user itself, also where it belongs to no trace.
_TELLING = (Event, AgentTransition, GuardrailDecision)
_USER_ATTRIBUTES = ("user.hash", "enduser.id", "user.id", EXTERNAL_USER_ID.name)

_SESSION_COLUMNS = ("session_id",)
_USER_COLUMNS = ("user_hash", "external_user_id", "given_by")


@dataclass(frozen=True)
class Subject:
    """Whose data: a session by its id, a user by the hash of theirs."""

    kind: Kind
    value: str


def traces_of(connection: Connection, subject: Subject) -> list[str]:
    """Return the ids of all traces that name the subject anywhere."""
    value = subject.value
    if subject.kind == "session":
        columns: tuple[Any, ...] = (WorkflowTrace.session_id, Span.session_id, Feedback.session_id)
        columns += tuple(table.session_id for table in _TELLING)
        found = [(column, column == value) for column in columns]
    else:
        found = [
            (column, column == value)
            for column in (WorkflowTrace.user_hash, Span.user_hash, ExecutionLog.external_user_id)
        ]
        found += [(table.attributes, _names_user(table.attributes, value)) for table in _TELLING]
    traces: set[str] = set()
    for column, condition in found:
        query = select(column.class_.trace_id).where(condition).distinct()
        traces.update(trace for trace in connection.execute(query).scalars() if trace)
    return sorted(traces)


def delete_told(connection: Connection, subject: Subject) -> Counter[str]:
    """Delete what names the subject without a trace of it, and what was worked out of it."""
    deleted: Counter[str] = Counter()
    for table in _TELLING:
        told = (
            table.session_id == subject.value
            if subject.kind == "session"
            else _names_user(table.attributes, subject.value)
        )
        mark_stale(connection, _times(connection, table.occurred_at, told))
        deleted[str(table.__tablename__)] += _delete(connection, table, told)
    given = Feedback.session_id if subject.kind == "session" else Feedback.given_by
    opinions = given == subject.value
    mark_stale(connection, _times(connection, Feedback.given_at, opinions))
    reviewed = FeedbackReview.feedback_id.in_(select(Feedback.id).where(opinions))
    deleted[str(FeedbackReview.__tablename__)] += _delete(connection, FeedbackReview, reviewed)
    deleted[str(Feedback.__tablename__)] += _delete(connection, Feedback, opinions)
    dearest = CostDetail.subject == subject.value
    deleted[str(CostDetail.__tablename__)] += _delete(connection, CostDetail, dearest)
    # A report that names the subject is made anew when somebody asks for it.
    named = cast(DailyReport.content, Text).contains(_in_json(subject.value), autoescape=True)
    deleted[str(DailyReport.__tablename__)] += _delete(connection, DailyReport, named)
    return deleted


def delete_dead_letters(connection: Connection, wanted: Iterable[str]) -> int:
    """Delete the dead letters that hold one of the words as a value; return how many."""
    words = set(wanted)
    found = [
        identifier
        for identifier, body in connection.execute(select(DeadLetter.id, DeadLetter.body))
        if words & set(_words(orjson.loads(body)))
    ]
    return _delete(connection, DeadLetter, DeadLetter.id.in_(found)) if found else 0


def names(row: Record, subject: Subject) -> bool:
    """Return whether a row as an archive has it names the subject itself."""
    value = subject.value
    columns = _SESSION_COLUMNS if subject.kind == "session" else _USER_COLUMNS
    if any(row.get(name) == value for name in columns) or row.get("subject") == value:
        return True
    if "body" in row and "signal" in row:
        return value in _words(orjson.loads(row["body"]))
    if "content" in row:
        return value in _words(row["content"])
    told = row.get("metadata") or row.get("attributes")
    return (
        subject.kind == "user"
        and isinstance(told, dict)
        and any(told.get(name) == value for name in _USER_ATTRIBUTES)
    )


def projects_of(connection: Connection, traces: Sequence[str]) -> set[str | None]:
    """Return the projects that traces belong to."""
    query = select(WorkflowTrace.project).where(WorkflowTrace.trace_id.in_(traces)).distinct()
    return set(connection.execute(query).scalars())


def holds(connection: Connection, *, released: bool = False) -> list[Record]:
    """Return the legal holds, the newest first; with `released` also those that are over."""
    query = select(LegalHold).order_by(LegalHold.created_at.desc(), LegalHold.id)
    if not released:
        query = query.where(LegalHold.released_at.is_(None))
    return [dict(row) for row in connection.execute(query).mappings()]


def add_hold(connection: Connection, row: Record) -> None:
    """Add a legal hold."""
    connection.execute(insert(LegalHold), [row])


def release_hold(connection: Connection, identifier: Any, by: str, now: datetime) -> bool:
    """Release a legal hold; False if there is none that holds."""
    changed = connection.execute(
        update(LegalHold)
        .where(LegalHold.id == identifier, LegalHold.released_at.is_(None))
        .values(released_by=by, released_at=now)
    )
    return changed.rowcount > 0


def _names_user(attributes: Any, value: str) -> ColumnElement[bool]:
    return or_(*(attributes[name].as_string() == value for name in _USER_ATTRIBUTES))


def _times(connection: Connection, column: Any, condition: ColumnElement[bool]) -> list[datetime]:
    return list(connection.execute(select(column).where(condition)).scalars())


def _delete(connection: Connection, table: type[Base], condition: ColumnElement[bool]) -> int:
    return int(connection.execute(delete(table).where(condition)).rowcount)


def _in_json(value: str) -> str:
    return orjson.dumps(value).decode()


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)
