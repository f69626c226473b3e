"""The values of the registry's metrics, on their way from facts to the readers."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.trace import SpanContext, TraceFlags

from midwatch.instruments.labels import LabelBounds
from midwatch.instruments.series import Series
from midwatch.instruments.series_store import store_of
from midwatch.pipeline.present import present_context, span_in
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
        self._known: dict[tuple[str, tuple[str, ...]], Series] = {}
        self._bounds = LabelBounds(self._count_overflow)
        self._clean = clean
        self._sampled: tuple[Context | None, SpanContext | None] = (None, None)

    def add(self, metric: Metric, value: float, *labels: str) -> None:
        """Add to a counter or an up-down counter, record in a histogram, or set a gauge."""
        self.put(metric, value, labels)

    record = set = add

    def put(self, metric: Metric, value: float, labels: tuple[str, ...]) -> None:
        """The same with labels that are together already."""
        series = self._known.get((metric.name, labels))
        if series is None:
            series = self._series(metric, labels)
        context, sampled = self._sampled
        present = present_context()
        if present is not context:
            sampled = self._sample_in(present)
        series.take(value, sampled)

    def _sample_in(self, context: Context) -> SpanContext | None:
        """The span that what is measured in this context is a sample of, if it is one."""
        span: SpanContext | None = None
        if not self._store.samples_none:
            span = span_in(context).get_span_context()
            if not (span.trace_flags & TraceFlags.SAMPLED or self._store.samples_all):
                span = None
        # A fact is several values in one context: the next one need not look again.
        self._sampled = (context, span)
        return span

    def _series(self, metric: Metric, labels: tuple[str, ...]) -> Series:
        clean = tuple([self._clean(label) for label in labels])
        bounded, within = self._bounds.bound(metric, clean)
        series = self._store.series(metric, bounded)
        if metric.instrument is Instrument.COUNTER:
            self._bear_siblings(metric, bounded)
        if within and clean == labels:
            # Values that overflow or are redacted are not kept: they may be without number.
            self._known[(metric.name, labels)] = series
        return series

    def _bear_siblings(self, metric: Metric, labels: tuple[str, ...]) -> None:
        for sibling in metric.siblings:
            changed = dict(zip(metric.attribute_names, labels, strict=True)) | dict(sibling)
            self._store.series(metric, tuple(changed.values()))

    def _count_overflow(self, metric_name: str, label_name: str) -> None:
        self.add(LABEL_OVERFLOW, 1, metric_name, label_name)
