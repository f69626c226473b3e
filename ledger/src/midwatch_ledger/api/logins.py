"""`/login`, `/logout`, `/whoami`: people come in with an OpenID Connect provider, or with a key."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from starlette.responses import RedirectResponse

from midwatch_ledger.api.answers import json_answer
from midwatch_ledger.api.guard import address_of, session_cookie, wait_if
from midwatch_ledger.api.key_logins import KEY_LOGIN, a_path_here, let_in
from midwatch_ledger.api.problems import ProblemError, documented, unavailable
from midwatch_ledger.secret_files import secret_in
from midwatch_ledger.services.browser_sessions import BrowserSessions
from midwatch_ledger.services.logins import (
    LoginRefusedError,
    Logins,
    Provider,
    ProviderUnavailableError,
)
from midwatch_ledger.services.roles import Principal
from midwatch_ledger.settings import Settings
from midwatch_ledger.store.database import Database

router = APIRouter(tags=["access"])

_STATE_COOKIE = "midwatch-login"
_ATTEMPT_SECONDS = 600


class Whoami(BaseModel):
    """Who calls, and what they may do: `grants` is a role by project, `*` is all of them."""

    name: str
    grants: dict[str, str]
    scopes: list[str] | None
    csrf_token: str | None
    expires_at: datetime | None


def logins_of(settings: Settings, database: Database, sessions: BrowserSessions) -> Logins | None:
    """Return how people log in with a provider, None where there is none."""
    if settings.oidc_issuer is None:
        return None
    provider = Provider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id or "",
        client_secret=secret_in(settings.oidc_client_secret_file),
        redirect_uri=f"{settings.public_url}/login/callback",
        scopes=settings.oidc_scopes,
        groups_claim=settings.oidc_groups_claim,
        roles=settings.oidc_roles,
    )
    # What it needs takes long to import.
    from midwatch_ledger.services.identity import OpenIdProvider

    return Logins(database, sessions, provider, OpenIdProvider(provider))


@router.get(
    "/login",
    status_code=302,
    response_class=RedirectResponse,
    responses=documented(422, 429, 503),
)
def log_in(
    request: Request,
    target: Annotated[
        str, Query(alias="next", max_length=2000, description="Where to go then: a path of ours.")
    ] = "/",
) -> Response:
    """Send the browser to the provider, which sends it back to `/login/callback`.

    Without a provider it is sent to the page that takes an API key, `/login/key`.
    """
    wait_if(request.state.limits.addresses.take(address_of(request)))
    target = a_path_here(target)
    logins: Logins | None = request.app.state.logins
    if logins is None:
        return RedirectResponse(f"{KEY_LOGIN}?{urlencode({'next': target})}", 302)
    try:
        started = logins.start(target)
    except ProviderUnavailableError as error:
        raise unavailable(str(error)) from None
    answer = RedirectResponse(started.url, 302)
    answer.set_cookie(
        _STATE_COOKIE,
        started.state,
        max_age=_ATTEMPT_SECONDS,
        path="/login",
        secure=request.app.state.settings.cookie_secure,
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get(
    "/login/callback",
    status_code=302,
    response_class=RedirectResponse,
    responses=documented(400, 403, 404, 422, 429, 503),
)
def finish_login(
    request: Request,
    state: Annotated[str, Query(max_length=500)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    error: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """Take the provider's answer, and open a session for the browser that asked for it."""
    wait_if(request.state.limits.failures.take(address_of(request)))
    logins = _logins(request)
    asked = request.cookies.get(_STATE_COOKIE, "")
    if not state or not hmac.compare_digest(asked.encode(), state.encode()):
        raise ProblemError(400, "this browser has begun no such login; begin again at /login")
    if error or not code:
        raise ProblemError(403, "the provider let nobody in; begin again at /login")
    try:
        opened, target = logins.finish(state, code)
    except LoginRefusedError as refused:
        raise ProblemError(403 if refused.forbidden else 400, str(refused)) from None
    except ProviderUnavailableError as away:
        raise unavailable(str(away)) from None
    answer = RedirectResponse(target, 302)
    answer.delete_cookie(_STATE_COOKIE, path="/login")
    return let_in(request, answer, opened)


@router.post("/logout", status_code=204, response_class=Response, responses=documented(401, 503))
def log_out(request: Request) -> Response:
    """End the session of this browser."""
    cookie = session_cookie(request.app.state.settings)
    token = request.cookies.get(cookie)
    if token:
        request.app.state.browser_sessions.end(token)
        request.app.state.authenticator.forget(token)
    answer = Response(status_code=204)
    answer.delete_cookie(cookie, path="/", secure=request.app.state.settings.cookie_secure)
    return answer


@router.get("/whoami", response_model=Whoami, responses=documented(401, 503))
def who_am_i(request: Request) -> Response:
    """Say who calls and what they may do; browsers get the token that changes need."""
    principal: Principal = request.state.principal
    return json_answer(
        {
            "name": principal.name,
            "grants": dict(principal.grants),
            "scopes": None if principal.scopes is None else sorted(principal.scopes),
            "csrf_token": principal.csrf_token,
            "expires_at": principal.details.get("expires_at"),
        }
    )


def _logins(request: Request) -> Logins:
    logins: Logins | None = request.app.state.logins
    if logins is None:
        raise ProblemError(
            404, "there is no provider here: set MIDWATCH_LEDGER_OIDC_ISSUER, or log in at /login"
        )
    return logins
