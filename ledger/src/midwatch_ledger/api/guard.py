"""The door: who calls, how often, from where; and what every answer carries."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import math
import re
import uuid
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from midwatch_ledger.access_settings import is_loopback
from midwatch_ledger.api import pages, problems
from midwatch_ledger.api.pages import CSRF_HEADER
from midwatch_ledger.api.permissions import PUBLIC
from midwatch_ledger.api.problems import ProblemError
from midwatch_ledger.models.boundary import Boundary, within
from midwatch_ledger.services.authentication import ANYONE, Authenticator
from midwatch_ledger.services.rates import RateLimit
from midwatch_ledger.services.roles import Principal
from midwatch_ledger.settings import Settings
from midwatch_ledger.store.database import DatabaseUnavailableError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_PUBLIC_PATHS = frozenset({route.partition(" ")[2] for route in PUBLIC} | {"/openapi.json"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "script-src 'self'; connect-src 'self'; font-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How often who may ask."""

    callers: RateLimit
    addresses: RateLimit
    failures: RateLimit

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return the limits of the settings."""
        return cls(
            RateLimit(settings.requests_per_minute),
            RateLimit(settings.address_requests_per_minute),
            RateLimit(settings.address_failures_per_minute),
        )


class GuardMiddleware:
    """Lets in who may come in; plain ASGI, so that nothing buffers bodies.

    A route sees nothing of the database until `api.access` has decided what: this boundary is
    empty.
    """

    def __init__(
        self, application: ASGIApp, authenticator: Authenticator, settings: Settings
    ) -> None:
        self._application = application
        self._authenticator = authenticator
        self._cookie = session_cookie(settings)
        self._secure = settings.cookie_secure
        self._limits = Limits.of(settings)
        self._on_loopback = is_loopback(settings.host)
        self._threads = CapacityLimiter(2)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if it may pass."""
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["limits"] = self._limits
        state["boundary"] = boundary = Boundary()
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                started = True
                self._add_headers(message, request_id)
            await send(message)

        with within(boundary):
            try:
                caller = HTTPConnection(scope)
                state["recognize"] = partial(self._known, caller)
                state["principal"] = await self._admit(caller)
                await self._application(scope, receive, send_with_headers)
            except ProblemError as problem:
                told = pages.refusal(scope, problem) if pages.wants_page(scope) else None
                await (told or problems.of(problem))(scope, receive, send_with_headers)
            except DatabaseUnavailableError as error:
                _logger.warning("the database is unavailable: %s", error)
                unavailable = problems.unavailable(problems.DATABASE_AWAY)
                await problems.of(unavailable)(scope, receive, send_with_headers)
            except Exception:
                if not started and scope["type"] == "http":
                    failed = problems.failed(scope["method"], scope["path"])
                    await failed(scope, receive, send_with_headers)
                raise

    async def _admit(self, caller: HTTPConnection) -> Principal | None:
        """Return who calls; None for a route that asks nobody.

        Raises:
            ProblemError: 401 nobody known, 403 a foreign page asks, 429 too often.
            DatabaseUnavailableError: nobody can say who it is.
        """
        path = caller.scope["path"]
        if path in _PUBLIC_PATHS:
            return None
        address = address_of(caller)
        wait_if(self._limits.failures.wait(address))
        principal = await self._known(caller)
        if principal is None:
            self._limits.failures.take(address)
            raise ProblemError(
                401,
                "this ledger asks who you are: send the header 'Authorization: Bearer <key>', or "
                "log in at /login",
                {"WWW-Authenticate": "Bearer"},
            )
        self._check_page(caller, principal)
        return principal

    async def _known(self, caller: HTTPConnection) -> Principal | None:
        scheme, _, rest = caller.headers.get("authorization", "").partition(" ")
        key = rest.strip() if scheme.lower() == "bearer" else None
        cookie = None if key else caller.cookies.get(self._cookie)

        def find() -> Principal | None:
            found = self._authenticator.by_key(key) if key else None
            found = self._authenticator.by_cookie(cookie) if cookie else found
            return ANYONE if found is None and self._authenticator.is_open() else found

        # Threads are for what waits: routes that are slow must not hold up who is known already.
        if self._authenticator.remembers(key=key, cookie=cookie):
            return find()
        return await to_thread.run_sync(find, limiter=self._threads)

    def _check_page(self, caller: HTTPConnection, principal: Principal) -> None:
        """Refuse what a page of somebody else has a browser do.

        Raises:
            ProblemError: 403.
        """
        if principal.csrf_token is None and principal is not ANYONE:
            return
        host = caller.headers.get("host", "")
        if principal is ANYONE and self._on_loopback and not _is_plain_host(host):
            raise ProblemError(
                403,
                f"this ledger is open to this machine only and is not {host!r}; ask 127.0.0.1, or "
                "create a key: midwatch-ledger keys create",
            )
        if caller.scope["type"] == "http" and caller.scope["method"] in SAFE_METHODS:
            return
        check_origin(caller)
        # The console's forms show the token in a field: `pages.read_form` looks at it.
        in_form = caller.scope["path"].startswith("/console/")
        if caller.scope["type"] == "http" and principal.csrf_token is not None and not in_form:
            _check_token(caller, principal.csrf_token)

    def _add_headers(self, message: Message, request_id: str) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("cache-control", "no-store")
        headers["x-request-id"] = request_id
        if self._secure:
            headers.setdefault("strict-transport-security", "max-age=31536000")


def session_cookie(settings: Settings) -> str:
    """Return the name of the cookie of a login; browsers hold `__Host-` ones to their promise."""
    return "__Host-midwatch-session" if settings.cookie_secure else "midwatch-session"


def address_of(caller: HTTPConnection) -> str:
    """Return where somebody calls from."""
    return caller.client.host if caller.client else "unknown"


def check_origin(caller: HTTPConnection) -> None:
    """Refuse what a page of somebody else sends.

    Raises:
        ProblemError: 403.
    """
    origin = caller.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != caller.headers.get("host", ""):
        raise ProblemError(403, f"a page of {origin!r} may change nothing here")


def limit_calls(caller: HTTPConnection, principal: Principal) -> None:
    """Count a call.

    Raises:
        ProblemError: 429, there were too many.
    """
    limits: Limits = caller.state.limits
    wait_if(limits.callers.take(principal.name))
    wait_if(limits.addresses.take(address_of(caller)))


def wait_if(seconds: float) -> None:
    """Refuse a call that comes too soon.

    Raises:
        ProblemError: 429, with how many seconds to wait.
    """
    if seconds > 0:
        raise ProblemError(
            429,
            f"too many requests; the next one is taken in {math.ceil(seconds)} s",
            {"Retry-After": str(math.ceil(seconds))},
        )


def _check_token(caller: HTTPConnection, expected: str) -> None:
    shown = caller.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(shown.encode(), expected.encode()):
        raise ProblemError(
            403,
            "a request that changes something needs the header X-CSRF-Token beside the session's "
            "cookie; GET /whoami tells the token",
        )


def _is_plain_host(host: str) -> bool:
    """Return whether no name server of somebody else can have led a browser here."""
    name = urlsplit(f"//{host}").hostname or ""
    if "." not in name or name.endswith((".localhost", ".svc", ".local")):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
