"""API keys: made once, kept as digests, rotated with an overlap, revoked at once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from midwatch_ledger.services.roles import SCOPES
from midwatch_ledger.store import access as store

Record = dict[str, Any]

_MARK = "mwk"
_PREFIX_BYTES = 6
_SECRET_BYTES = 32


class KeyRefusedError(Exception):
    """The key can't be made or changed so; the text says why and what is allowed."""


@dataclass(frozen=True)
class KeyWanted:
    """What a new key is for: `project` None is all of them, `lifetime` None has no end."""

    name: str
    scopes: tuple[str, ...]
    project: str | None = None
    lifetime: timedelta | None = None


def digest_of(secret: str) -> str:
    """Return what is kept of a secret. It is random and long: one round of SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, digest: str) -> bool:
    """Return whether a secret has the digest; takes as long whatever is wrong with it."""
    return hmac.compare_digest(digest_of(secret), digest)


def prefix_of(secret: str) -> str | None:
    """Return the part of a key that it is found by; None for what is no key of ours."""
    mark, _, rest = secret.partition("_")
    prefix, separator, _ = rest.partition("_")
    return prefix if mark == _MARK and separator and prefix.isalnum() else None


def create(connection: Connection, wanted: KeyWanted, by: str, now: datetime) -> tuple[Record, str]:
    """Make a key; return it as it is kept, and its secret, which nobody can tell again.

    Raises:
        KeyRefusedError: there are no such scopes, or there is no name.
    """
    scopes = _checked_scopes(wanted.scopes)
    if not wanted.name.strip():
        raise KeyRefusedError("a key needs a name that says who uses it")
    prefix = secrets.token_hex(_PREFIX_BYTES)
    secret = f"{_MARK}_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    row = {
        "id": uuid.uuid4(),
        "name": wanted.name.strip(),
        "prefix": prefix,
        "digest": digest_of(secret),
        "scopes": scopes,
        "project": wanted.project,
        "created_by": by,
        "created_at": now,
        "expires_at": None if wanted.lifetime is None else now + wanted.lifetime,
        "revoked_at": None,
        "last_used_at": None,
    }
    store.add_key(connection, row)
    return row, secret


def rotate(
    connection: Connection, prefix: str, overlap: timedelta, by: str, now: datetime
) -> tuple[Record, str]:
    """Make a key like another one, which holds for as long as the overlap and then no more.

    Raises:
        KeyRefusedError: there is no such key, or it doesn't hold any more.
    """
    old = _held(connection, prefix, now)
    lifetime = None if old["expires_at"] is None else old["expires_at"] - old["created_at"]
    made = create(
        connection,
        KeyWanted(old["name"], tuple(old["scopes"]), old["project"], lifetime),
        by,
        now,
    )
    ends = min(now + overlap, old["expires_at"] or now + overlap)
    store.change_key(connection, prefix, expires_at=ends)
    return made


def revoke(connection: Connection, prefix: str, now: datetime) -> Record:
    """End a key now.

    Raises:
        KeyRefusedError: there is no such key, or it doesn't hold any more.
    """
    key = _held(connection, prefix, now)
    store.change_key(connection, prefix, revoked_at=now)
    return key


def holds(key: Record, now: datetime) -> bool:
    """Return whether a key opens anything now."""
    return key["revoked_at"] is None and (key["expires_at"] is None or key["expires_at"] > now)


def _held(connection: Connection, prefix: str, now: datetime) -> Record:
    key = store.key_by_prefix(connection, prefix)
    if key is None:
        raise KeyRefusedError(f"there is no key {prefix!r}; `midwatch-ledger keys list` shows all")
    if not holds(key, now):
        raise KeyRefusedError(f"key {prefix!r} has ended already; create a new one")
    return key


def _checked_scopes(scopes: Iterable[str]) -> list[str]:
    given = set(scopes)
    unknown = sorted(given - set(SCOPES))
    if unknown or not given:
        raise KeyRefusedError(
            f"scopes {', '.join(unknown) or 'none'}: allowed are {', '.join(SCOPES)}, "
            "at least one of them"
        )
    return [scope for scope in SCOPES if scope in given]
