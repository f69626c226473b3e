"""Which series exist: the registry's, those of other programs, and those that rules record."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from midwatch.registry import METRICS, RESOURCE_LABELS, Instrument

_ALWAYS = frozenset({"service_name"})
_SCRAPED = frozenset({"job", "instance"})


@dataclass(frozen=True)
class Series:
    """What may be asked of a series.

    `labels` are the labels it can have, `certain` those it has everywhere; `values` are the closed
    sets of values. `filtered` says of a recorded series that a comparison let every sample through;
    `measured` that a program is asked for it, so that it has gaps where that failed.
    """

    name: str
    counter: bool
    labels: frozenset[str]
    certain: frozenset[str]
    values: dict[str, frozenset[str]] = field(default_factory=dict)
    recorded: bool = False
    filtered: bool = False
    measured: bool = False


@dataclass(frozen=True)
class Known:
    """Every series by name."""

    series: dict[str, Series]

    def matching(self, pattern: str) -> list[Series]:
        """The series whose whole name matches a regular expression."""
        compiled = re.compile(pattern)
        return [series for name, series in self.series.items() if compiled.fullmatch(name)]

    def with_series(self, series: Series) -> Known:
        """The same with one more series."""
        return Known({**self.series, series.name: series})


def load_known(external: Path) -> Known:
    """Collect the registry's series and those of the list of external ones."""
    return Known({series.name: series for series in (*_registered(), *_external(external))})


def _registered() -> list[Series]:
    found = []
    for metric in METRICS:
        own = frozenset(metric.attribute_names)
        values = {a.name: frozenset(a.values) for a in metric.attributes if a.closed}
        histogram = metric.instrument is Instrument.HISTOGRAM
        for name in metric.series_names:
            extra = frozenset({"le"}) if name.endswith("_bucket") and histogram else frozenset()
            found.append(
                Series(
                    name,
                    counter=histogram or metric.instrument is Instrument.COUNTER,
                    labels=own | extra | _SCRAPED | frozenset(RESOURCE_LABELS),
                    certain=own | extra | _ALWAYS,
                    values=values,
                    measured=True,
                )
            )
    return found


def _external(path: Path) -> list[Series]:
    found = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
        labels = frozenset(entry["labels"])
        for name in {entry["name"], entry["name"] + entry.get("suffix", "")}:
            found.append(
                Series(
                    name,
                    counter=entry["type"] == "counter",
                    labels=labels | frozenset(RESOURCE_LABELS),
                    certain=labels,
                    measured=entry.get("measured", True),
                )
            )
    return found
