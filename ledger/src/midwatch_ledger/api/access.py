"""Who may call: everyone, or whoever shows the key."""

from __future__ import annotations

import hashlib
import hmac

from fastapi import Request

from midwatch_ledger.api.problems import ProblemError


class KeyCheck:
    """Compares a bearer key with the expected one; keeps only the digest of the latter."""

    def __init__(self, key: str | None) -> None:
        self._digest = None if key is None else _digest(key)

    def allows(self, authorization: str | None) -> bool:
        """Return whether the `Authorization` header carries the key."""
        if self._digest is None:
            return True
        scheme, _, given = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            _digest(given.strip()), self._digest
        )


async def require_key(request: Request) -> None:
    """Let the request pass if it may.

    Raises:
        ProblemError: 401, the key is missing or wrong.
    """
    check: KeyCheck = request.app.state.key_check
    if not check.allows(request.headers.get("authorization")):
        raise ProblemError(
            401,
            "this ledger asks for its API key: send the header 'Authorization: Bearer <key>'",
            {"WWW-Authenticate": "Bearer"},
        )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
