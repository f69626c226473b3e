"""Browsers that are logged in: a session is opened for somebody known, and ended."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from midwatch_ledger.services.keys import digest_of
from midwatch_ledger.services.roles import Role
from midwatch_ledger.store import access as store
from midwatch_ledger.store.database import Database

KEY_ISSUER = "api-key"
"""Who vouches for a browser that has shown a key; no provider's address looks like it."""

_TOKEN_BYTES = 32


@dataclass(frozen=True)
class Visitor:
    """Who is to be logged in: known to the issuer as the subject, with a role by project."""

    issuer: str
    subject: str
    grants: Mapping[str, Role]
    name: str | None = None
    email: str | None = None


@dataclass(frozen=True)
class Opened:
    """A session: what its cookie holds, and until when."""

    token: str
    expires_at: datetime


class BrowserSessions:
    """Opens and ends sessions, each of which lasts so long at most."""

    def __init__(
        self,
        database: Database,
        lasts: timedelta,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._lasts = lasts
        self._now = now

    def open(self, visitor: Visitor) -> Opened:
        """Log somebody in.

        Raises:
            DatabaseUnavailableError: no session can be kept.
        """
        now = self._now()
        opened = Opened(secrets.token_urlsafe(_TOKEN_BYTES), now + self._lasts)
        user = {
            "id": uuid.uuid4(),
            "issuer": visitor.issuer,
            "subject": visitor.subject,
            "name": visitor.name,
            "email": visitor.email,
            "grants": dict(visitor.grants),
            "created_at": now,
            "last_login_at": now,
        }
        with self._database.writing() as connection:
            kept = store.keep_user(connection, user)
            session = {
                "digest": digest_of(opened.token),
                "user_id": kept["id"],
                "csrf_token": secrets.token_urlsafe(_TOKEN_BYTES),
                "created_at": now,
                "expires_at": opened.expires_at,
            }
            store.add_session(connection, session, now)
        return opened

    def end(self, token: str) -> None:
        """End the session of a cookie.

        Raises:
            DatabaseUnavailableError: it can't be ended now.
        """
        with self._database.writing() as connection:
            store.end_session(connection, digest_of(token))
