"""What became of each incident, and the three ways to show it: a table, JSON and a page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table
from stack.demo.run import PAGE_SECONDS

from tests.bench.quiet_hour import QuietTime

# What may follow from an incident, when it lasts or the machine is slow, and is no false alarm.
CONSEQUENCES: dict[str, set[str]] = {
    "collector-down": {"ExportBreakerOpen"},
    "cost-spike": {"AgentTurnLatencyHigh"},  # Longer answers take longer.
    "dear-rules": {"PrometheusRuleFailures"},  # What takes too long is ended.
    # No rule can store its result; and what comes late is looked at as what is new.
    "disk-full": {"PrometheusRuleFailures", "TelemetryBackendUnreachable", "CollectorQueueFilling"},
    # Turns of many calls are slow and dear.
    "handoff-loop": {"AgentTurnLatencyHigh", "LlmCostSpike", "LlmTokenSurge"},
    # In a stack of minutes the last hour is these minutes: turns that fail burn its budget.
    "not-ready-with-failing-chats": {"AgentErrorBudgetBurn"},
    # Nothing goes into the ledger, alerts neither, and what waited comes late.
    "ledger-locked": {
        "AlertmanagerNotificationsFailing",
        "LedgerLagHigh",
        "TelemetryBackendUnreachable",
    },
    # What it can't take waits, and then it is refused.
    "ledger-slow": {
        "AlertmanagerNotificationsFailing",
        "CollectorDataRefused",
        "CollectorQueueFilling",
        "ExportBreakerOpen",
        "SpoolGrowing",
        "TelemetryBackendUnreachable",
    },
    # Who waits until they may ask again is late.
    "provider-rate-limit": {"AgentErrorBudgetBurn", "AgentTurnLatencyHigh"},
    "slack-down": {
        "AgentErrorBudgetBurn",
        "AgentToolFailureRatioHigh",
        "AgentToolFailureRatioHighEscalated",
    },
    "slow-model": {"AgentTurnLatencyHigh", "AgentThroughputDrop"},
    "store-down": {"AlertmanagerNotificationsFailing"},  # The ledger is told of alerts, too.
    "tool-outage": {"AgentErrorBudgetBurn", "AgentOutcomeDrop"},
    # Of the further ones of the agents.
    "broken-instrumentation": {"LlmTokenSurge"},  # The agent starts anew.
    "budget-will-not-last": {"LlmBudgetNearlySpent"},
    "builds-as-models": {"LlmTokensUnpriced"},  # Nobody knows their prices.
    "failing-turns": {
        "AgentOutcomeDrop",
        "AgentTurnLatencyHigh",
        "LlmErrorRateHigh",
        "LlmErrorRateHighEscalated",
    },
    "one-sided-routing": {"AgentOutcomeDrop", "AgentRouteMixAnomaly", "LlmTokenSurge"},
    "people-away": {"AgentSilent"},
    "simulation-unasked": {"AgentThroughputDrop"},
    "sluggish-model": {"AgentLatencyAnomaly", "LlmLatencyHigh"},
    # Who is killed for being too slow loses what it had not sent.
    "starved-agent": {
        "AgentLatencyAnomaly",
        "AgentThroughputDrop",
        "AgentTurnLatencyHigh",
        "LlmLatencyHigh",
        "TraceSuccessLow",
    },
    "telemetry-not-kept": {"CollectorDown", "CollectorDownEscalated", "ExportBreakerOpen"},
    # What is unlike other days is unlike the minutes before as well.
    "unlike-other-days": {
        "AgentErrorBudgetBurn",
        "AgentErrorBudgetBurnEscalated",
        "AgentHandoffLoop",
        "AgentOutcomeDrop",
        "AgentRouteSkew",
        "AgentThroughputDrop",
        "AgentTurnLatencyHigh",
        "LlmCostSpike",
        "LlmLatencyHigh",
        "LlmTokenSurge",
    },
}

# By incident, the ways that are left to tell of its alerts, where they are not the usual ones.
WAYS: dict[str, dict[str, tuple[str, ...]]] = {
    # It is over as soon as there is somebody again who could tell it.
    "alertmanager-down": {"ComponentDown": ()},
    "slack-down": {"AlertmanagerNotificationsFailing": ("smtp",)},
}
# By incident, the alerts that can only be told when it is over.
LATE: dict[str, set[str]] = {"alertmanager-down": {"PrometheusNotificationsFailing"}}


@dataclass
class Alarm:
    """An alert that must fire, and when each thing was seen, in seconds since the fault.

    Attributes:
        name: of the alert.
        promised: by when a critical one must be everywhere, in seconds since the fault.
        ways: where its message must arrive, None for where its severity says.
        late: its message can only arrive when the incident is over.
        severity: as it fired.
        firing: when it was first seen to fire.
        told: by sink, when its message arrived.
        over: when it was told to be over, in seconds since the fault's end.
    """

    name: str
    promised: float = PAGE_SECONDS
    ways: tuple[str, ...] | None = None
    late: bool = False
    severity: str = ""
    firing: float | None = None
    told: dict[str, float] = field(default_factory=dict)
    over: float | None = None

    @property
    def sinks(self) -> tuple[str, ...]:
        """Where its message must arrive."""
        if self.ways is not None:
            return self.ways
        return ("slack", "smtp") if self.severity == "critical" else ("slack",)

    @property
    def arrived(self) -> bool:
        """Whether it fired and its message is everywhere it must be."""
        return self.firing is not None and set(self.sinks) <= set(self.told)

    @property
    def awaited(self) -> bool:
        """Whether the incident must go on for its sake."""
        return self.firing is None if self.late else not self.arrived

    @property
    def remark(self) -> str:
        """What is unusual about how it is told, or an empty text."""
        if self.late:
            return "told when it is over"
        if self.ways is not None:
            return f"told by {' and '.join(self.ways)} only" if self.ways else "nobody left to tell"
        return ""

    @property
    def problem(self) -> str:
        """What is wrong with it, or an empty text."""
        if self.firing is None:
            return "did not fire"
        missing = [sink for sink in self.sinks if sink not in self.told]
        if missing:
            return f"no message in {' and '.join(missing)}"
        if self.severity == "critical" and max(self.told.values()) > self.promised:
            return f"later than {self.promised:g} s"
        return ""


@dataclass
class Course:
    """What became of one incident; `beside` has the alerts of those caused at the same time.

    `skipped` says why it could not happen in this stack; then there is nothing to be kept of it.
    """

    incident: str
    alarms: list[Alarm]
    may_follow: set[str] = field(default_factory=set)
    beside: set[str] = field(default_factory=set)
    followed: set[str] = field(default_factory=set)
    unexpected: set[str] = field(default_factory=set)
    over: float | None = None
    failure: str = ""
    skipped: str = ""

    @property
    def good(self) -> bool:
        """Whether everything came as it must, and nothing else; or it could not happen here."""
        if self.skipped:
            return True
        alarms_good = not any(alarm.problem for alarm in self.alarms)
        return alarms_good and not self.unexpected and self.over is not None and not self.failure

    def note_others(self, firing: Iterable[str]) -> None:
        """Note what fires beside the alerts that must: what may follow, and what may not."""
        others = set(firing) - {alarm.name for alarm in self.alarms}
        self.followed |= others & self.may_follow
        self.unexpected |= others - self.may_follow

    def as_json(self) -> dict[str, Any]:
        """The plain values that a report keeps."""
        return {
            "incident": self.incident,
            "over_seconds": _rounded(self.over),
            "beside": sorted(self.beside),
            "followed": sorted(self.followed),
            "unexpected": sorted(self.unexpected),
            "failure": self.failure,
            "alerts": [
                {
                    "alert": alarm.name,
                    "severity": alarm.severity,
                    "firing_seconds": _rounded(alarm.firing),
                    "message_seconds": {
                        sink: round(seconds, 1) for sink, seconds in sorted(alarm.told.items())
                    },
                    "over_seconds": _rounded(alarm.over),
                    "remark": alarm.remark,
                    "problem": alarm.problem,
                }
                for alarm in self.alarms
            ],
        }


@dataclass
class Protocol:
    """All that a run of the suite has seen, kept in a file after each step of it.

    Attributes:
        file: gets the JSON, None keeps nothing.
        quiet: the time in which nothing was wrong, None when it was left out.
        courses: of the incidents, in their order.
    """

    file: Path | None
    quiet: QuietTime | None = None
    courses: list[Course] = field(default_factory=list)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def note_quiet(self, quiet: QuietTime) -> None:
        """Keep the quiet time as it is now."""
        self.quiet = quiet
        self._keep()

    def note_course(self, course: Course) -> None:
        """Keep what became of one more incident."""
        self.courses.append(course)
        self._keep()

    @property
    def good(self) -> bool:
        """Whether all went as it must."""
        quiet_good = self.quiet is None or self.quiet.good
        return quiet_good and all(course.good for course in self.courses)

    def _keep(self) -> None:
        if self.file is None:
            return
        document = {
            "began": self.began.isoformat(timespec="seconds"),
            "processors": os.cpu_count(),
            "load": round(os.getloadavg()[2], 1),
            "quiet": self.quiet.as_json() if self.quiet else None,
            "incidents": [course.as_json() for course in self.courses if not course.skipped],
        }
        self.file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    def table(self) -> Table:
        """One line for each alert that had to fire."""
        table = Table(title="seconds since the fault; over: since its end", title_justify="left")
        for heading in ("incident", "alert", "severity"):
            table.add_column(heading, overflow="fold")
        for heading in ("firing", "Slack", "mail", "over"):
            table.add_column(heading, justify="right")
        for heading in ("unexpected", "problem"):
            table.add_column(heading, overflow="fold")
        for course in self.courses:
            if course.skipped:
                table.add_row(course.incident, *[""] * 7, f"skipped: {course.skipped}")
                continue
            for number, alarm in enumerate(course.alarms):
                first = number == 0
                table.add_row(
                    course.incident if first else "",
                    alarm.name,
                    alarm.severity or "?",
                    *map(_seconds, (alarm.firing, alarm.told.get("slack"), alarm.told.get("smtp"))),
                    _seconds(course.over) if first else "",
                    ", ".join(sorted(course.unexpected)) if first else "",
                    alarm.problem or (course.failure if first else ""),
                )
        return table


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
