"""Labels kept within their declared bounds."""

from __future__ import annotations

import threading
from collections.abc import Callable

from midwatch.registry import OVERFLOW_VALUE, Attribute, Metric

_MISSING = "unknown"
_MAX_LENGTH = 128


class LabelBounds:
    """Maps label values into the bounds that the registry declares.

    A value outside a closed set, or a new value once the bound is reached, becomes `other`;
    `on_overflow` is told the metric's and the label's name each time.
    """

    def __init__(self, on_overflow: Callable[[str, str], None]) -> None:
        self._on_overflow = on_overflow
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], set[str]] = {}

    def bound(self, metric: Metric, values: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
        """The bounded values, and whether all of them were within bounds."""
        if len(values) != len(metric.attributes):
            raise ValueError(
                f"{metric.name} takes the labels {metric.attribute_names}, given {values!r}"
            )
        bounded = tuple(
            self._bound_one(metric, attribute, _clean(value))
            for attribute, value in zip(metric.attributes, values, strict=True)
        )
        clean = tuple(_clean(value) for value in values)
        return bounded, bounded == clean

    def _bound_one(self, metric: Metric, attribute: Attribute, value: str) -> str:
        if value in attribute.values:
            return value
        if not attribute.closed and self._admit(metric.name, attribute, value):
            return value
        self._on_overflow(metric.prometheus_name, attribute.name)
        return OVERFLOW_VALUE

    def _admit(self, metric_name: str, attribute: Attribute, value: str) -> bool:
        with self._lock:
            seen = self._seen.setdefault((metric_name, attribute.name), set())
            if value in seen:
                return True
            if len(seen) + len(attribute.values) >= (attribute.max_values or 0):
                return False
            seen.add(value)
            return True


def _clean(value: str) -> str:
    return str(value)[:_MAX_LENGTH] if value else _MISSING
