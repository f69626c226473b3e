"""S4's routes: `/execution-logs/...`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from midwatch_ledger.api.answers import Limit, Offset, UtcQuery, json_answer
from midwatch_ledger.api.cursors import Asked, Cursor, listed
from midwatch_ledger.api.problems import ProblemError, documented
from midwatch_ledger.api.schemas import AnalyticsSummary, Deleted, Execution, LlmCall
from midwatch_ledger.services import executions, summaries
from midwatch_ledger.services.erasure import HeldError, refuse_held
from midwatch_ledger.services.execution_links import link_of
from midwatch_ledger.store import reading
from midwatch_ledger.store.reading import Criteria, Period

_SUMMARY_DAYS = 30

router = APIRouter(prefix="/execution-logs", tags=["execution logs"])


def execution_criteria(
    report_id: UUID | None = None,
    agent_type: str | None = None,
    execution_step: str | None = None,
    action_type: str | None = None,
    status: str | None = None,
    external_platform: str | None = None,
    start_date: UtcQuery = None,
    end_date: UtcQuery = None,
) -> Criteria:
    """Return which executions are asked for."""
    return Criteria(
        {
            "report_id": report_id,
            "agent_type": agent_type,
            "execution_step": execution_step,
            "action_type": action_type,
            "status": status,
            "external_platform": external_platform,
        },
        Period(start_date, end_date),
    )


def llm_call_criteria(
    provider: str | None = None,
    model_id: str | None = None,
    call_type: str | None = None,
    status: str | None = None,
    report_id: UUID | None = None,
    execution_log_id: Annotated[
        str | None, Query(max_length=500, description="An execution's id, or what calls named.")
    ] = None,
    start_date: UtcQuery = None,
    end_date: UtcQuery = None,
) -> Criteria:
    """Return which model calls are asked for."""
    return Criteria(
        {
            "provider": provider,
            "model_id": model_id,
            "call_type": call_type,
            "status": status,
            "report_id": report_id,
            # An empty name is a name as well: nobody is called by it.
            "execution_log_id": None if execution_log_id is None else link_of(execution_log_id),
        },
        Period(start_date, end_date),
    )


@router.get("/executions", response_model=list[Execution], responses=documented(401, 422, 503))
def list_executions(
    request: Request,
    criteria: Annotated[Criteria, Depends(execution_criteria)],
    limit: Limit = 100,
    offset: Offset = 0,
    cursor: Cursor = None,
    include_llm_calls: bool = False,
) -> Response:
    """List executions, newest first."""
    asked = Asked("start_time", criteria, limit, offset, cursor)
    with request.app.state.database.reading() as connection:
        found = executions.list_executions(
            connection, criteria, asked.page, include_llm_calls=include_llm_calls
        )
    return listed(request, asked, found)


@router.get(
    "/executions/{execution_id}",
    response_model=list[Execution],
    responses=documented(401, 404, 422, 503),
)
def get_execution(request: Request, execution_id: str, include_llm_calls: bool = True) -> Response:
    """Give all executions of one execution id, in the order in which they began."""
    with request.app.state.database.reading() as connection:
        found = executions.one_execution(
            connection, execution_id, include_llm_calls=include_llm_calls
        )
    if not found:
        raise _unknown(execution_id)
    return json_answer(found)


@router.delete(
    "/executions/{execution_id}",
    response_model=Deleted,
    responses=documented(401, 404, 409, 422, 503),
)
def delete_execution(request: Request, execution_id: str) -> Response:
    """Delete all that is kept of one execution id: its trace, spans, model calls and events."""
    with request.app.state.database.writing() as connection:
        try:
            refuse_held(connection, [], [execution_id])
        except HeldError as error:
            raise ProblemError(409, str(error)) from None
        deleted = executions.delete_execution(connection, execution_id)
    if not any(deleted.values()):
        raise _unknown(execution_id)
    return json_answer({"execution_id": execution_id, "deleted": deleted})


@router.get("/llm-calls", response_model=list[LlmCall], responses=documented(401, 422, 503))
def list_llm_calls(
    request: Request,
    criteria: Annotated[Criteria, Depends(llm_call_criteria)],
    limit: Limit = 100,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> Response:
    """List model calls, newest first."""
    asked = Asked("start_time", criteria, limit, offset, cursor)
    with request.app.state.database.reading() as connection:
        found = reading.llm_calls(connection, criteria, asked.page)
    return listed(request, asked, found)


@router.get(
    "/analytics/summary", response_model=AnalyticsSummary, responses=documented(401, 422, 503)
)
def summarize(
    request: Request,
    start_date: UtcQuery = None,
    end_date: UtcQuery = None,
    report_id: UUID | None = None,
) -> Response:
    """Sum up executions and model calls; by default those of the last 30 days."""
    end = end_date or datetime.now(UTC)
    start = start_date or end - timedelta(days=_SUMMARY_DAYS)
    if start > end:
        raise ProblemError(
            422,
            f"start_date {start.isoformat()} is after end_date {end.isoformat()}; swap them",
        )
    with request.app.state.database.reading() as connection:
        return json_answer(
            summaries.summarize(connection, start=start, end=end, report_id=report_id)
        )


def _unknown(execution_id: str) -> ProblemError:
    return ProblemError(
        404,
        f"nothing is kept under execution id {execution_id!r}; "
        "GET /execution-logs/executions lists what is",
    )
