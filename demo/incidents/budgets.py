"""Incidents in which a budget is set that is spent already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from incidents.model import IncidentError, Stack

_TIMEOUT_SECONDS = 10.0
# Nobody's budget: what is spent of it says what is spent at all.
_PLENTY_USD = 1_000_000
_EVERYTHING = "everything"


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
        plenty = [self._budget(period, _PLENTY_USD) for period in self.spent]
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
        _put(stack, [*others, *(self._budget(one, amount) for one, amount in amounts.items())])

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
            {key: one[key] for key in ("scope", "scope_value", "period", "amount_usd")}
            for one in _all(stack)
            if one["scope"] != _EVERYTHING or one["period"] not in self.spent
        ]

    @staticmethod
    def _budget(period: str, amount_usd: float) -> dict[str, Any]:
        # The ledger keeps millionths of a dollar and takes no more digits.
        return {
            "scope": _EVERYTHING,
            "period": period,
            "amount_usd": max(round(amount_usd, 6), 1e-6),
        }


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
