"""The ledger's own metrics; their names come from the shim's registry."""

from __future__ import annotations

from midwatch.registry import Metric
from midwatch.registry import own_metrics as registry
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

# The `_created` series say nothing that Prometheus uses and are in no registry.
disable_created_metrics()  # type: ignore[no-untyped-call]


class LedgerMetrics:
    """What `/metrics` shows: ingest, rejects, lag, live clients and request latency."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.ingested = self._counter(registry.LEDGER_INGESTED)
        self.rejected = self._counter(registry.LEDGER_REJECTED)
        self.lag = self._gauge(registry.LEDGER_LAG)
        self.live_clients = self._gauge(registry.LEDGER_LIVE_CLIENTS)
        latency = registry.LEDGER_REQUEST_LATENCY
        self.request_latency = Histogram(
            latency.prometheus_name,
            latency.description,
            latency.attribute_names,
            buckets=latency.buckets,
            registry=self._registry,
        )
        for signal in registry.LEDGER_INGESTED.attributes[0].values:
            self.ingested.labels(signal)

    def add(self, collector: Collector) -> None:
        """Show what another part of the ledger reads when it is asked."""
        self._registry.register(collector)

    def render(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.prometheus_name, metric.description, registry=self._registry)

    def _counter(self, metric: Metric) -> Counter:
        return Counter(
            metric.prometheus_name,
            metric.description,
            metric.attribute_names,
            registry=self._registry,
        )
