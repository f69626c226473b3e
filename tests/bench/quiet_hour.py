"""Watches a stack in which nothing is wrong and keeps every alert that stirs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

LOOK_SECONDS = 2.0
_WATCHDOG = "Watchdog"


@dataclass
class Stirring:
    """One alert of one label set, from the first look that saw it pending to the last one.

    Attributes:
        name: of the alert.
        labels: of it, without its name.
        since: when it was first seen.
        until: when it was last seen.
        fired: whether it was ever more than pending.
        values: the least and the greatest value of its expression.
    """

    name: str
    labels: dict[str, str]
    since: datetime
    until: datetime
    fired: bool
    values: tuple[float, float]

    def as_json(self) -> dict[str, Any]:
        """The plain values that a report keeps."""
        return {
            "alert": self.name,
            "labels": self.labels,
            "since": self.since.isoformat(timespec="seconds"),
            "seconds": round((self.until - self.since).total_seconds(), 1),
            "fired": self.fired,
            "values": list(self.values),
        }


@dataclass
class QuietTime:
    """What was seen while nothing was wrong.

    Attributes:
        seconds: how long it was looked.
        looks: how often Prometheus answered.
        missed: how often it did not.
        stirrings: alerts that were pending or firing.
        load: the machine's load average over a minute: the mean and the greatest.
    """

    seconds: float = 0.0
    looks: int = 0
    missed: int = 0
    stirrings: list[Stirring] = field(default_factory=list)
    load: tuple[float, float] = (0.0, 0.0)

    @property
    def false_alarms(self) -> list[str]:
        """The alerts that fired although nothing was wrong."""
        return sorted({one.name for one in self.stirrings if one.fired})

    @property
    def pending(self) -> list[str]:
        """The alerts that were pending at least once but never fired."""
        stirred = {one.name for one in self.stirrings}
        return sorted(stirred - set(self.false_alarms))

    @property
    def good(self) -> bool:
        """Whether it was looked all the time and nothing fired."""
        return self.looks > 0 and self.missed <= self.looks // 20 and not self.false_alarms

    def as_json(self) -> dict[str, Any]:
        """The plain values that a report keeps."""
        return {
            "minutes": round(self.seconds / 60, 1),
            "looks": self.looks,
            "missed": self.missed,
            "load_mean": round(self.load[0], 2),
            "load_greatest": round(self.load[1], 2),
            "false_alarms": self.false_alarms,
            "pending_only": self.pending,
            "stirrings": [one.as_json() for one in self.stirrings],
        }


class Watch:
    """Looks at the alerts of a Prometheus for a while.

    Args:
        address: of Prometheus.
        http: asks it.
        keep: gets what is known at most a minute after it was seen.
    """

    def __init__(self, address: str, http: httpx.Client, keep: Callable[[QuietTime], None]) -> None:
        self._url = f"{address}/api/v1/alerts"
        self._http = http
        self._keep = keep
        self._open: dict[tuple[tuple[str, str], ...], Stirring] = {}

    def run(self, seconds: float) -> QuietTime:
        """Look until the time is over; return all that stirred."""
        quiet = QuietTime()
        loads: list[float] = []
        begin = kept = time.monotonic()
        while quiet.seconds < seconds:
            self._look(quiet)
            loads.append(os.getloadavg()[0])
            quiet.load = (sum(loads) / len(loads), max(loads))
            now = time.monotonic()
            quiet.seconds = now - begin
            if now - kept >= 60:
                self._keep(quiet)
                kept = now
            time.sleep(LOOK_SECONDS)
        self._keep(quiet)
        return quiet

    def _look(self, quiet: QuietTime) -> None:
        try:
            answer = self._http.get(self._url).raise_for_status()
        except httpx.HTTPError:
            quiet.missed += 1
            return
        quiet.looks += 1
        now = datetime.now(UTC)
        alerts = [
            alert
            for alert in answer.json()["data"]["alerts"]
            if alert["labels"]["alertname"] != _WATCHDOG
        ]
        seen = {tuple(sorted(alert["labels"].items())): alert for alert in alerts}
        self._open = {key: one for key, one in self._open.items() if key in seen}
        for key, alert in seen.items():
            value = float(alert["value"])
            if key not in self._open:
                labels = dict(key)
                name = labels.pop("alertname")
                self._open[key] = Stirring(name, labels, now, now, False, (value, value))
                quiet.stirrings.append(self._open[key])
            one = self._open[key]
            one.until = now
            one.fired = one.fired or alert["state"] == "firing"
            one.values = (min(one.values[0], value), max(one.values[1], value))
