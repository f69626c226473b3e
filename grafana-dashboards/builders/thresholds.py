"""The alerts' thresholds, read from where the rules have them, so that no line drifts away."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_CATALOG = Path(__file__).resolve().parents[2] / "prometheus-rules" / "catalog.yaml"


@dataclass(frozen=True)
class Opener:
    """An alert whose link opens a panel."""

    name: str
    threshold: float
    runbook_url: str


@cache
def _catalog() -> dict[str, Any]:
    catalog: dict[str, Any] = yaml.safe_load(_CATALOG.read_text(encoding="utf-8"))
    return catalog


def openers(board: str, panel: int) -> tuple[Opener, ...]:
    """The alerts that open a panel, by threshold."""
    catalog = _catalog()
    found = [
        Opener(name, float(entry["threshold"]), runbook(name))
        for name, entry in catalog["alerts"].items()
        if (entry["dashboard"], entry["panel"]) == (board, panel)
    ]
    return tuple(sorted(found, key=lambda one: (one.threshold, one.name)))


def runbook(alert: str) -> str:
    """Where an alert's runbook is; the chart replaces the root by where this installation's are."""
    return f"{_catalog()['links']['runbooks']}/{alert}"


def ledger_root() -> str:
    """Where links to the ledger begin; the chart replaces it by where the ledger is."""
    return str(_catalog()["links"]["ledger"])
