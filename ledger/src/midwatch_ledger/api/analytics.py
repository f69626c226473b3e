"""`/analytics`: flows, outcomes, trends and comparisons, answered from the sums."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from midwatch_ledger.api.analytics_parameters import (
    Confidence,
    Dimension,
    Equal,
    GroupBy,
    Kind,
    OverTime,
    Period,
    Value,
    Window,
    question,
    window,
)
from midwatch_ledger.api.analytics_schemas import (
    CompareAnswer,
    Conversations,
    Outcomes,
    TrendAnswer,
)
from midwatch_ledger.api.answers import UtcQuery, json_answer
from midwatch_ledger.api.problems import ProblemError, documented
from midwatch_ledger.services import comparison, flows, trends
from midwatch_ledger.services.trends import Measure
from midwatch_ledger.store.sums import Question

router = APIRouter(prefix="/analytics", tags=["analytics"])

_FAILURES = documented(401, 422, 503)


@router.get("/conversations", response_model=Conversations, responses=_FAILURES)
def get_conversations(request: Request, period: Period, equal: Equal) -> Response:
    """Show how turns go from agent to agent, how long that takes, and where they end."""
    given = [name for name in ("service", "service_version", "project") if equal[name]]
    _only(equal, ("service", "service_version", "project"))
    asked = question("flow", period, {name: equal[name] for name in given})
    with request.app.state.database.reading() as connection:
        return json_answer(flows.conversations(connection, asked))


@router.get("/outcomes", response_model=Outcomes, responses=_FAILURES)
def get_outcomes(
    request: Request,
    period: Period,
    equal: Equal,
    group_by: GroupBy = [],  # noqa: B006 -- FastAPI copies it
    over_time: OverTime = False,
    confidence: Confidence = 0.95,
) -> Response:
    """Show how turns ended and which business outcomes they had, with rates and intervals."""
    grouped = tuple(dict.fromkeys(group_by))
    asked = question("trace", period, equal, group_by=grouped, over_time=over_time)
    with request.app.state.database.reading() as connection:
        return json_answer(flows.outcomes(connection, asked, confidence))


@router.get("/trends", response_model=TrendAnswer, responses=_FAILURES)
def get_trends(
    request: Request,
    period: Period,
    equal: Equal,
    measure: Measure = "count",
    kind: Kind = "trace",
    confidence: Confidence = 0.99,
) -> Response:
    """Show a measure over time, where it changed its level, and whether it rises or falls."""
    asked = question(kind, period, equal, over_time=True)
    with request.app.state.database.reading() as connection:
        now = datetime.now(UTC)
        return json_answer(trends.trend(connection, asked, measure, confidence, now))


@router.get("/compare", response_model=CompareAnswer, responses=_FAILURES)
def get_comparison(
    request: Request,
    period: Period,
    equal: Equal,
    kind: Kind = "llm_call",
    by: Annotated[Dimension | None, Query(description="What the two sides differ in.")] = None,
    baseline: Annotated[Value, Query(description="The value of `by` on the first side.")] = None,
    candidate: Annotated[Value, Query(description="The value on the second side.")] = None,
    baseline_start_date: UtcQuery = None,
    baseline_end_date: UtcQuery = None,
    confidence: Confidence = 0.95,
) -> Response:
    """Compare two values of a dimension, or a window with the one before it, or both at once."""
    if (by is None, by is None) != (baseline is None, candidate is None):
        raise ProblemError(
            422,
            "to compare two values give `by`, `baseline` and `candidate`; to compare two windows "
            "give none of them",
        )
    before = period if by else (period[0] - (period[1] - period[0]), period[0])
    first = window(baseline_start_date, baseline_end_date, before)
    if by is None and first[0] < period[1] and period[0] < first[1]:
        raise ProblemError(
            422,
            f"the windows overlap: the baseline ends {first[1].isoformat()}, the candidate starts "
            f"{period[0].isoformat()}; end the one before the other starts",
        )
    sides = _sides(kind, (first, period), equal, by, (baseline, candidate))
    with request.app.state.database.reading() as connection:
        one, other = (comparison.read(connection, side) for side in sides)
    told = [
        {"start_date": side.start, "end_date": side.end, "value": value, "count": found.count}
        for side, value, found in zip(sides, (baseline, candidate), (one, other), strict=True)
    ]
    return json_answer(
        {
            "kind": kind,
            "by": by,
            "confidence": confidence,
            "resolution": sides[0].resolution,
            "baseline": told[0],
            "candidate": told[1],
            "measures": comparison.compare(one, other, confidence),
        }
    )


def _sides(
    kind: Kind,
    windows: tuple[Window, Window],
    equal: dict[str, str | None],
    by: Dimension | None,
    values: tuple[str | None, str | None],
) -> list[Question]:
    """Return both questions, in the coarser of their resolutions: clusters must be alike."""
    asked = []
    longest = max(windows, key=lambda one: one[1] - one[0])
    resolution = question(kind, longest, equal).resolution
    for period, value in zip(windows, values, strict=True):
        chosen = equal if by is None else {**equal, by: value}
        asked.append(question(kind, period, chosen, over_time=True, resolution=resolution))
    one, other = asked
    if by is None and one.start < other.start < one.end:
        # Only widened into each other: the minute or hour between them is the candidate's.
        asked[0] = replace(one, end=other.start)
    return asked


def _only(equal: dict[str, str | None], allowed: tuple[str, ...]) -> None:
    wrong = sorted(name for name, value in equal.items() if value and name not in allowed)
    if wrong:
        raise ProblemError(
            422, f"this can't be narrowed by {', '.join(wrong)}; allowed are {', '.join(allowed)}"
        )
