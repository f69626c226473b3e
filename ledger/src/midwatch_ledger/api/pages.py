"""Pages for people: rendering, forms, and errors that a browser shows as pages."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any
from urllib.parse import parse_qs, quote, urlencode

from fastapi import Depends, Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import Scope

from midwatch_ledger.api.problems import ProblemError
from midwatch_ledger.models.content import HIDDEN
from midwatch_ledger.services.roles import Principal, Role, reaches
from midwatch_ledger.services.roles import Scope as KeyScope

CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf_token"
_MOST_FORM_BYTES = 64 * 1024
# Without the address of the page, browsers tell a form's origin as "null".
_HEADERS = {"Referrer-Policy": "same-origin", "Vary": "Accept, Cookie, Authorization"}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def render(request: Request, template: str, status: int = 200, **content: Any) -> Response:
    """Return a page."""
    principal: Principal | None = getattr(request.state, "principal", None)
    page = _environment().get_template(template)
    return Response(
        page.render(principal=principal, here=request.url.path, **content),
        status_code=status,
        media_type="text/html",
        headers=_HEADERS,
    )


def wants_page(scope: Scope) -> bool:
    """Return whether a person's browser asks for one of the console's places."""
    if scope["type"] != "http" or "text/html" not in Headers(scope=scope).get("accept", ""):
        return False
    path: str = scope["path"]
    places = ("/console/", "/alerts/", "/login/")
    return path in ("/", "/console", "/login") or path.startswith(places)


def refusal(scope: Scope, problem: ProblemError) -> Response:
    """Return what a browser is answered that may not come in: the way to the login, or why."""
    request = Request(scope)
    if problem.status == 401 and scope["method"] == "GET":
        target = scope["path"] + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(target)}", 302, headers=_HEADERS)
    return problem_page(request, problem.status, problem.detail, dict(problem.headers or {}))


def problem_page(
    request: Request, status: int, detail: str, headers: dict[str, str] | None = None
) -> Response:
    """Return a page that tells a problem."""
    answer = render(request, "problem.html", status, detail=detail, code=status)
    answer.headers.update(headers or {})
    return answer


def may(principal: Principal | None, role: Role, scope: KeyScope) -> bool:
    """Return whether somebody has at least a role anywhere, or a key with the scope."""
    if principal is None:
        return False
    if principal.scopes is not None:
        return not principal.scopes.isdisjoint((scope, "admin"))
    return any(reaches(given, role) for given in principal.grants.values())


async def form_fields(request: Request) -> dict[str, str]:
    """Return the fields of a form.

    Raises:
        ProblemError: 413, it is too long.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_FORM_BYTES:
            raise ProblemError(413, f"a form has at most {_MOST_FORM_BYTES} bytes")
    found = parse_qs(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=50)
    return {name: values[-1] for name, values in found.items()}


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form, once it has shown the token of the session.

    Raises:
        ProblemError: 403 it shows none, 413 it is too long.
    """
    if request.method in _SAFE_METHODS:
        return {}
    fields = await form_fields(request)
    expected = request.state.principal.csrf_token
    shown = fields.pop(CSRF_FIELD, "") or request.headers.get(CSRF_HEADER, "")
    if expected is not None and not hmac.compare_digest(shown.encode(), expected.encode()):
        raise ProblemError(403, "this form is of another login: open the page again")
    return fields


Form = Annotated[dict[str, str], Depends(read_form)]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("midwatch_ledger.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        time=_time, clock=_clock, seconds=_seconds, usd=_usd, query=_query, web=_web
    )
    environment.globals.update(may=may, hidden=HIDDEN, url_of=_url_of)
    return environment


def _time(value: datetime | None) -> str:
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _clock(value: datetime | None) -> str:
    return "" if value is None else f"{value.astimezone(UTC):%H:%M:%S}"


def _seconds(milliseconds: float | None) -> str:
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms" if milliseconds >= 1 else f"{milliseconds:.2f} ms"
    return f"{milliseconds / 1000:.2f} s"


def _usd(value: Decimal | float | None) -> str:
    if value is None:
        return "not priced"
    return f"${value:,.2f}" if value >= 1 else f"${value:.6f}".rstrip("0").rstrip(".")


def _query(values: dict[str, Any]) -> str:
    return urlencode({name: value for name, value in values.items() if value})


def _web(value: Any) -> str | None:
    """Return a link if it leads to a web page: what alerts say is not all to be followed."""
    text = str(value or "")
    return text if text.startswith(("https://", "http://")) else None


def _url_of(identifier: str) -> str:
    return f"/console/sessions/{quote(identifier, safe='')}"
