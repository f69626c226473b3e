"""What the incident suite has seen of each alert, for the reference."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from rulecheck.rules import RuleSet


def seen_for_real(rules: RuleSet, benchmarks: Path) -> list[str]:
    """The part of the reference that shows the newest kept run; empty where none is kept.

    Args:
        rules: the alerts.
        benchmarks: the folder that holds `incidents-DATE.json`.
    """
    kept = sorted(benchmarks.glob("incidents-*.json"))
    if not kept:
        return []
    record = json.loads(kept[-1].read_text(encoding="utf-8"))
    quiet = record["quiet"] or {"minutes": 0, "stirrings": []}
    alarms = Counter(one["alert"] for one in quiet["stirrings"] if one["fired"])
    caused = {
        alert["alert"]: (incident, alert)
        for incident in record["incidents"]
        for alert in incident["alerts"]
    }
    lines = [
        "## Seen",
        "",
        "Rule tests show that each alert fires, stays quiet beside it and resolves. What the demo",
        "can cause was also seen in a real stack:",
        f"[the incident suite](benchmarks/{kept[-1].stem}.md). *Page* is the time from the fault",
        "to the message in Slack, by mail where Slack is what failed. The incidents of Tempo's",
        "alerts need its program on PATH. The last column counts alarms in "
        f"{quiet['minutes']:g} minutes with nothing wrong.",
        "",
        "| alert | incident | fires | resolves | page | false alarms |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in sorted({rule.name for rule in rules.alerts} - {"Watchdog"}):
        cells = _for_real(*caused[name]) if name in caused else _TESTED
        lines.append(f"| {name} | {' | '.join(cells)} | {alarms[name]} |")
    return lines


_TESTED = ("", "rule test", "rule test", "")


def _for_real(incident: dict[str, Any], alert: dict[str, Any]) -> tuple[str, str, str, str]:
    over = alert.get("over_seconds", incident["over_seconds"])
    told = alert["message_seconds"]
    page = told.get("slack", told.get("smtp"))
    return (
        incident["incident"],
        _seconds(alert["firing_seconds"]),
        "not in time" if over is None else f"{over:.0f} s after the end",
        _seconds(page),
    )


def _seconds(value: float | None) -> str:
    return "no" if value is None else f"{value:.1f} s"
