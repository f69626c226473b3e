"""An OpenID Connect provider: where people prove who they are.

Apart from `logins`, as what it needs takes long to import: only a ledger that has logins does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from ssl import SSLContext
from typing import Any

import httpx2
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2 import OAuth2Error
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from midwatch_ledger.services.logins import (
    LoginRefusedError,
    Provider,
    ProviderUnavailableError,
)

# Signatures that only the provider can make: "none" and those with a shared secret are no proof.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
_CLOCK_SKEW_SECONDS = 60


class OpenIdProvider:
    """Sends browsers to the provider, and believes what it says of who comes back."""

    def __init__(
        self,
        provider: Provider,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        timeout_seconds: float = 10.0,
    ) -> None:
        self._provider = provider
        self._now = now
        self._timeout_seconds = timeout_seconds

    def authorization_url(self, nonce: str, verifier: str) -> tuple[str, str]:
        """Return where the browser goes, and the state that it must bring back.

        Raises:
            ProviderUnavailableError: the provider doesn't answer.
        """
        endpoints = self._discover()
        with self._client() as client:
            url, state = client.create_authorization_url(
                endpoints["authorization_endpoint"], nonce=nonce, code_verifier=verifier
            )
        return str(url), str(state)

    def claims(self, code: str, nonce: str, verifier: str) -> Mapping[str, Any]:
        """Exchange the code and return the claims, all of them checked.

        Raises:
            LoginRefusedError: the provider says no, or what it says doesn't hold.
            ProviderUnavailableError: the provider doesn't answer.
        """
        endpoints = self._discover()
        try:
            with self._client() as client:
                token = client.fetch_token(
                    endpoints["token_endpoint"], code=code, code_verifier=verifier
                )
            keys = self._get(endpoints["jwks_uri"])
            decoded = jwt.decode(
                str(token.get("id_token", "")),
                KeySet.import_key_set({"keys": keys["keys"]}),
                algorithms=_ALGORITHMS,
            )
            self._requirements(nonce).validate(decoded.claims)
        except (OAuth2Error, JoseError, KeyError, ValueError) as error:
            raise LoginRefusedError(
                f"the provider's answer proves nothing ({type(error).__name__}); begin again at "
                "/login"
            ) from error
        except httpx2.HTTPError as error:
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
            answer = httpx2.get(url, timeout=self._timeout_seconds, verify=_trusted())
            answer.raise_for_status()
            found: Mapping[str, Any] = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
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
            verify=_trusted(),
        )


@cache
def _trusted() -> SSLContext:
    """Give whom the machine trusts; reading it takes 30 ms of a core, more than all of a login."""
    return httpx2.create_ssl_context()


def _unavailable(issuer: str, error: Exception) -> ProviderUnavailableError:
    return ProviderUnavailableError(f"{issuer} doesn't answer ({type(error).__name__})")
