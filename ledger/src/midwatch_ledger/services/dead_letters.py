"""Records that can't be kept where they belong: kept as they came, with the reason."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime

import orjson
from sqlalchemy import Connection

from midwatch_ledger.models import DeadLetter, EventRecord, SpanRecord
from midwatch_ledger.services.otlp import Refused
from midwatch_ledger.store import writing


def keep_unstorable(
    connection: Connection, record: SpanRecord | EventRecord, reason: str, now: datetime
) -> None:
    """Keep a record that the database refused, or that could not be mapped."""
    signal = "traces" if isinstance(record, SpanRecord) else "logs"
    keep_refused(connection, signal, [Refused(reason, orjson.dumps(record))], now)


def keep_refused(
    connection: Connection, signal: str, refused: Sequence[Refused], now: datetime
) -> None:
    """Keep what could not be read as a record, each as the request that has nothing but it."""
    rows = {
        identifier: {
            "id": identifier,
            "signal": signal,
            "reason": letter.reason,
            "body": letter.body,
            "received_at": now,
        }
        for letter in refused
        # What a sender sends again is the same letter.
        for identifier in [uuid.UUID(bytes=hashlib.sha256(letter.body).digest()[:16])]
    }
    writing.insert_new(connection, DeadLetter, list(rows.values()))
