"""`/login/key`: a browser shows an API key once, and gets a session that is good as long as it."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import RedirectResponse

from midwatch_ledger.api.guard import address_of, check_origin, session_cookie, wait_if
from midwatch_ledger.api.pages import form_fields, render
from midwatch_ledger.api.problems import ProblemError
from midwatch_ledger.services.authentication import Authenticator
from midwatch_ledger.services.browser_sessions import BrowserSessions, Opened
from midwatch_ledger.settings import Settings

router = APIRouter(include_in_schema=False)

KEY_LOGIN = "/login/key"
_MOST_KEY_BYTES = 1000


def a_path_here(target: str) -> str:
    """Return where a browser goes after its login.

    Raises:
        ProblemError: 422, that may be a page of somebody else.
    """
    if not target.startswith("/") or target.startswith(("//", "/\\")):
        raise ProblemError(422, f"next is {target!r}; it must be a path here, such as /whoami")
    return target


def let_in(request: Request, answer: Response, opened: Opened) -> Response:
    """Give the browser the cookie of its session."""
    settings: Settings = request.app.state.settings
    answer.set_cookie(
        session_cookie(settings),
        opened.token,
        expires=opened.expires_at.astimezone(UTC),
        path="/",
        secure=settings.cookie_secure,
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get(KEY_LOGIN)
def ask_for_key(
    request: Request,
    target: Annotated[str, Query(alias="next", max_length=2000)] = "/",
) -> Response:
    """Show the form that takes a key."""
    wait_if(request.state.limits.addresses.take(address_of(request)))
    return _form(request, a_path_here(target))


@router.post(KEY_LOGIN)
def take_key(request: Request, fields: Annotated[dict[str, str], Depends(form_fields)]) -> Response:
    """Open a session for a browser whose key opens something."""
    check_origin(request)
    wait_if(request.state.limits.failures.take(address_of(request)))
    target = a_path_here(fields.get("next") or "/")
    shown = fields.get("key", "").strip()
    authenticator: Authenticator = request.app.state.authenticator
    visitor = authenticator.visitor_with_key(shown) if len(shown) <= _MOST_KEY_BYTES else None
    if visitor is None:
        return _form(request, target, refused=True)
    sessions: BrowserSessions = request.app.state.browser_sessions
    return let_in(request, RedirectResponse(target, 303), sessions.open(visitor))


def _form(request: Request, target: str, *, refused: bool = False) -> Response:
    by_provider = request.app.state.logins is not None
    return render(
        request,
        "login.html",
        403 if refused else 200,
        target=target,
        refused=refused,
        by_provider=by_provider,
    )
