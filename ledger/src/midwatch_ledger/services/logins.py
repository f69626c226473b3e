"""Logging in with an OpenID Connect provider: authorization code, PKCE, state and nonce."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2 import OAuth2Error
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from midwatch_ledger.services.keys import digest_of
from midwatch_ledger.services.roles import Role, grants_of
from midwatch_ledger.store import access as store
from midwatch_ledger.store.database import Database

# Signatures that only the provider can make: "none" and those with a shared secret are no proof.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
_ATTEMPT_LASTS = timedelta(minutes=10)
_CLOCK_SKEW_SECONDS = 60
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
    session_lasts: timedelta


@dataclass(frozen=True)
class Started:
    """A login that begins: where the browser goes, and the state that it must bring back."""

    url: str
    state: str


@dataclass(frozen=True)
class Opened:
    """A session: what its cookie holds, until when, and where the browser wanted to go."""

    token: str
    expires_at: datetime
    target: str


class Logins:
    """Starts and finishes logins, and ends sessions.

    Args:
        database: where attempts and sessions are kept.
        provider: whom to believe.
    """

    def __init__(
        self,
        database: Database,
        provider: Provider,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        timeout_seconds: float = 10.0,
    ) -> None:
        self._database = database
        self._provider = provider
        self._now = now
        self._timeout_seconds = timeout_seconds

    def start(self, target: str) -> Started:
        """Begin a login that ends at a page of ours.

        Raises:
            ProviderUnavailableError: the provider doesn't answer.
            DatabaseUnavailableError: the attempt can't be remembered.
        """
        endpoints = self._discover()
        nonce, verifier = secrets.token_urlsafe(_TOKEN_BYTES), secrets.token_urlsafe(48)
        with self._client() as client:
            url, state = client.create_authorization_url(
                endpoints["authorization_endpoint"], nonce=nonce, code_verifier=verifier
            )
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

    def finish(self, state: str, code: str) -> Opened:
        """Finish a login: the code is exchanged, the identity checked, a session opened.

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
        claims = self._identify(code, attempt)
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
        return self._open(claims, grants, attempt["target"], now)

    def end(self, token: str) -> None:
        """End the session of a cookie.

        Raises:
            DatabaseUnavailableError: it can't be ended now.
        """
        with self._database.writing() as connection:
            store.end_session(connection, digest_of(token))

    def _open(
        self, claims: Mapping[str, Any], grants: Mapping[str, Role], target: str, now: datetime
    ) -> Opened:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        expires_at = now + self._provider.session_lasts
        user = {
            "id": uuid.uuid4(),
            "issuer": self._provider.issuer,
            "subject": str(claims["sub"]),
            "name": _text(claims.get("name") or claims.get("preferred_username")),
            "email": _text(claims.get("email")),
            "grants": dict(grants),
            "created_at": now,
            "last_login_at": now,
        }
        with self._database.writing() as connection:
            kept = store.keep_user(connection, user)
            session = {
                "digest": digest_of(token),
                "user_id": kept["id"],
                "csrf_token": secrets.token_urlsafe(_TOKEN_BYTES),
                "created_at": now,
                "expires_at": expires_at,
            }
            store.add_session(connection, session, now)
        return Opened(token, expires_at, target)

    def _identify(self, code: str, attempt: Mapping[str, Any]) -> Mapping[str, Any]:
        """Exchange the code and return the claims, all of them checked."""
        endpoints = self._discover()
        try:
            with self._client() as client:
                token = client.fetch_token(
                    endpoints["token_endpoint"], code=code, code_verifier=attempt["verifier"]
                )
            keys = self._get(endpoints["jwks_uri"])
            decoded = jwt.decode(
                str(token.get("id_token", "")),
                KeySet.import_key_set({"keys": keys["keys"]}),
                algorithms=_ALGORITHMS,
            )
            self._requirements(attempt["nonce"]).validate(decoded.claims)
        except (OAuth2Error, JoseError, KeyError, ValueError) as error:
            raise LoginRefusedError(
                f"the provider's answer proves nothing ({type(error).__name__}); begin again at "
                "/login"
            ) from error
        except httpx.HTTPError as error:
            raise _unavailable(self._provider.issuer, error) from error
        return decoded.claims

    def _requirements(self, nonce: str) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=int(self._now().timestamp()),
            leeway=_CLOCK_SKEW_SECONDS,
            iss={"essential": True, "value": self._provider.issuer},
            aud={"essential": True, "value": self._provider.client_id},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True},
            exp={"essential": True},
        )

    def _discover(self) -> Mapping[str, Any]:
        found = self._get(f"{self._provider.issuer}/.well-known/openid-configuration")
        needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if found.get("issuer", "").rstrip("/") != self._provider.issuer or not all(
            isinstance(found.get(name), str) for name in needed
        ):
            raise ProviderUnavailableError(
                f"what {self._provider.issuer} says of itself is no provider of that name; check "
                "MIDWATCH_LEDGER_OIDC_ISSUER"
            )
        return found

    def _get(self, url: str) -> Mapping[str, Any]:
        try:
            answer = httpx.get(url, timeout=self._timeout_seconds)
            answer.raise_for_status()
            found: Mapping[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _unavailable(self._provider.issuer, error) from error
        return found

    def _client(self) -> OAuth2Client:
        provider = self._provider
        return OAuth2Client(
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            token_endpoint_auth_method=(
                "client_secret_basic" if provider.client_secret else "none"
            ),
            scope=provider.scopes,
            redirect_uri=provider.redirect_uri,
            code_challenge_method="S256",
            timeout=self._timeout_seconds,
        )


def _unavailable(issuer: str, error: Exception) -> ProviderUnavailableError:
    return ProviderUnavailableError(f"{issuer} doesn't answer ({type(error).__name__})")


def _text(value: object) -> str | None:
    return None if value is None else str(value)
