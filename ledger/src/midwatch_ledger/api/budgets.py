"""`/budgets`: what may be spent, and what is."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Self

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from midwatch_ledger.api.answers import json_answer
from midwatch_ledger.api.problems import documented
from midwatch_ledger.services import budgets
from midwatch_ledger.services.budgets import EVERYTHING, BudgetLine, PeriodName, Scope

router = APIRouter(prefix="/budgets", tags=["budgets"])

_MOST = 500


class BudgetGiven(BaseModel):
    """A budget as it is set."""

    model_config = ConfigDict(extra="forbid")

    scope: Scope
    scope_value: str = Field(
        default=EVERYTHING,
        min_length=1,
        max_length=200,
        description="Which agent, model or project; left out for everything.",
    )
    period: PeriodName = Field(description="A calendar period in UTC; weeks begin on Monday.")
    amount_usd: Annotated[Decimal, Field(gt=0, max_digits=17, decimal_places=6)]

    @model_validator(mode="after")
    def _names_what_it_limits(self) -> Self:
        if (self.scope == "everything") != (self.scope_value == EVERYTHING):
            raise ValueError(
                f"scope {self.scope!r} with scope_value {self.scope_value!r}: name the agent, "
                "model or project, or leave scope_value out and set scope to 'everything'"
            )
        return self


class BudgetsGiven(BaseModel):
    """All budgets."""

    model_config = ConfigDict(extra="forbid")

    budgets: list[BudgetGiven] = Field(max_length=_MOST)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        counted = Counter((one.scope, one.scope_value, one.period) for one in self.budgets)
        repeated = [" ".join(key) for key, count in counted.items() if count > 1]
        if repeated:
            raise ValueError(f"given more than once: {', '.join(repeated)}; give each once")
        return self


class BudgetStanding(BaseModel):
    """A budget, what is spent of it, and what it comes to at the period's end at this rate."""

    scope: str
    scope_value: str
    period: str
    amount_usd: float
    spent_usd: float
    remaining_usd: float
    spent_ratio: float
    forecast_usd: float
    period_start: datetime
    period_end: datetime
    updated_at: datetime


class BudgetsAnswer(BaseModel):
    """All budgets and how they stand."""

    budgets: list[BudgetStanding]


@router.get("", response_model=BudgetsAnswer, responses=documented(401, 503))
def get_budgets(request: Request) -> Response:
    """List all budgets and how they stand."""
    with request.app.state.database.reading() as connection:
        return json_answer({"budgets": budgets.standing(connection, datetime.now(UTC))})


@router.put("", response_model=BudgetsAnswer, responses=documented(401, 422, 503))
def put_budgets(request: Request, given: BudgetsGiven) -> Response:
    """Set all budgets: those that are not given are gone."""
    now = datetime.now(UTC)
    lines = [
        BudgetLine(one.scope, one.scope_value, one.period, one.amount_usd) for one in given.budgets
    ]
    with request.app.state.database.writing() as connection:
        budgets.replace(connection, lines, now)
        return json_answer({"budgets": budgets.standing(connection, now)})
