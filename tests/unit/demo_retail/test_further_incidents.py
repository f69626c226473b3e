"""The incidents of spending and of the watch itself start, stay alone and stop again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from incidents.budgets import BudgetIncident
from incidents.configuration import ConfigurationIncident
from incidents.model import IncidentError
from incidents.registry import ALL_INCIDENTS, FURTHER_INCIDENTS, INCIDENTS

OTHERS = {"scope": "agent", "scope_value": "monitor", "period": "day", "amount_usd": 3.0}


class Ledger:
    """Keeps budgets as the ledger does: what is put replaces all, the answer says what is spent."""

    def __init__(self, spent_usd: float) -> None:
        self.kept: list[dict[str, Any]] = [OTHERS]
        self._spent = spent_usd

    def request(self, method: str, url: str, *, json: Any, **_: object) -> httpx.Response:
        assert url == "http://ledger/budgets"
        if method == "PUT":
            everything = {"scope_value": "*"}
            self.kept = [everything | one for one in json["budgets"]]
        standing = [one | {"spent_usd": self._spent} for one in self.kept]
        return httpx.Response(200, json={"budgets": standing})


@pytest.fixture
def stack() -> Any:
    return SimpleNamespace(url=lambda name: f"http://{name}")


def ledger_with(monkeypatch: pytest.MonkeyPatch, spent_usd: float) -> Ledger:
    ledger = Ledger(spent_usd)
    monkeypatch.setattr("incidents.budgets.httpx.request", ledger.request)
    return ledger


def incident() -> BudgetIncident:
    found = ALL_INCIDENTS["budgets-spent"]
    assert isinstance(found, BudgetIncident)
    return found


def test_budgets_are_set_by_what_is_spent_and_those_of_others_stay(
    monkeypatch: pytest.MonkeyPatch, stack: Any
) -> None:
    ledger = ledger_with(monkeypatch, spent_usd=4.2)
    for _ in range(2):
        incident().start(stack)
        amounts = {one["period"]: one["amount_usd"] for one in ledger.kept if one != OTHERS}
        assert amounts == {"day": pytest.approx(2.1), "month": pytest.approx(5.0)}
        assert OTHERS in ledger.kept
        assert incident().active(stack)
    for _ in range(2):
        incident().stop(stack)
        assert ledger.kept == [OTHERS]
        assert not incident().active(stack)


def test_where_nothing_was_spent_no_budget_is_left_and_it_says_so(
    monkeypatch: pytest.MonkeyPatch, stack: Any
) -> None:
    ledger = ledger_with(monkeypatch, spent_usd=0.0)
    with pytest.raises(IncidentError, match="let traffic play"):
        incident().start(stack)
    assert ledger.kept == [OTHERS]


@pytest.fixture
def told() -> Iterator[list[int]]:
    """Which signals this process got, in the place of the program."""
    signals: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: signals.append(number))
    yield signals
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    "name",
    [name for name, it in FURTHER_INCIDENTS.items() if isinstance(it, ConfigurationIncident)],
)
@pytest.mark.parametrize("before", ["", "kept: true\n"])
def test_a_configuration_is_spoilt_read_mended_and_read_again(
    tmp_path: Path, told: list[int], name: str, before: str
) -> None:
    spoilt = ALL_INCIDENTS[name]
    assert isinstance(spoilt, ConfigurationIncident)
    file = tmp_path / "programs" / spoilt.program / "files" / spoilt.file
    place: Any = SimpleNamespace(
        record=SimpleNamespace(directory=str(tmp_path)),
        programs=lambda: {spoilt.program: SimpleNamespace(pid=os.getpid())},
    )
    with pytest.raises(IncidentError, match=spoilt.program):
        spoilt.start(place)
    file.parent.mkdir(parents=True)
    if before:
        file.write_text(before, encoding="utf-8")
    for _ in range(2):
        spoilt.start(place)
        assert spoilt.active(place)
        assert told == [signal.SIGHUP]
    for _ in range(2):
        spoilt.stop(place)
        assert not spoilt.active(place)
        assert told == [signal.SIGHUP] * 2
    assert (file.read_text(encoding="utf-8") if file.exists() else "") == before


def test_further_incidents_are_told_apart_and_cause_alerts_that_there_are() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "alerts.md"
    known = page.read_text(encoding="utf-8")
    assert not set(INCIDENTS) & set(FURTHER_INCIDENTS)
    for name, further in FURTHER_INCIDENTS.items():
        assert further.name == name
        assert further.summary.endswith(".")
        assert all(f"[{alert}](" in known for alert in further.alerts)
