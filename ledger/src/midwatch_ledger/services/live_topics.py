"""What live clients can follow: topics, the fields that they filter by, and the records."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from midwatch_ledger.models import (
    AlertHistory,
    Base,
    Event,
    ExecutionLog,
    Feedback,
    LlmCallLog,
    WorkflowTrace,
)
from midwatch_ledger.services import acknowledgements
from midwatch_ledger.store.extents import began_in, extent_of_ids
from midwatch_ledger.store.live import Change

Record = dict[str, Any]
_Key = Callable[[Record], str]
_Loader = Callable[[Connection, Sequence[uuid.UUID], datetime], list[Record]]
_IDS_PER_QUERY = 100


@dataclass(frozen=True)
class Topic:
    """One kind of news.

    Attributes:
        number: its place among the topics of one change.
        kind: the kind of change that it tells of.
        key: what orders the records of a change, and identifies each.
        fields: what can be filtered by: the name, and the field of a record.
        load: gives the records of a change that may be seen.
    """

    number: int
    name: str
    kind: str
    key: _Key
    fields: Mapping[str, str]
    load: _Loader


def records_of(
    connection: Connection, change: Change, topics: frozenset[str]
) -> Iterator[tuple[Topic, list[tuple[str, Record]]]]:
    """Give the records of a change, topic by topic and a few at once, with their keys.

    The order is always the same, so that reading can go on after any of them. What may be seen
    is up to the boundary of the work in hand.
    """
    for topic in TOPICS.values():
        if topic.kind != change.kind or topic.name not in topics:
            continue
        ids = sorted(set(change.ids))
        for start in range(0, len(ids), _IDS_PER_QUERY):
            found = topic.load(connection, ids[start : start + _IDS_PER_QUERY], change.written_at)
            if found:
                yield topic, [(topic.key(record), record) for record in found]


def _of_traces(table: type[ExecutionLog | LlmCallLog]) -> _Loader:
    def load(connection: Connection, ids: Sequence[uuid.UUID], written: datetime) -> list[Record]:
        trace_ids = [one.hex for one in ids]
        query = (
            select(table)
            .where(
                table.trace_id.in_(trace_ids),
                table.created_at == written,
                *began_in(table, extent_of_ids(connection, trace_ids)),
            )
            .order_by(table.trace_id, table.id)
        )
        return [dict(row) for row in connection.execute(query).mappings()]

    return load


def _traces(connection: Connection, ids: Sequence[uuid.UUID], _written: datetime) -> list[Record]:
    key = WorkflowTrace.trace_id
    query = select(WorkflowTrace).where(key.in_([one.hex for one in ids])).order_by(key)
    return [dict(row) for row in connection.execute(query).mappings()]


def _by_id(table: type[Base]) -> _Loader:
    key = table.__table__.c.id

    def load(connection: Connection, ids: Sequence[uuid.UUID], _written: datetime) -> list[Record]:
        query = select(table).where(key.in_(ids)).order_by(key)
        return [dict(row) for row in connection.execute(query).mappings()]

    return load


def _alerts(connection: Connection, ids: Sequence[uuid.UUID], written: datetime) -> list[Record]:
    told = _by_id(AlertHistory)(connection, ids, written)
    return [acknowledgements.with_actions(connection, alert) for alert in told]


def _trace_key(record: Record) -> str:
    return str(record["trace_id"])


def _key(record: Record) -> str:
    identifier: uuid.UUID = record["id"]
    return identifier.hex


def _key_in_trace(record: Record) -> str:
    return _trace_key(record) + _key(record)


_WHERE = {"project": "project", "service": "service", "trace_id": "trace_id"}
_TRACE = {**_WHERE, "session_id": "session_id", "status": "status", "outcome": "outcome"}
_LLM_CALL = {**_WHERE, "agent": "agent", "status": "status", "provider": "provider"}

TOPICS: Final[dict[str, Topic]] = {
    topic.name: topic
    for topic in (
        Topic(0, "traces", "spans", _trace_key, {**_TRACE, "agent": "entry_agent"}, _traces),
        Topic(
            1,
            "executions",
            "spans",
            _key_in_trace,
            {**_WHERE, "agent": "agent_type", "status": "status", "step": "execution_step"},
            _of_traces(ExecutionLog),
        ),
        Topic(
            2,
            "llm_calls",
            "spans",
            _key_in_trace,
            {**_LLM_CALL, "model": "model_id"},
            _of_traces(LlmCallLog),
        ),
        Topic(
            3,
            "events",
            "events",
            _key,
            {**_WHERE, "session_id": "session_id", "name": "name"},
            _by_id(Event),
        ),
        Topic(
            4,
            "feedback",
            "feedback",
            _key,
            {**_WHERE, "session_id": "session_id", "kind": "kind", "state": "state"},
            _by_id(Feedback),
        ),
        Topic(
            5,
            "alerts",
            "alerts",
            _key,
            {
                "alertname": "alert_name",
                "severity": "severity",
                "status": "status",
                "fingerprint": "fingerprint",
            },
            _alerts,
        ),
    )
}
"""All topics by name, in the order in which one change is told."""
