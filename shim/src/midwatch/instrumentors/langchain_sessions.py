"""Whose run it is: the session and the user that the caller names in the run's metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

_SESSION_KEYS = ("thread_id", "session_id", "conversation_id", "langfuse_session_id")
_USER_KEYS = ("user_id", "user", "langfuse_user_id")
_HASH_BYTES = 16


def session_of(metadata: Mapping[str, Any]) -> str:
    """The session's id, empty if none is named."""
    return _first(metadata, _SESSION_KEYS)


def user_hash_of(metadata: Mapping[str, Any]) -> str:
    """The hash of the user's id, empty if none is named; the id itself goes nowhere."""
    user = _first(metadata, _USER_KEYS)
    return hash_of_user(user) if user else ""


def hash_of_user(user: str) -> str:
    """The same text for the same user, everywhere, that does not tell who it is."""
    return hashlib.blake2b(
        user.encode(), digest_size=_HASH_BYTES, person=b"midwatch-user"
    ).hexdigest()


def _first(metadata: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = metadata.get(key)
        if value and isinstance(value, (str, int)):
            return str(value)
    return ""
