"""The OpenTelemetry providers as Midwatch sets them up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk import _configuration as otel
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from midwatch.config import Settings
from midwatch.pipeline.batching import BatchQueue
from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.content_gate import ContentGate, GatedMetricExporter
from midwatch.pipeline.destinations import destinations_from_environment
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.health import ExportHealth, WatchedMetricExporter, quieten_exporters
from midwatch.pipeline.kept_attributes import KeepOwnAttributes
from midwatch.pipeline.logs import QueueingLogProcessor
from midwatch.pipeline.metric_delivery import DeliveringMetricExporter
from midwatch.pipeline.named_exporters import make_exporters
from midwatch.pipeline.rendering import RenderReader
from midwatch.pipeline.routes import Exporters, RouteBuilder, Routes, whole
from midwatch.pipeline.sampled_out import SampledOut
from midwatch.pipeline.sampling_setup import Sampling
from midwatch.pipeline.shutdown import aside
from midwatch.pipeline.spans import (
    CountingSampler,
    QueueingSpanProcessor,
    SpanAccount,
    UnwantedSpans,
)
from midwatch.registry.own_metrics import (
    DELIVERY_ITEMS,
    EXPORT_BREAKER_STATE,
    REDACTIONS,
    SAMPLING_RATIO,
    SPANS,
    SPOOL_BYTES,
)

__all__ = ["Exporters", "Pipeline", "build_pipeline", "exporters_from_environment", "install"]

_LAST_ATTEMPT_SECONDS = 0.5
_METRICS_SECONDS = 0.5
"""What is kept of the time at the end for the last values of the metrics."""


class Pipeline:
    """The providers, what feeds their exporters, and how to empty them."""

    def __init__(
        self,
        tracer_provider: TracerProvider,
        meter_provider: MeterProvider,
        logger_provider: LoggerProvider,
        reader: RenderReader,
        account: SpanAccount,
        routes: Routes,
        exporters: tuple[SpanExporter | LogRecordExporter, ...],
        content: ContentPolicy,
        sampling: Sampling,
    ) -> None:
        self.tracer_provider = tracer_provider
        self.meter_provider = meter_provider
        self.logger_provider = logger_provider
        self.reader = reader
        self.account = account
        self.routes = routes
        self.content = content
        self.sampling = sampling
        self._exporters = exporters
        self._closed = False

    @property
    def spans(self) -> BatchQueue[ReadableSpan]:
        """The queue of spans whose ends their account follows."""
        return self.routes.spans[0]

    def flush(self, seconds: float) -> bool:
        """Send everything recorded so far; returns whether that was done in time.

        What is in the spool because its receiver is away is not waited for.
        """
        deadline = monotonic() + seconds
        for queue in self._queues():
            queue.begin_flush()
        # The SDK collects metrics in the caller's thread, for as long as the exporter likes.
        done = [aside(self.meter_provider.force_flush, seconds)]
        done += [queue.flush(_until(deadline)) for queue in self._queues()]
        done += [lane.flush(_until(deadline)) for lane in self.routes.all_lanes]
        return all(done)

    def close(self, seconds: float) -> None:
        """Send everything and stop, within the time; what is left goes to the spool, or is lost.

        Where export has been failing, hardly any time is given to a last attempt.
        """
        if self._closed:
            return
        self._closed = True
        if self.sampling.held is not None:
            self.sampling.held.shutdown()
        if not all(health.works for health in self.routes.healths):
            seconds = min(seconds, _LAST_ATTEMPT_SECONDS)
        deadline = monotonic() + seconds
        early = deadline - min(_METRICS_SECONDS, seconds / 2)
        for queue in self._queues():
            queue.begin_close()
        for queue in self._queues():
            queue.close(_until(early))
        for lane in self.routes.lanes:
            lane.begin_close()
        for lane in self.routes.lanes:
            lane.close(_until(early))
        self._close_metrics(deadline)
        for exporter in self._exporters:
            exporter.shutdown()
        self._leave_spool()

    def _queues(self) -> list[BatchQueue[ReadableSpan] | BatchQueue[ReadableLogRecord]]:
        return [*self.routes.spans, *self.routes.logs]

    def _close_metrics(self, deadline: float) -> None:
        # Last, so that they tell what became of everything else; in a thread, because a signal may
        # have interrupted who holds the SDK's locks.
        aside(
            lambda: self.meter_provider.shutdown(timeout_millis=_until(deadline) * 1000),
            _until(deadline),
        )
        for lane in self.routes.metric_lanes:
            lane.close(_until(deadline))

    def _leave_spool(self) -> None:
        if self.routes.spool is not None:
            try:
                self.routes.spool.leave(self.account.final())
            except OSError:
                FAILURES.count("spool")


def exporters_from_environment(settings: Settings) -> Exporters:
    """The receivers and exporters that the environment names, without those that cannot start."""
    destinations = destinations_from_environment(settings, os.environ)
    made = make_exporters(destinations.others)
    return Exporters(made["traces"], made["metrics"], made["logs"], destinations=destinations)


def build_pipeline(
    settings: Settings, exporters: Exporters, resource_attributes: Mapping[str, str] | None = None
) -> Pipeline:
    """The providers, not yet installed, with threads for each receiver of each signal.

    They are not shut down by the SDK's own exit handlers, which do not keep deadlines.
    """
    quieten_exporters()
    content = ContentPolicy.from_settings(settings)
    gate = ContentGate(content)
    resource = gate.resource(Resource.create(dict(resource_attributes or {})))
    account, reader = SpanAccount(), RenderReader()
    routes = RouteBuilder(settings, gate, account).build(exporters)
    meter_provider = MeterProvider(
        metric_readers=[reader, *_readers(exporters.metrics, routes, settings, gate)],
        resource=resource,
        shutdown_on_exit=False,
    )
    takers: list[SpanProcessor] = [QueueingSpanProcessor(queue) for queue in routes.spans]
    takers = takers or [UnwantedSpans(account)]
    logger_provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    sampling = Sampling.from_settings(
        settings,
        account.settle,
        takers,
        pressure=routes.span_pressure,
        on_change=content.spare,
        tell=SampledOut(logger_provider.get_logger("midwatch"), content),
    )
    tracer_provider = TracerProvider(
        sampler=CountingSampler(sampling.sampler or ALWAYS_ON, account),
        resource=resource,
        id_generator=otel._import_id_generator(otel._get_id_generator()),
        shutdown_on_exit=False,
    )
    tracer_provider.add_span_processor(KeepOwnAttributes())
    for taker in takers:
        tracer_provider.add_span_processor(taker)
    if sampling.held is not None:
        tracer_provider.add_span_processor(sampling.held)
    for logs in routes.logs:
        logger_provider.add_log_record_processor(QueueingLogProcessor(logs))
    _observe(meter_provider, account, routes, content)
    if sampling.controller is not None:
        meter_provider.get_meter("midwatch").create_observable_gauge(
            SAMPLING_RATIO.name,
            [sampling.controller.observe],
            SAMPLING_RATIO.unit,
            SAMPLING_RATIO.description,
        )
    return Pipeline(
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        logger_provider=logger_provider,
        reader=reader,
        account=account,
        routes=routes,
        exporters=(*exporters.spans, *exporters.logs),
        content=content,
        sampling=sampling,
    )


def _observe(
    meter_provider: MeterProvider, account: SpanAccount, routes: Routes, content: ContentPolicy
) -> None:
    """Have Midwatch's own state read whenever metrics are collected."""
    meter = meter_provider.get_meter("midwatch")
    for metric, observe in (
        (SPANS, account.observe),
        (DELIVERY_ITEMS, routes.counts.observe),
        (REDACTIONS, content.redactor.observe),
    ):
        meter.create_observable_counter(metric.name, [observe], metric.unit, metric.description)
    for gauge, read in (
        (SPOOL_BYTES, routes.spool_bytes),
        (EXPORT_BREAKER_STATE, routes.breaker_state),
    ):
        meter.create_observable_gauge(gauge.name, [_gauge(read)], gauge.unit, gauge.description)


def _gauge(read: Callable[[], int]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda _: [Observation(read())]


def install(pipeline: Pipeline) -> None:
    """Make the providers those of the process."""
    trace.set_tracer_provider(pipeline.tracer_provider)
    metrics.set_meter_provider(pipeline.meter_provider)
    set_logger_provider(pipeline.logger_provider)


def _readers(
    exporters: tuple[MetricExporter | MetricReader, ...],
    routes: Routes,
    settings: Settings,
    gate: ContentGate,
) -> list[MetricReader]:
    millis = whole("OTEL_METRIC_EXPORT_INTERVAL", int(settings.flush_interval_seconds * 1000))
    readers: list[MetricReader] = []
    for exporter in (*exporters, *routes.metrics):
        if isinstance(exporter, MetricReader):
            readers.append(exporter)
            continue
        watched: MetricExporter = exporter
        if not isinstance(exporter, DeliveringMetricExporter):
            health = ExportHealth("metrics")
            routes.healths.append(health)
            watched = GatedMetricExporter(WatchedMetricExporter(exporter, health), gate)
        readers.append(PeriodicExportingMetricReader(watched, export_interval_millis=millis))
    return readers


def _until(deadline: float) -> float:
    return max(deadline - monotonic(), 0.0)
