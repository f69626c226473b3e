"""Series as the data points that the readers of the OpenTelemetry SDK hand to exporters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from time import time_ns

from opentelemetry.sdk.metrics import Counter, Exemplar, Histogram, UpDownCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    MetricReader,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.metrics.export import Metric as MetricData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from midwatch.instruments.series import GaugeSeries, HistogramSeries, Sample, Series, SumSeries
from midwatch.pipeline.politeness import unhurried
from midwatch.registry import Instrument, Metric

_CLASSES: Mapping[Instrument, type] = {
    Instrument.COUNTER: Counter,
    Instrument.UP_DOWN_COUNTER: UpDownCounter,
    Instrument.HISTOGRAM: Histogram,
}

MetricSeries = tuple[Metric, Iterable[Series]]


class Reading:
    """What one reader has read so far; the readers of one meter know nothing of each other.

    Args:
        reader: says for each kind of instrument whether it wants totals or what was added since it
            last read.
        lock: what who records holds; it is taken for each series, so that nobody waits for all.
    """

    def __init__(self, reader: MetricReader, lock: AbstractContextManager[object]) -> None:
        self._lock = lock
        temporality = reader._instrument_class_temporality
        self._wants_delta = {
            instrument: any(
                chosen is AggregationTemporality.DELTA
                for known, chosen in temporality.items()
                if issubclass(known, kind)
            )
            for instrument, kind in _CLASSES.items()
        }
        self._sums: dict[SumSeries, float] = {}
        self._counts: dict[HistogramSeries, tuple[list[int], float]] = {}
        self._last_ns = 0

    def read(self, found: Iterable[MetricSeries]) -> list[MetricData]:
        """All series that have values."""
        now = time_ns()
        read = [
            data
            for metric, series in unhurried(found)
            if (data := self._metric(metric, series, now)) is not None
        ]
        self._last_ns = now
        return read

    def _metric(self, metric: Metric, found: Iterable[Series], now: int) -> MetricData | None:
        delta = self._wants_delta.get(metric.instrument, False)
        temporality = AggregationTemporality.DELTA if delta else AggregationTemporality.CUMULATIVE
        numbers: list[NumberDataPoint] = []
        histograms: list[HistogramDataPoint] = []
        for one in unhurried(found):
            with self._lock:
                if isinstance(one, SumSeries):
                    numbers.append(self._sum(one, delta, now))
                elif isinstance(one, HistogramSeries):
                    histograms.extend(self._histogram(one, delta, now))
                else:
                    numbers.extend(_gauge(one, now))
        data: Sum | Gauge | HistogramData
        if metric.instrument is Instrument.HISTOGRAM:
            data = HistogramData(histograms, temporality)
        elif metric.instrument is Instrument.GAUGE:
            data = Gauge(numbers)
        else:
            data = Sum(numbers, temporality, metric.instrument is Instrument.COUNTER)
        if not data.data_points:
            return None
        return MetricData(metric.name, metric.description, metric.unit, data)

    def _sum(self, series: SumSeries, delta: bool, now: int) -> NumberDataPoint:
        value, started = series.value, series.started_ns
        if delta:
            value -= self._sums.get(series, 0)
            started = max(started, self._last_ns)
            self._sums[series] = series.value
        samples = [series.sample] if series.sample else []
        return NumberDataPoint(
            series.attributes, started, now, value, self._exemplars(samples, now)
        )

    def _histogram(
        self, series: HistogramSeries, delta: bool, now: int
    ) -> Iterator[HistogramDataPoint]:
        counts, total, started = list(series.counts), series.total, series.started_ns
        if delta:
            earlier, earlier_total = self._counts.get(series, ([0] * len(counts), 0.0))
            self._counts[series] = (list(counts), total)
            counts = [count - before for count, before in zip(counts, earlier, strict=True)]
            total -= earlier_total
            started = max(started, self._last_ns)
            least, most = series.take_extremes()
        else:
            least, most = series.extremes()
        count = sum(counts)
        if not count:
            return
        yield HistogramDataPoint(
            attributes=series.attributes,
            start_time_unix_nano=started,
            time_unix_nano=now,
            count=count,
            sum=total,
            bucket_counts=tuple(counts),
            explicit_bounds=series.bounds,
            min=least,
            max=most,
            exemplars=self._exemplars(series.samples.values(), now),
        )

    def _exemplars(self, samples: Iterable[Sample], now: int) -> list[Exemplar]:
        """The samples since the last reading: each is shown once to each reader.

        Those that came while this reading was under way are left to the next.
        """
        return [
            Exemplar({}, value, taken_ns, span.span_id or None, span.trace_id or None)
            for value, span, taken_ns in samples
            if self._last_ns < taken_ns <= now
        ]


def joined(
    data: MetricsData | None,
    found: list[MetricData],
    scope: InstrumentationScope,
    resource: Resource,
) -> MetricsData | None:
    """The data with what was found beside what is there of the same scope."""
    if not found:
        return data
    if data is None or not data.resource_metrics:
        ours = ScopeMetrics(scope, found, scope.schema_url or "")
        return MetricsData([ResourceMetrics(resource, [ours], resource.schema_url)])
    first, *others = data.resource_metrics
    scopes = list(first.scope_metrics)
    for index, present in enumerate(scopes):
        if present.scope == scope:
            scopes[index] = replace(present, metrics=[*present.metrics, *found])
            break
    else:
        scopes.append(ScopeMetrics(scope, found, scope.schema_url or ""))
    return MetricsData([replace(first, scope_metrics=scopes), *others])


def _gauge(series: GaugeSeries, now: int) -> Iterator[NumberDataPoint]:
    if series.value is not None:
        # A gauge has no beginning.
        yield NumberDataPoint(series.attributes, 0, now, series.value)
