"""What rules, messages, dashboards and the chart agree on, as `catalog.yaml` has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

Unit = Literal["ratio", "seconds", "bytes", "usd", "factor", "count"]


@dataclass(frozen=True)
class AlertEntry:
    """An alert's threshold, how it can be set, and the panel that shows it.

    `tunable` says where the chart's values set another: nowhere, as it is a state and no measure
    (`fixed`), for the whole installation, or for a single agent as well. `escalates` says whether
    one that pages has an escalation.
    """

    threshold: float
    unit: Unit
    dashboard: str
    panel: int
    tunable: Literal["fixed", "installation", "agent"] = "installation"
    escalates: bool = True


@dataclass(frozen=True)
class Catalog:
    """Roots of links, closed sets of labels, and what each alert shows where."""

    runbooks: str
    grafana: str
    ledger: str
    severities: frozenset[str]
    teams: frozenset[str]
    identity_labels: frozenset[str]
    alerts: dict[str, AlertEntry]


def load_catalog(path: Path) -> Catalog:
    """Read the catalog.

    Raises:
        KeyError: an entry is missing.
    """
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    return Catalog(
        runbooks=data["links"]["runbooks"],
        grafana=data["links"]["grafana"],
        ledger=data["links"]["ledger"],
        severities=frozenset(data["severities"]),
        teams=frozenset(data["teams"]),
        identity_labels=frozenset(data["identity_labels"]),
        alerts={name: AlertEntry(**entry) for name, entry in data["alerts"].items()},
    )
