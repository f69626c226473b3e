"""Budgets: set as a whole, counted by calendar periods, shown as metrics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from midwatch_ledger.services.budgets import BudgetLine, period_of, replace, standing
from midwatch_ledger.services.rollups import sum_up
from prometheus_client.parser import text_string_to_metric_families

MONITOR = {"scope": "agent", "scope_value": "monitor", "period": "month", "amount_usd": "12.50"}
ALL = {"scope": "everything", "period": "day", "amount_usd": 3}
# The telemetry of the fixtures begins at this time.
WHEN = datetime.fromtimestamp(1_795_000_000, UTC)


def put(ledger: Any, *budgets: Any) -> Any:
    return ledger.client.put("/budgets", json={"budgets": list(budgets)})


def stand(ledger: Any, now: datetime, *lines: BudgetLine) -> dict[str, dict[str, Any]]:
    """Set budgets and give how they stand at a time, by the value of their scope."""
    sum_up(ledger.database)
    with ledger.database.writing() as connection:
        replace(connection, lines, now)
        return {line["scope_value"]: line for line in standing(connection, now)}


def test_what_is_set_is_what_is_listed(ledger: Any) -> None:
    answer = put(ledger, MONITOR, ALL).raise_for_status().json()

    assert ledger.client.get("/budgets").json()["budgets"] == answer["budgets"]
    assert [
        (line["scope"], line["scope_value"], line["amount_usd"]) for line in answer["budgets"]
    ] == [
        ("agent", "monitor", 12.5),
        ("everything", "all", 3.0),
    ]


def test_budgets_that_are_not_given_again_are_gone(ledger: Any) -> None:
    put(ledger, MONITOR, ALL)
    put(ledger, ALL)

    assert [line["scope"] for line in ledger.client.get("/budgets").json()["budgets"]] == [
        "everything"
    ]


def test_each_scope_is_charged_with_its_own_calls(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())
    hundred = Decimal(100)

    found = stand(
        ledger,
        WHEN + timedelta(minutes=1),
        BudgetLine("everything", "all", "month", hundred),
        BudgetLine("agent", "monitor", "month", hundred),
        BudgetLine("model", "gpt-small", "month", hundred),
        BudgetLine("project", "nobody's", "month", hundred),
    )

    assert {name: line["spent_usd"] for name, line in found.items()} == {
        "all": Decimal("0.0012"),
        "monitor": Decimal("0.0009"),
        "gpt-small": Decimal("0.0012"),
        "nobody's": Decimal(0),
    }
    assert found["monitor"]["remaining_usd"] == Decimal("99.9991")
    assert found["monitor"]["spent_ratio"] == Decimal("0.000009")


def test_another_period_begins_with_nothing_spent(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())

    for period, later in (("hour", 1), ("day", 24), ("week", 168), ("month", 31 * 24)):
        line = BudgetLine("everything", "all", period, Decimal(1))  # type: ignore[arg-type]
        now = stand(ledger, WHEN + timedelta(minutes=1), line)["all"]
        then = stand(ledger, WHEN + timedelta(hours=later), line)["all"]
        assert (now["spent_usd"] > 0, then["spent_usd"]) == (True, 0), period


def test_the_forecast_goes_on_at_the_rate_so_far(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())
    start, end = period_of("day", WHEN)
    middle = start + (end - start) / 2
    assert middle > WHEN

    line = stand(ledger, middle, BudgetLine("everything", "all", "day", Decimal(1)))["all"]

    assert line["forecast_usd"] == 2 * line["spent_usd"]


@given(
    st.sampled_from(["hour", "day", "week", "month"]),
    st.integers(min_value=946_684_800, max_value=4_102_444_800).map(
        lambda seconds: datetime.fromtimestamp(seconds, UTC)
    ),
)
def test_periods_follow_each_other_without_a_gap(period: Any, moment: datetime) -> None:
    start, end = period_of(period, moment)

    assert start <= moment < end
    assert period_of(period, end)[0] == end
    assert period_of(period, start) == (start, end)


def test_budgets_are_metrics(ledger: Any) -> None:
    put(ledger, MONITOR)

    found = {
        sample.name: (sample.labels, sample.value)
        for family in text_string_to_metric_families(ledger.client.get("/metrics").text)
        for sample in family.samples
        if sample.name.startswith("agent_budget")
    }

    labels = {"scope": "agent", "scope_value": "monitor", "period": "month"}
    assert found == {"agent_budget_usd": (labels, 12.5), "agent_budget_spent_usd": (labels, 0.0)}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({**MONITOR, "amount_usd": 0}, "greater than 0"),
        ({**MONITOR, "amount_usd": "NaN"}, "finite"),
        ({**MONITOR, "period": "year"}, "'hour', 'day', 'week' or 'month'"),
        ({**MONITOR, "scope": "user"}, "'everything', 'agent', 'model' or 'project'"),
        ({**MONITOR, "scope": "everything"}, "leave scope_value out"),
        ({"scope": "agent", "period": "day", "amount_usd": 1}, "name the agent"),
    ],
)
def test_a_wrong_budget_changes_none(ledger: Any, wrong: Any, told: str) -> None:
    put(ledger, ALL)

    answer = put(ledger, MONITOR, wrong)

    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert len(ledger.client.get("/budgets").json()["budgets"]) == 1


def test_a_budget_given_twice_is_refused_by_name(ledger: Any) -> None:
    answer = put(ledger, MONITOR, {**MONITOR, "amount_usd": 1})

    assert answer.status_code == 422
    assert "agent monitor month" in answer.json()["detail"]
