"""The alerts' thresholds, read from where the rules have them, so that no line drifts away."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

_CATALOG = Path(__file__).resolve().parents[2] / "prometheus-rules" / "catalog.yaml"


@cache
def _catalog() -> dict[str, dict[str, float]]:
    alerts: dict[str, dict[str, float]] = yaml.safe_load(_CATALOG.read_text(encoding="utf-8"))[
        "alerts"
    ]
    return alerts


def alert_threshold(alert: str) -> float:
    """The threshold of an alert.

    Raises:
        KeyError: there is no such alert.
    """
    return float(_catalog()[alert]["threshold"])
