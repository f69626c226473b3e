"""S2's `/monitoring/dashboard`, `/monitoring/performance` and `/monitoring/costs`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from midwatch_ledger.api.answers import UtcQuery, json_answer
from midwatch_ledger.api.budgets import BudgetStanding
from midwatch_ledger.api.problems import ProblemError, documented
from midwatch_ledger.api.schemas import Alert
from midwatch_ledger.services import performance
from midwatch_ledger.store.sums import Question

router = APIRouter(prefix="/monitoring", tags=["monitoring"])

_LONGEST = timedelta(days=400)
_USUAL = timedelta(hours=24)

Kind = Literal["trace", "execution", "llm_call"]
Dimension = Literal["service", "project", "agent", "step", "provider", "model", "status"]
GroupBy = Annotated[
    list[Dimension], Query(max_length=4, description="Dimensions to keep apart; repeatable.")
]
OverTime = Annotated[bool, Query(description="Add a series: by minute; by hour from 24 hours on.")]


class Measures(BaseModel):
    """Sums, and what follows from them. Times in milliseconds, money in US dollars."""

    count: int
    failed: int
    failure_ratio: float
    per_minute: float
    avg_ms: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    slowest_ms: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_usd: float
    priced: int


class Group(Measures):
    """The measures of one group."""

    group: dict[str, str]


class Point(Group):
    """The measures of one group in one minute or hour, or what the period has of that hour."""

    start: datetime


class Measured(BaseModel):
    """The measures of a period, which is widened to full minutes."""

    kind: str
    resolution: str
    start_date: datetime
    end_date: datetime
    group_by: list[str]
    total: Measures | None
    groups: list[Group]
    series: list[Point] | None = None


class Dashboard(BaseModel):
    """What a person wants to see first."""

    start_date: datetime
    end_date: datetime
    traces: Measures | None
    traces_before: Measures | None
    agents: list[Group]
    models: list[Group]
    unacknowledged_alerts: list[Alert]
    budgets: list[BudgetStanding]
    stale_minutes: int


def _period(start_date: UtcQuery = None, end_date: UtcQuery = None) -> tuple[datetime, datetime]:
    end = end_date or datetime.now(UTC)
    start = start_date or end - _USUAL
    if not timedelta(0) < end - start <= _LONGEST:
        raise ProblemError(
            422,
            f"start_date {start.isoformat()} must lie before end_date {end.isoformat()}, by "
            f"{_LONGEST.days} days at most",
        )
    return start, end


def _equal(
    service: str | None = None,
    project: str | None = None,
    agent: str | None = None,
    step: str | None = None,
    provider: str | None = None,
    model: str | None = None,
    status: str | None = None,
) -> dict[str, str | None]:
    return {
        "service": service,
        "project": project,
        "agent": agent,
        "step": step,
        "provider": provider,
        "model": model,
        "status": status,
    }


Period = Annotated[tuple[datetime, datetime], Depends(_period)]
Equal = Annotated[dict[str, str | None], Depends(_equal)]


@router.get(
    "/performance",
    response_model=Measured,
    responses=documented(401, 422, 503),
)
def get_performance(
    request: Request,
    period: Period,
    equal: Equal,
    kind: Kind = "trace",
    group_by: GroupBy = [],  # noqa: B006 -- FastAPI copies it
    over_time: OverTime = False,
) -> Response:
    """Measure traces, executions or model calls; by default all of the last 24 hours."""
    return _measured(request, kind, period, equal, group_by, over_time)


@router.get(
    "/costs",
    response_model=Measured,
    responses=documented(401, 422, 503),
)
def get_costs(
    request: Request,
    period: Period,
    equal: Equal,
    group_by: GroupBy = ["agent", "model"],  # noqa: B006 -- FastAPI copies it
    over_time: OverTime = False,
) -> Response:
    """Measure what model calls cost; by default by agent and model over the last 24 hours."""
    return _measured(request, "llm_call", period, equal, group_by, over_time)


@router.get("/dashboard", response_model=Dashboard, responses=documented(401, 422, 503))
def get_dashboard(
    request: Request,
    minutes: Annotated[int, Query(ge=1, le=1440, description="How long the last while is.")] = 60,
) -> Response:
    """Show the last while beside the while before it, alerts that wait, and budgets."""
    with request.app.state.database.reading() as connection:
        return json_answer(
            performance.overview(connection, datetime.now(UTC), timedelta(minutes=minutes))
        )


def _measured(
    request: Request,
    kind: Kind,
    period: tuple[datetime, datetime],
    equal: dict[str, str | None],
    group_by: list[Dimension],
    over_time: bool,
) -> Response:
    asked: Question = performance.question(
        kind,
        *period,
        equal=equal,
        group_by=tuple(dict.fromkeys(group_by)),
        over_time=over_time,
    )
    with request.app.state.database.reading() as connection:
        return json_answer(performance.measured(connection, asked))
