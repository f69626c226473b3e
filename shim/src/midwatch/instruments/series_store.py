"""The series of one meter, and how the readers of its provider come to read them."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import Meter as SdkMeter
from opentelemetry.sdk.metrics._internal.exemplar import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
)
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData

from midwatch.instruments.series import Series, make_series
from midwatch.instruments.series_points import Reading, joined
from midwatch.pipeline.failures import FAILURES
from midwatch.registry import Metric


class SeriesStore:
    """All series of a meter, by the names of their metrics and by their attributes' values.

    Args:
        meter: a meter of the SDK, whose readers are given the series; those of any other meter
            are kept and read by nobody.
    """

    def __init__(self, meter: Meter) -> None:
        self.lock = threading.RLock()
        self.samples_none = self.samples_all = False
        self._metrics: dict[str, Metric] = {}
        self._series: dict[str, dict[tuple[str, ...], Series]] = {}
        self._readings: weakref.WeakKeyDictionary[MetricReader, Reading] = (
            weakref.WeakKeyDictionary()
        )
        if isinstance(meter, SdkMeter):
            consumer: Any = meter._measurement_consumer
            self._scope = meter._instrumentation_scope
            self._config = consumer._sdk_config
            self.samples_none = isinstance(self._config.exemplar_filter, AlwaysOffExemplarFilter)
            self.samples_all = isinstance(self._config.exemplar_filter, AlwaysOnExemplarFilter)
            self._join(consumer)
        renew = weakref.WeakMethod(self._renew)
        os.register_at_fork(after_in_child=lambda: (found := renew()) and found())

    def series(self, metric: Metric, values: tuple[str, ...]) -> Series:
        """The series of the metric with these attribute values; made if there is none."""
        with self.lock:
            of_metric = self._series.setdefault(metric.name, {})
            series = of_metric.get(values)
            if series is None:
                self._metrics.setdefault(metric.name, metric)
                attributes = dict(zip(metric.attribute_names, values, strict=True))
                series = of_metric[values] = make_series(metric, attributes, self.lock)
            return series

    def _join(self, consumer: Any) -> None:
        """Have what each present and future reader collects extended by the series.

        The SDK has no metric producers, which the specification has for this.
        """
        collect = consumer.collect

        def collect_all(reader: MetricReader, timeout_millis: float = 10_000) -> MetricsData | None:
            data: MetricsData | None = collect(reader, timeout_millis=timeout_millis)
            try:
                return self._extend(data, reader)
            except Exception as error:
                FAILURES.note("series", error)
                return data

        consumer.collect = collect_all
        for reader in consumer._reader_storages:
            reader._set_collect_callback(collect_all)

    def _extend(self, data: MetricsData | None, reader: MetricReader) -> MetricsData | None:
        with self.lock:
            reading = self._readings.get(reader)
            if reading is None:
                reading = self._readings[reader] = Reading(reader, self.lock)
            found = [
                (self._metrics[name], list(series.values()))
                for name, series in self._series.items()
            ]
        return joined(data, reading.read(found), self._scope, self._config.resource)

    def _renew(self) -> None:
        """A forked process counts its own: the parent reports what was counted before."""
        # The lock may have been held by another thread at the moment of the fork.
        self.lock = threading.RLock()
        self._readings = weakref.WeakKeyDictionary()
        for of_metric in self._series.values():
            for series in of_metric.values():
                series.reset(self.lock)


_stores: weakref.WeakKeyDictionary[Meter, SeriesStore] = weakref.WeakKeyDictionary()
_stores_lock = threading.Lock()


def store_of(meter: Meter) -> SeriesStore:
    """The series of the meter: the same for all who record on it."""
    with _stores_lock:
        store = _stores.get(meter)
        if store is None:
            store = _stores[meter] = SeriesStore(meter)
        return store
