"""The ids of the ledger's records, so that who makes a span can name the record that it becomes."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("6d696477-6174-4368-8c65-646765720001")


def record_id(trace_id: str, span_id: str) -> uuid.UUID:
    """The id of the execution or model call that a span becomes, by its ids in hexadecimal."""
    return uuid.uuid5(_NAMESPACE, f"{trace_id}:{span_id}")
