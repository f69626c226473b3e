"""S2's routes of this cut: traces, alerts, health."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from midwatch_ledger.api.answers import Limit, Offset, UtcQuery, json_answer
from midwatch_ledger.api.cursors import Asked, Cursor, listed
from midwatch_ledger.api.health import health_answer
from midwatch_ledger.api.problems import ProblemError, documented
from midwatch_ledger.api.schemas import Alert, Health, TraceAnswer
from midwatch_ledger.services import trees
from midwatch_ledger.store import reading
from midwatch_ledger.store.reading import Criteria, Period

router = APIRouter(prefix="/monitoring", tags=["monitoring"])


@router.get(
    "/traces/{call_id}", response_model=TraceAnswer, responses=documented(401, 404, 422, 503)
)
def get_trace(
    request: Request,
    call_id: str,
    limit: Annotated[int, Query(ge=1, le=100, description="The greatest number of traces.")] = 20,
) -> Response:
    """Give a trace as a tree, by trace id, session id or the application's own call id.

    A session has several traces: the newest are given.
    """
    with request.app.state.database.reading() as connection:
        found = trees.find(connection, call_id, limit=limit)
    if found is None:
        raise ProblemError(
            404,
            f"no trace, session or call {call_id!r} is kept; spans arrive some seconds after "
            "the work they tell of",
        )
    return json_answer(found)


@router.get("/alerts", response_model=list[Alert], responses=documented(401, 422, 503))
def list_alerts(
    request: Request,
    status: Literal["firing", "resolved"] | None = None,
    severity: str | None = None,
    alertname: str | None = None,
    start_date: UtcQuery = None,
    end_date: UtcQuery = None,
    limit: Limit = 100,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> Response:
    """List what Alertmanager told, newest first."""
    criteria = Criteria(
        {"status": status, "severity": severity, "alert_name": alertname},
        Period(start_date, end_date),
    )
    asked = Asked("starts_at", criteria, limit, offset, cursor)
    with request.app.state.database.reading() as connection:
        return listed(request, asked, reading.alerts(connection, criteria, asked.page))


@router.get("/health", response_model=Health, responses={503: {"model": Health}})
def get_health(request: Request) -> Response:
    """Tell the state of the ledger, part by part; 503 if one fails."""
    return health_answer(request)
