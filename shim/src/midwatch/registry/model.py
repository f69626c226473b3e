"""What a signal is: the types of the registry, and the translation of names to Prometheus."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

OVERFLOW_VALUE = "other"
"""The value a label gets when its own value lies outside the declared bound."""


class Instrument(StrEnum):
    """The OpenTelemetry instrument that records a metric."""

    COUNTER = "counter"
    UP_DOWN_COUNTER = "up_down_counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Stability(StrEnum):
    """How far a name may still move."""

    STABLE = "stable"
    EXPERIMENTAL = "experimental"
    DEPRECATED = "deprecated"


@dataclass(frozen=True)
class Attribute:
    """One attribute of a signal.

    One of these holds for an attribute that may be a metric label: `values` alone is a closed set;
    `values` with `max_values` are the known values of an open but bounded set; `max_values` alone
    is a bounded set. An attribute with neither is never a metric label (ids, text).
    """

    name: str
    description: str
    values: tuple[str, ...] = ()
    max_values: int | None = None
    stability: Stability = Stability.EXPERIMENTAL

    @property
    def metric_safe(self) -> bool:
        """Whether the attribute is bounded, so that it may be a label."""
        return bool(self.values) or self.max_values is not None

    @property
    def closed(self) -> bool:
        """Whether only the declared values are allowed."""
        return bool(self.values) and self.max_values is None


@dataclass(frozen=True)
class Metric:
    """One metric: its OpenTelemetry name, from which the Prometheus name follows.

    `siblings` are the partial label sets that are created at zero as soon as the rest of the label
    set is seen first, so that the first error is an increase and not a new series.
    """

    name: str
    instrument: Instrument
    unit: str
    description: str
    attributes: tuple[Attribute, ...] = ()
    buckets: tuple[float, ...] = ()
    siblings: tuple[tuple[tuple[str, str], ...], ...] = ()
    stability: Stability = Stability.EXPERIMENTAL
    origin: str = "midwatch"

    @property
    def prometheus_name(self) -> str:
        """The family name as Prometheus stores it (histograms add `_bucket`, `_sum`, `_count`)."""
        return prometheus_name(self.name, self.unit, self.instrument)

    @cached_property
    def attribute_names(self) -> tuple[str, ...]:
        """The names of the attributes, in the order in which they are written."""
        return tuple(attribute.name for attribute in self.attributes)

    @property
    def series_names(self) -> tuple[str, ...]:
        """Every sample name of the family."""
        name = self.prometheus_name
        if self.instrument is Instrument.HISTOGRAM:
            return (f"{name}_bucket", f"{name}_sum", f"{name}_count")
        return (name,)


@dataclass(frozen=True)
class Event:
    """One event: the event name of a log record and of a JSON line, and what its metadata holds.

    `identity` names the metadata by which two reports of one fact are recognised as the same.
    """

    name: str
    description: str
    attributes: tuple[Attribute, ...] = ()
    identity: tuple[str, ...] = ()
    stability: Stability = Stability.EXPERIMENTAL
    origin: str = "midwatch"


_UNIT_WORDS = {"s": "seconds", "ms": "milliseconds", "By": "bytes"}
_PLAIN_UNIT = re.compile(r"^[A-Za-z]+$")


def prometheus_name(name: str, unit: str, instrument: Instrument) -> str:
    """Translate a name as Prometheus' OTLP receiver does by default.

    The strategy is `UnderscoreEscapingWithSuffixes`: other characters than letters, digits, `_` and
    `:` become `_`, the unit becomes a suffix unless it is an annotation in braces, a monotonic
    counter ends in `_total`, and a gauge of unit `1` ends in `_ratio`.

    Raises:
        ValueError: the unit is none that the registry knows how to translate.
    """
    translated = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_:]", "_", name)).strip("_")
    words = translated.split("_")
    suffix = _unit_suffix(unit, instrument)
    if suffix and suffix not in words:
        translated = f"{translated}_{suffix}"
    if instrument is Instrument.COUNTER:
        translated = f"{translated.removesuffix('_total')}_total"
    return translated


def _unit_suffix(unit: str, instrument: Instrument) -> str:
    if not unit or unit.startswith("{"):
        return ""
    if unit == "1":
        return "ratio" if instrument is Instrument.GAUGE else ""
    if unit in _UNIT_WORDS:
        return _UNIT_WORDS[unit]
    if _PLAIN_UNIT.match(unit):
        return unit
    raise ValueError(
        f"unit {unit!r} is not translated here; use one of {sorted(_UNIT_WORDS)}, '1', a plain "
        "word or an annotation in braces"
    )
