"""Metrics on their way to a lane: as an exporter that the SDK's reader knows."""

from __future__ import annotations

import os
from collections.abc import Callable

from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.metrics.view import Aggregation, ExponentialBucketHistogramAggregation

from midwatch.pipeline.failures import FAILURES

_DELTA_KINDS: dict[str, tuple[type, ...]] = {
    "delta": (Counter, Histogram, ObservableCounter),
    "lowmemory": (Counter, Histogram),
}


class DeliveringMetricExporter(MetricExporter):
    """Hands metrics over to be sent; that alone is its success.

    Temporality and histograms are as OpenTelemetry's variables for OTLP say.
    """

    def __init__(self, deliver: Callable[[MetricsData], None]) -> None:
        super().__init__(preferred_temporality=_temporality(), preferred_aggregation=_aggregation())
        self._deliver = deliver

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> MetricExportResult:
        """Encode and queue."""
        try:
            self._deliver(metrics_data)
        except Exception as error:
            FAILURES.note("export.metrics", error)
            return MetricExportResult.FAILURE
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is kept here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Nothing is kept here."""


def _temporality() -> dict[type, AggregationTemporality]:
    wanted = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "")
    kinds = _DELTA_KINDS.get(wanted.strip().lower(), ())
    return dict.fromkeys(kinds, AggregationTemporality.DELTA)


def _aggregation() -> dict[type, Aggregation]:
    wanted = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "")
    if wanted.strip().lower() == "base2_exponential_bucket_histogram":
        return {Histogram: ExponentialBucketHistogramAggregation()}
    return {}
