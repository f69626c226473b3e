"""Feedback: taken once, reviewed step by step, handed on as a dataset."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from midwatch_ledger.store import details, live, reading
from midwatch_ledger.store import feedback as store
from midwatch_ledger.store.reading import Criteria, Mark, Page
from midwatch_ledger.store.rollups import mark_stale

State = Literal["new", "in_review", "accepted", "dismissed"]
Record = dict[str, Any]

_NAMESPACE = uuid.UUID("6d696477-6174-4368-8c65-646765720003")
_BATCH = 200


class FeedbackTakenError(Exception):
    """Another opinion was given under the same key."""


@dataclass(frozen=True)
class Opinion:
    """What somebody thinks, about what."""

    kind: str
    value: str
    score: float | None = None
    labels: list[str] = field(default_factory=list)
    comment: str | None = None
    given_by: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    session_id: str | None = None
    turn_id: str | None = None
    service: str | None = None
    project: str | None = None


@dataclass(frozen=True)
class Step:
    """A step of a review; what is None stays as it is."""

    reviewer: str
    state: State | None = None
    assignee: str | None = None
    note: str | None = None


def give(connection: Connection, opinion: Opinion, key: str | None, now: datetime) -> Record:
    """Keep an opinion and return it; under the same key it is kept once.

    Raises:
        FeedbackTakenError: the key is that of another opinion.
    """
    identifier = uuid.uuid4() if key is None else uuid.uuid5(_NAMESPACE, key)
    row = {
        **asdict(opinion),
        "id": identifier,
        "source": "api",
        "given_at": now,
        "state": "new",
        "assignee": None,
        "updated_at": now,
    }
    store.add(connection, row)
    kept = store.find(connection, identifier)
    if kept is None or any(kept[name] != value for name, value in asdict(opinion).items()):
        raise FeedbackTakenError
    turns = [] if opinion.trace_id is None else [opinion.trace_id]
    mark_stale(connection, [now, *details.times_of_turns(connection, turns)])
    live.announce(connection, "feedback", [identifier], now)
    return _with_reviews(connection, kept)


def find(connection: Connection, identifier: uuid.UUID) -> Record | None:
    """Return an opinion with the steps of its review."""
    kept = store.find(connection, identifier)
    return None if kept is None else _with_reviews(connection, kept)


def review(
    connection: Connection, identifier: uuid.UUID, step: Step, now: datetime
) -> Record | None:
    """Take a step in the review of an opinion and return it; None if there is none.

    A step that changes nothing and says nothing leaves no trace. An empty assignee is nobody.
    """
    kept = store.find(connection, identifier, lock=True)
    if kept is None:
        return None
    state = kept["state"] if step.state is None else step.state
    assignee = kept["assignee"] if step.assignee is None else step.assignee or None
    if step.note or (state, assignee) != (kept["state"], kept["assignee"]):
        store.review(
            connection,
            {
                "id": uuid.uuid4(),
                "feedback_id": identifier,
                "state": state,
                "assignee": assignee,
                "note": step.note,
                "reviewer": step.reviewer,
                "reviewed_at": now,
            },
        )
        live.announce(connection, "feedback", [identifier], now)
    return find(connection, identifier)


def dataset(connection: Connection, criteria: Criteria) -> Iterator[Record]:
    """Give feedback with what was asked and answered, as examples to learn or to test from."""
    last: Mark | None = None
    while found := reading.feedback(connection, criteria, Page(_BATCH, after=last)):
        trace_ids = sorted({row["trace_id"] for row in found if row["trace_id"]})
        calls: defaultdict[str, list[Record]] = defaultdict(list)
        for call in store.model_calls(connection, trace_ids):
            calls[call["trace_id"]].append(call)
        for row in found:
            about = calls.get(row["trace_id"] or "", [])
            exact = [call for call in about if call["span_id"] == row["span_id"]]
            yield {**row, "model_calls": exact or about}
        last = Mark(found[-1]["given_at"], found[-1]["id"])


def _with_reviews(connection: Connection, kept: Record) -> Record:
    return {**kept, "reviews": store.reviews(connection, kept["id"])}
