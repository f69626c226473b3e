"""The ids of the ledger's records, so that who makes a span can name the record that it becomes."""

from __future__ import annotations

import hashlib
import uuid

_NAMESPACE = uuid.UUID("6d696477-6174-4368-8c65-646765720001")
# As `uuid.uuid5` makes an id of names in the namespace, of which the beginning is always the same.
_BEGUN = hashlib.sha1(_NAMESPACE.bytes, usedforsecurity=False)


def record_id(trace_id: str, span_id: str) -> uuid.UUID:
    """The id of the execution or model call that a span becomes, by its ids in hexadecimal."""
    digest = _BEGUN.copy()
    digest.update(f"{trace_id}:{span_id}".encode())
    return uuid.UUID(bytes=digest.digest()[:16], version=5)
