"""Incidents in which a budget is set that is spent already, or that will not last."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from incidents.model import IncidentError, Stack, TooEarlyError

_TIMEOUT_SECONDS = 10.0
# Nobody's budget: what is spent of it says what is spent at all.
_PLENTY_USD = 1_000_000
_EVERYTHING = "everything"
# The shortest first: of a longer one a stack of minutes knows only what its youth spends.
_PERIODS = ("hour", "day", "week", "month")


@dataclass(frozen=True)
class BudgetIncident:
    """Budgets for everything, of which more is spent than should be.

    Attributes:
        spent: by period (as the ledger names them), the share that is spent of it at the start.
    """

    name: str
    summary: str
    alerts: tuple[str, ...]
    spent: Mapping[str, float]

    def start(self, stack: Stack) -> None:
        """Set the budgets by what is spent now; those of others stay."""
        if self.active(stack):
            return
        others = self._others(stack)
        plenty = [_everything(period, _PLENTY_USD) for period in self.spent]
        spent = {
            one["period"]: one["spent_usd"]
            for one in _put(stack, [*others, *plenty])
            if one["scope"] == _EVERYTHING
        }
        unspent = [period for period in self.spent if not spent[period] > 0]
        if unspent:
            _put(stack, others)
            raise IncidentError(
                f"{self.name} needs something that was spent, and in this {unspent[0]} nothing was"
                " yet; let traffic play for a minute and start it again"
            )
        amounts = {period: spent[period] / share for period, share in self.spent.items()}
        _put(stack, [*others, *(_everything(one, amount) for one, amount in amounts.items())])

    def stop(self, stack: Stack) -> None:
        """Take the budgets away; those of others stay."""
        if self.active(stack):
            _put(stack, self._others(stack))

    def active(self, stack: Stack) -> bool:
        """Tell whether its budgets are set."""
        present = {one["period"] for one in _all(stack) if one["scope"] == _EVERYTHING}
        return present >= set(self.spent)

    def _others(self, stack: Stack) -> list[dict[str, Any]]:
        return [
            _plain(one)
            for one in _all(stack)
            if one["scope"] != _EVERYTHING or one["period"] not in self.spent
        ]


@dataclass(frozen=True)
class ForecastIncident:
    """A budget for one agent that would be spent before its period is over.

    Attributes:
        agent: whose budget it is.
        excess: how many times the budget the period would cost if it goes on as it began.
    """

    name: str
    summary: str
    alerts: tuple[str, ...]
    agent: str
    excess: float
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)

    def start(self, stack: Stack) -> None:
        """Set the budget for the first period that is neither too young nor too old for it.

        Raises:
            TooEarlyError: each of them is, or the agent has spent nothing yet.
        """
        if self.active(stack):
            return
        now = self.clock()
        period = next((one for one in _PERIODS if _is_in_time(elapsed(one, now))), None)
        if period is None:
            raise TooEarlyError(
                f"{self.name} needs an hour, day, week or month (UTC) of which between a tenth and"
                " four tenths are over; start it again after the tenth minute of the hour"
            )
        others = [_plain(one) for one in _all(stack)]
        standing = _put(stack, [*others, self._budget(period, _PLENTY_USD)])
        spent = sum(one["spent_usd"] for one in standing if self._is_own(one))
        if not spent > 0:
            _put(stack, others)
            raise TooEarlyError(f"{self.agent} has spent nothing in this {period} yet")
        amount = spent / elapsed(period, now) / self.excess
        _put(stack, [*others, self._budget(period, amount)])

    def stop(self, stack: Stack) -> None:
        """Take the budget away; those of others stay."""
        if self.active(stack):
            _put(stack, [_plain(one) for one in _all(stack) if not self._is_own(one)])

    def active(self, stack: Stack) -> bool:
        """Tell whether its budget is set."""
        return any(self._is_own(one) for one in _all(stack))

    def _budget(self, period: str, amount_usd: float) -> dict[str, Any]:
        return {
            **_everything(period, amount_usd),
            "scope": "agent",
            "scope_value": self.agent,
        }

    def _is_own(self, budget: Mapping[str, Any]) -> bool:
        return (budget["scope"], budget["scope_value"]) == ("agent", self.agent)


def elapsed(period: str, now: datetime) -> float:
    """The share of a calendar period that is over, as the rules reckon it (UTC)."""
    day = (now.hour + (now.minute + now.second / 60) / 60) / 24
    if period == "hour":
        return day * 24 % 1
    if period == "day":
        return day
    if period == "week":
        return (now.weekday() + day) / 7
    return (now.day - 1 + day) / monthrange(now.year, now.month)[1]


def _is_in_time(share: float) -> bool:
    # Before, nothing is foretold; later, it would be spent before the forecast was looked at.
    return 0.12 <= share <= 0.4


def _everything(period: str, amount_usd: float) -> dict[str, Any]:
    # The ledger keeps millionths of a dollar and takes no more digits.
    return {"scope": _EVERYTHING, "period": period, "amount_usd": max(round(amount_usd, 6), 1e-6)}


def _plain(budget: Mapping[str, Any]) -> dict[str, Any]:
    return {key: budget[key] for key in ("scope", "scope_value", "period", "amount_usd")}


def _all(stack: Stack) -> list[dict[str, Any]]:
    return _call(stack, "GET", None)


def _put(stack: Stack, budgets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return _call(stack, "PUT", {"budgets": budgets})


def _call(stack: Stack, method: str, body: object) -> list[dict[str, Any]]:
    url = f"{stack.url('ledger')}/budgets"
    try:
        answer = httpx.request(method, url, json=body, timeout=_TIMEOUT_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        raise IncidentError(
            f"the ledger does not answer at {url} ({type(error).__name__}); start it again if it"
            " is stopped"
        ) from error
    if answer.is_error:
        raise IncidentError(f"the ledger refused {method} {url}: {answer.text[:300]}")
    budgets: list[dict[str, Any]] = answer.json()["budgets"]
    return budgets
