"""Logging in with an OpenID Connect provider: authorization code, PKCE, state and nonce."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from midwatch_ledger.services.browser_sessions import BrowserSessions, Opened, Visitor
from midwatch_ledger.services.keys import digest_of
from midwatch_ledger.services.roles import Role, grants_of
from midwatch_ledger.store import access as store
from midwatch_ledger.store.database import Database

_ATTEMPT_LASTS = timedelta(minutes=10)
_TOKEN_BYTES = 32


class LoginRefusedError(Exception):
    """Nobody is logged in; the text says why. `forbidden`: who it is, is known."""

    def __init__(self, told: str, *, forbidden: bool = False) -> None:
        super().__init__(told)
        self.forbidden = forbidden


class ProviderUnavailableError(Exception):
    """The provider doesn't answer as one: the same login may succeed later."""


@dataclass(frozen=True)
class Provider:
    """What the settings say of the provider."""

    issuer: str
    client_id: str
    client_secret: str | None
    redirect_uri: str
    scopes: str
    groups_claim: str
    roles: Mapping[str, Role | Mapping[str, Role]]


@dataclass(frozen=True)
class Started:
    """A login that begins: where the browser goes, and the state that it must bring back."""

    url: str
    state: str


class Identity(Protocol):
    """Whom to believe: `services.identity.OpenIdProvider`."""

    def authorization_url(self, nonce: str, verifier: str) -> tuple[str, str]:
        """Return where the browser goes, and the state that it must bring back."""

    def claims(self, code: str, nonce: str, verifier: str) -> Mapping[str, Any]:
        """Return who has come back."""


class Logins:
    """Starts and finishes logins.

    Args:
        database: where attempts are kept.
        sessions: what a login ends in.
        provider: what the settings say of it.
        identity: the provider itself.
    """

    def __init__(
        self,
        database: Database,
        sessions: BrowserSessions,
        provider: Provider,
        identity: Identity,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._provider = provider
        self._identity = identity
        self._now = now

    def start(self, target: str) -> Started:
        """Begin a login that ends at a page of ours.

        Raises:
            ProviderUnavailableError: the provider doesn't answer.
            DatabaseUnavailableError: the attempt can't be remembered.
        """
        nonce, verifier = secrets.token_urlsafe(_TOKEN_BYTES), secrets.token_urlsafe(48)
        url, state = self._identity.authorization_url(nonce, verifier)
        now = self._now()
        row = {
            "digest": digest_of(state),
            "nonce": nonce,
            "verifier": verifier,
            "target": target,
            "expires_at": now + _ATTEMPT_LASTS,
        }
        with self._database.writing() as connection:
            store.add_attempt(connection, row, now)
        return Started(url, state)

    def finish(self, state: str, code: str) -> tuple[Opened, str]:
        """Finish a login: the code is exchanged, the identity checked, a session opened.

        Returns:
            The session, and the page of ours that the browser wanted.

        Raises:
            LoginRefusedError: the state is unknown or old, the provider says no, what it says
                doesn't hold, or no group of the user has a role.
            ProviderUnavailableError: the provider doesn't answer.
            DatabaseUnavailableError: no session can be kept.
        """
        now = self._now()
        with self._database.writing() as connection:
            attempt = store.take_attempt(connection, digest_of(state), now)
        if attempt is None:
            raise LoginRefusedError("this login is unknown or too old; begin again at /login")
        claims = self._identity.claims(code, attempt["nonce"], attempt["verifier"])
        groups = claims.get(self._provider.groups_claim) or []
        if not isinstance(groups, list):
            groups = [groups]
        grants = grants_of([str(group) for group in groups], self._provider.roles)
        if not grants:
            raise LoginRefusedError(
                "you are known, but none of your groups has a role here; ask for one that "
                "MIDWATCH_LEDGER_OIDC_ROLES names",
                forbidden=True,
            )
        visitor = Visitor(
            self._provider.issuer,
            str(claims["sub"]),
            grants,
            name=_text(claims.get("name") or claims.get("preferred_username")),
            email=_text(claims.get("email")),
        )
        return self._sessions.open(visitor), attempt["target"]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
