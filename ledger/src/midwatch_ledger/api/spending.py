"""`/analytics`: where time and money go, what could be saved, and S5's metrics."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from midwatch_ledger.api.analytics_parameters import Period, Value, question
from midwatch_ledger.api.analytics_schemas import (
    Bottlenecks,
    CostsAnswer,
    Recommendations,
    WorkflowMetricsAnswer,
)
from midwatch_ledger.api.answers import Limit, json_answer
from midwatch_ledger.api.problems import ProblemError, documented
from midwatch_ledger.services import attribution, bottlenecks, recommendations, workflow_metrics
from midwatch_ledger.services.attribution import By

router = APIRouter(prefix="/analytics", tags=["analytics"])

_FAILURES = documented(401, 422, 503)
_LONGEST_BY_CALL = timedelta(hours=48)


@router.get("/bottlenecks", response_model=Bottlenecks, responses=_FAILURES)
def get_bottlenecks(
    request: Request,
    period: Period,
    service: Value = None,
    service_version: Value = None,
    project: Value = None,
    agent: Annotated[Value, Query(description="The agent that turns began with.")] = None,
    sample: Annotated[int, Query(ge=1, le=500, description="How many traces to look at.")] = 100,
) -> Response:
    """Show where the time of turns goes: own time and share of the critical path."""
    equal = {
        "service": service,
        "service_version": service_version,
        "project": project,
        "agent": agent,
    }
    with request.app.state.database.reading() as connection:
        asked = question("trace", period, equal)
        return json_answer(bottlenecks.bottlenecks(connection, asked, sample))


@router.get("/costs", response_model=CostsAnswer, responses=_FAILURES)
def get_costs(
    request: Request,
    period: Period,
    by: By = "agent",
    project: Value = None,
    limit: Limit = 50,
) -> Response:
    """Attribute cost to calls, agents, tasks, sessions, users (by hash), projects and more.

    Sessions, users and tasks are told by whole days (UTC), calls within 48 hours.
    """
    if by == "call" and period[1] - period[0] > _LONGEST_BY_CALL:
        raise ProblemError(
            422,
            f"single calls are searched in {_LONGEST_BY_CALL.days} days at most; shorten the "
            "period, or ask by session, task or agent",
        )
    with request.app.state.database.reading() as connection:
        asked = question("llm_call", period, {"project": project})
        return json_answer(attribution.attribute(connection, asked, by, limit))


@router.get("/recommendations", response_model=Recommendations, responses=_FAILURES)
def get_recommendations(
    request: Request,
    period: Period,
    service: Value = None,
    project: Value = None,
    min_saving_usd: Annotated[
        Decimal, Query(ge=0, le=1_000_000, description="The least worth telling, in the period.")
    ] = Decimal(0),
) -> Response:
    """Show where money could be saved, with evidence and an estimate."""
    with request.app.state.database.reading() as connection:
        asked = question("llm_call", period, {"service": service, "project": project})
        return json_answer(recommendations.recommend(connection, asked, min_saving_usd))


@router.get("/workflow-metrics", response_model=WorkflowMetricsAnswer, responses=_FAILURES)
def get_workflow_metrics(
    request: Request, period: Period, service: Value = None, project: Value = None
) -> Response:
    """Give S5's AgentPerformanceMetrics and SystemWorkflowMetrics."""
    asked = question("trace", period, {"service": service, "project": project})
    with request.app.state.database.reading() as connection:
        agents, system = workflow_metrics.workflow_metrics(connection, asked)
    return json_answer(
        {
            "start_date": asked.start,
            "end_date": asked.end,
            "agents": [asdict(agent) for agent in agents],
            "system": asdict(system),
        }
    )
