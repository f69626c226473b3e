"""The console: sessions as a list, one as a conversation beside its waterfall."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import RedirectResponse

from midwatch_ledger.api import logins
from midwatch_ledger.api.pages import read_form, render
from midwatch_ledger.api.problems import ProblemError
from midwatch_ledger.services import sessions
from midwatch_ledger.store.reading import Criteria
from midwatch_ledger.store.sessions import TraceMark

# Forms show the token of the session in a field: every one of these routes has it looked at.
router = APIRouter(include_in_schema=False, dependencies=[Depends(read_form)])

_PER_PAGE = 50
_TURNS, _MOST_TURNS = 20, 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Text = Annotated[str, Query(max_length=300)]


@router.get("/")
@router.get("/console")
def begin() -> Response:
    """Lead to the first page."""
    return RedirectResponse("/console/sessions", 303)


@router.get("/console/console.css")
def style() -> Response:
    """Give the style sheet."""
    sheet = files("midwatch_ledger.console").joinpath("console.css").read_bytes()
    return Response(sheet, media_type="text/css", headers={"Cache-Control": "max-age=300"})


@router.get("/console/sessions")
def list_sessions(
    request: Request,
    find: Text = "",
    project: Text = "",
    agent: Text = "",
    status: Text = "",
    after: Text = "",
) -> Response:
    """List sessions, the newest first; a name in `find` leads straight to what it names."""
    if find.strip():
        return RedirectResponse(request.url_for("show_session", identifier=find.strip()).path, 303)
    chosen = {"project": project.strip(), "entry_agent": agent.strip(), "status": status.strip()}
    criteria = Criteria({name: value or None for name, value in chosen.items()})
    with request.app.state.database.reading() as connection:
        page = sessions.page(connection, criteria, limit=_PER_PAGE, after=_mark(after))
    kept = {"project": chosen["project"], "agent": chosen["entry_agent"], "status": status}
    return render(
        request,
        "sessions.html",
        sessions=page.sessions,
        kept=kept,
        following=_cursor(page.following) if page.following else None,
        paged=bool(after),
    )


@router.get("/console/sessions/{identifier:path}", name="show_session")
def show_session(
    request: Request,
    identifier: str,
    turns: Annotated[int, Query(ge=1, le=_MOST_TURNS)] = _TURNS,
) -> Response:
    """Show a session, by its id or that of a trace or a call: turn by turn."""
    with request.app.state.database.reading() as connection:
        found = sessions.turns(connection, identifier, limit=turns)
    if found is None:
        raise ProblemError(
            404,
            f"no session, trace or call {identifier!r} is kept; spans arrive some seconds after "
            "the work they tell of",
        )
    more = _MOST_TURNS if len(found) == turns < _MOST_TURNS else None
    return render(
        request, "session.html", identifier=identifier, turns=found, more=more, total=_total(found)
    )


@router.post("/console/logout")
def log_out(request: Request) -> Response:
    """End the session of this browser."""
    ended = logins.log_out(request)
    request.state.principal = None
    page = render(request, "problem.html", detail="You are logged out.", code=200)
    page.raw_headers.extend(one for one in ended.raw_headers if one[0] == b"set-cookie")
    return page


def _total(turns: list[dict[str, Any]]) -> dict[str, Any]:
    costs = [turn["total_cost"] for turn in turns if turn["total_cost"] is not None]
    return {
        "cost": sum(costs) if costs else None,
        "tokens": sum(turn["total_tokens"] for turn in turns),
        "llm_calls": sum(turn["llm_calls"] for turn in turns),
        "tool_calls": sum(turn["tool_calls"] for turn in turns),
        "session_id": turns[-1]["session_id"],
        "project": turns[-1]["project"],
    }


def _cursor(mark: TraceMark) -> str:
    microseconds = (mark.time - _EPOCH) // timedelta(microseconds=1)
    content = orjson.dumps([microseconds, mark.trace_id])
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _mark(cursor: str) -> TraceMark | None:
    if not cursor:
        return None
    try:
        content = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        microseconds, trace_id = orjson.loads(content)
        return TraceMark(_EPOCH + timedelta(microseconds=microseconds), UUID(trace_id).hex)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise ProblemError(422, "there is no such page; begin at /console/sessions") from None
