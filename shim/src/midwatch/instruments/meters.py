"""The values of the registry's metrics, on their way from facts to the readers."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.metrics import Meter
from opentelemetry.trace import SpanContext, get_current_span

from midwatch.instruments.labels import LabelBounds
from midwatch.instruments.series import Series
from midwatch.instruments.series_store import store_of
from midwatch.registry import Instrument, Metric
from midwatch.registry.own_metrics import LABEL_OVERFLOW


class Instruments:
    """Records values of registry metrics on one meter, with labels in the registry's order.

    A label set that is new brings the zero series of its siblings with it (see `Metric.siblings`).

    Args:
        meter: whose readers see the values.
        clean: makes of a label's value the one that may leave the process.
    """

    def __init__(self, meter: Meter, clean: Callable[[str], str] = str) -> None:
        self._store = store_of(meter)
        self._known: dict[str, dict[tuple[str, ...], Series]] = {}
        self._bounds = LabelBounds(self._count_overflow)
        self._clean = clean

    def add(self, metric: Metric, value: float, *labels: str) -> None:
        """Add to a counter or an up-down counter, record in a histogram, or set a gauge."""
        known = self._known.get(metric.name)
        series = None if known is None else known.get(labels)
        if series is None:
            series = self._series(metric, labels)
        series.take(value, self._span())

    record = set = add

    def _span(self) -> SpanContext | None:
        """The span that a measurement of this moment is a sample of."""
        if self._store.samples_none:
            return None
        span = get_current_span().get_span_context()
        return span if span.trace_flags.sampled or self._store.samples_all else None

    def _series(self, metric: Metric, labels: tuple[str, ...]) -> Series:
        clean = tuple([self._clean(label) for label in labels])
        bounded, within = self._bounds.bound(metric, clean)
        series = self._store.series(metric, bounded)
        if metric.instrument is Instrument.COUNTER:
            self._bear_siblings(metric, bounded)
        if within and clean == labels:
            # Values that overflow or are redacted are not kept: they may be without number.
            self._known.setdefault(metric.name, {})[labels] = series
        return series

    def _bear_siblings(self, metric: Metric, labels: tuple[str, ...]) -> None:
        for sibling in metric.siblings:
            changed = dict(zip(metric.attribute_names, labels, strict=True)) | dict(sibling)
            self._store.series(metric, tuple(changed.values()))

    def _count_overflow(self, metric_name: str, label_name: str) -> None:
        self.add(LABEL_OVERFLOW, 1, metric_name, label_name)
