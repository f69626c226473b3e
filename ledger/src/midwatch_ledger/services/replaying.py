"""Dead letters once more: records that could not be stored, after what was wrong is fixed."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from sqlalchemy import Connection

from midwatch_ledger.models import EventRecord, SpanRecord
from midwatch_ledger.models.records import ResourceRecord
from midwatch_ledger.services.otlp import Refused, decode_logs, decode_traces
from midwatch_ledger.services.otlp_json import LOGS, TRACES
from midwatch_ledger.services.recording import record_events, record_spans
from midwatch_ledger.services.sampled_out import as_spans
from midwatch_ledger.store import dead_letters as store
from midwatch_ledger.store.database import Database, DatabaseUnavailableError

_TOO_LARGE = "its trace is too large"


@dataclass
class Replayed:
    """How many dead letters were stored where they belong, and why others were not."""

    stored: int = 0
    kept: Counter[str] = field(default_factory=Counter)


def replay(database: Database, now: datetime) -> Replayed:
    """Store all dead letters where they belong; one that still can't be is left as it is.

    A letter is stored and taken away in one transaction, and a record that is there already is left
    alone: to do it again, or after a failure, changes nothing that is done.

    Raises:
        DatabaseUnavailableError: the database can't be used; what is done stays done.
    """
    result = Replayed()
    with database.reading() as connection:
        identifiers = store.identifiers(connection)
    for identifier in identifiers:
        try:
            with database.writing() as connection:
                refused = _replay_one(connection, identifier, now)
        except (DatabaseUnavailableError, MemoryError):
            raise
        except Exception as error:
            # The kind of error only: its text may hold content of the record.
            refused = type(error).__name__
        if refused is None:
            result.stored += 1
        else:
            result.kept[refused] += 1
    return result


def _replay_one(connection: Connection, identifier: uuid.UUID, now: datetime) -> str | None:
    """Store one letter; return why it stays, None if it doesn't."""
    letter = store.take(connection, identifier)
    if letter is None:
        return None  # Another replay has stored it meanwhile.
    records, refused = _read(letter["signal"], letter["body"])
    if refused:
        return refused[0].reason
    spans = [record for record in records if isinstance(record, SpanRecord)]
    if record_spans(connection, spans, now):
        return _TOO_LARGE
    events = [record for record in records if isinstance(record, EventRecord)]
    record_events(connection, events, now)
    store.delete(connection, identifier)
    return None


def _read(signal: str, body: bytes) -> tuple[Sequence[SpanRecord | EventRecord], Sequence[Refused]]:
    """Return the record that could not be stored, or what is read by now of what couldn't be."""
    said = orjson.loads(body)
    if TRACES[0] in said:
        spans = decode_traces(body, is_json=True)
        return spans.records, spans.refused
    if LOGS[0] in said:
        events = decode_logs(body, is_json=True)
        return as_spans(events.records), events.refused
    resource = ResourceRecord(**said["resource"])
    if signal == "traces":
        return [SpanRecord(**{**said, "resource": resource})], []
    return [EventRecord(**{**said, "id": uuid.UUID(said["id"]), "resource": resource})], []
