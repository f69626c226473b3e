"""Parameters that the routes of analytics share: the period, what it is narrowed to, groups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Depends, Query

from midwatch_ledger.api.answers import UtcQuery
from midwatch_ledger.api.problems import ProblemError
from midwatch_ledger.services import performance
from midwatch_ledger.store.sums import Question

LONGEST = timedelta(days=400)
USUAL = timedelta(hours=24)

Window = tuple[datetime, datetime]
Kind = Literal["trace", "execution", "llm_call", "prompt_turn"]
Dimension = Literal[
    "service",
    "service_version",
    "project",
    "agent",
    "step",
    "provider",
    "model",
    "prompt",
    "prompt_version",
    "label",
    "variant",
]
Value = Annotated[str | None, Query(max_length=500)]


def window(start: datetime | None, end: datetime | None, usual: Window) -> Window:
    """Return the period that is asked for, else the usual one.

    Raises:
        ProblemError: 422, it ends before it starts or is too long.
    """
    last = end or usual[1]
    first = start or (usual[0] if end is None else last - (usual[1] - usual[0]))
    if not timedelta(0) < last - first <= LONGEST:
        raise ProblemError(
            422,
            f"the start {first.isoformat()} must lie before the end {last.isoformat()}, by "
            f"{LONGEST.days} days at most",
        )
    return first, last


def _period(start_date: UtcQuery = None, end_date: UtcQuery = None) -> Window:
    now = datetime.now(UTC)
    return window(start_date, end_date, (now - USUAL, now))


def _equal(
    service: Value = None,
    service_version: Value = None,
    project: Value = None,
    agent: Value = None,
    model: Value = None,
    provider: Value = None,
    prompt: Value = None,
    prompt_version: Value = None,
    label: Value = None,
    variant: Value = None,
) -> dict[str, str | None]:
    return {
        "service": service,
        "service_version": service_version,
        "project": project,
        "agent": agent,
        "model": model,
        "provider": provider,
        "prompt": prompt,
        "prompt_version": prompt_version,
        "label": label,
        "variant": variant,
    }


Period = Annotated[Window, Depends(_period)]
Equal = Annotated[dict[str, str | None], Depends(_equal)]
GroupBy = Annotated[
    list[Dimension], Query(max_length=4, description="Dimensions to keep apart; repeatable.")
]
OverTime = Annotated[bool, Query(description="By minute; by hour from 24 hours on.")]
Confidence = Annotated[
    float, Query(ge=0.5, le=0.9999, description="The level of intervals and verdicts.")
]


def question(kind: str, period: Window, equal: dict[str, str | None], **given: Any) -> Question:
    """Return the question about a period, widened to full minutes, or from a day on to hours."""
    usual = "minute" if period[1] - period[0] < USUAL else "hour"
    return performance.question(kind, *period, equal=equal, **{"resolution": usual, **given})
