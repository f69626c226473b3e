"""The OpenTelemetry instruments behind the registry's metrics."""

from __future__ import annotations

import threading

from opentelemetry.metrics import Counter, Histogram, Meter, UpDownCounter
from opentelemetry.metrics import _Gauge as Gauge
from opentelemetry.util.types import Attributes

from midwatch.instruments.labels import LabelBounds
from midwatch.registry import Instrument, Metric
from midwatch.registry.own_metrics import LABEL_OVERFLOW


class Instruments:
    """Records values of registry metrics on one meter, with labels in the registry's order.

    Instruments are made when they are first used. A label set that is new brings the zero series of
    its siblings with it (see `Metric.siblings`).
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._lock = threading.RLock()
        self._made: dict[str, Counter | UpDownCounter | Histogram | Gauge] = {}
        self._attributes: dict[tuple[str, tuple[str, ...]], Attributes] = {}
        self._born: set[tuple[str, tuple[str, ...]]] = set()
        self._bounds = LabelBounds(self._count_overflow)

    def add(self, metric: Metric, value: float, *labels: str) -> None:
        """Add to a counter or an up-down counter."""
        instrument = self._instrument(metric)
        if isinstance(instrument, Counter | UpDownCounter):
            instrument.add(value, self._attributes_of(metric, labels))

    def record(self, metric: Metric, value: float, *labels: str) -> None:
        """Record a value of a histogram."""
        instrument = self._instrument(metric)
        if isinstance(instrument, Histogram):
            instrument.record(value, self._attributes_of(metric, labels))

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge."""
        instrument = self._instrument(metric)
        if isinstance(instrument, Gauge):
            instrument.set(value, self._attributes_of(metric, labels))

    def _attributes_of(self, metric: Metric, labels: tuple[str, ...]) -> Attributes:
        key = (metric.name, labels)
        known = self._attributes.get(key)
        if known is not None:
            return known
        with self._lock:
            bounded, within = self._bounds.bound(metric, labels)
            attributes: Attributes = dict(zip(metric.attribute_names, bounded, strict=True))
            self._bear_siblings(metric, bounded)
            if within:
                # Values that overflow are not kept: they may be without number.
                self._attributes[key] = attributes
        return attributes

    def _bear_siblings(self, metric: Metric, labels: tuple[str, ...]) -> None:
        if metric.instrument is not Instrument.COUNTER:
            return
        for sibling in metric.siblings:
            changed = dict(zip(metric.attribute_names, labels, strict=True)) | dict(sibling)
            key = (metric.name, tuple(changed.values()))
            if key in self._born:
                continue
            self._born.add(key)
            instrument = self._instrument(metric)
            if isinstance(instrument, Counter):
                instrument.add(0, changed)

    def _count_overflow(self, metric_name: str, label_name: str) -> None:
        self.add(LABEL_OVERFLOW, 1, metric_name, label_name)

    def _instrument(self, metric: Metric) -> Counter | UpDownCounter | Histogram | Gauge:
        made = self._made.get(metric.name)
        if made is None:
            with self._lock:
                made = self._made.get(metric.name)
                if made is None:
                    made = self._make(metric)
                    self._made[metric.name] = made
        return made

    def _make(self, metric: Metric) -> Counter | UpDownCounter | Histogram | Gauge:
        name, unit, description = metric.name, metric.unit, metric.description
        match metric.instrument:
            case Instrument.COUNTER:
                return self._meter.create_counter(name, unit, description)
            case Instrument.UP_DOWN_COUNTER:
                return self._meter.create_up_down_counter(name, unit, description)
            case Instrument.GAUGE:
                return self._meter.create_gauge(name, unit, description)
            case Instrument.HISTOGRAM:
                return self._meter.create_histogram(
                    name, unit, description, explicit_bucket_boundaries_advisory=metric.buckets
                )
