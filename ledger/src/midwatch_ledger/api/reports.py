"""`/analytics/reports/{day}`: what happened on one day."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel

from midwatch_ledger.api.analytics_schemas import AdviceItem, Comparison, CostItem, OutcomeGroup
from midwatch_ledger.api.answers import json_answer
from midwatch_ledger.api.budgets import BudgetStanding
from midwatch_ledger.api.performance import Measures
from midwatch_ledger.api.problems import ProblemError, documented
from midwatch_ledger.services import report_text, reports

router = APIRouter(prefix="/analytics/reports", tags=["analytics"])

_MARKDOWN = "text/markdown"


class FeedbackCounts(BaseModel):
    """How much feedback there was."""

    positive: int
    negative: int
    neutral: int


class AlertCount(BaseModel):
    """How often an alert began to fire."""

    alert: str
    severity: str
    times: int


class Report(BaseModel):
    """One day (UTC)."""

    day: date
    made_at: datetime
    complete: bool
    turns: Measures | None
    turns_before: Measures | None
    against_day_before: list[Comparison]
    calls: Measures | None
    cost_by_agent: list[CostItem]
    cost_by_model: list[CostItem]
    dearest_sessions: list[CostItem]
    outcomes: list[OutcomeGroup]
    feedback: FeedbackCounts
    changes: list[dict[str, Any]]
    alerts: list[AlertCount]
    budgets: list[BudgetStanding]
    recommendations: list[AdviceItem]


@router.get(
    "/{day}",
    response_model=Report,
    responses={200: {"content": {_MARKDOWN: {}}}, **documented(401, 422, 503)},
)
def get_report(
    request: Request,
    day: date,
    format: Annotated[  # noqa: A002 -- the name that callers write
        Literal["json", "markdown"] | None, Query(description="Else by the Accept header.")
    ] = None,
    accept: Annotated[str, Header()] = "",
) -> Response:
    """Tell what happened on a day, as far as the caller may see; as JSON or as Markdown."""
    now = datetime.now(UTC)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if start > now or day.year < 2000:
        raise ProblemError(
            422, f"{day.isoformat()} can't be reported; ask for a day from 2000-01-01 until today"
        )
    with request.app.state.database.reading() as connection:
        made = reports.report(connection, start, now)
    if format == "markdown" or (format is None and _MARKDOWN in accept):
        text = report_text.markdown(reports.as_document(made))
        return Response(text, media_type=f"{_MARKDOWN}; charset=utf-8")
    return json_answer(made)
