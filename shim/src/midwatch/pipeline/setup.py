"""The OpenTelemetry providers as Midwatch sets them up."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
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
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased

from midwatch.config import Settings
from midwatch.pipeline.batching import BatchQueue
from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.content_gate import ContentGate, GatedMetricExporter, gated
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.health import ExportHealth, WatchedMetricExporter, quieten_exporters
from midwatch.pipeline.logs import FanOutLogExporter, QueueingLogProcessor
from midwatch.pipeline.rendering import RenderReader
from midwatch.pipeline.spans import (
    CountingSampler,
    FanOutSpanExporter,
    QueueingSpanProcessor,
    SpanAccount,
)
from midwatch.registry.own_metrics import REDACTIONS, SPANS

_BATCH_SIZE = 512
_LAST_ATTEMPT_SECONDS = 0.5


@dataclass(frozen=True)
class Pipeline:
    """The providers, what feeds their exporters, and how to empty them."""

    tracer_provider: TracerProvider
    meter_provider: MeterProvider
    logger_provider: LoggerProvider
    reader: RenderReader
    account: SpanAccount
    spans: BatchQueue[ReadableSpan]
    logs: BatchQueue[ReadableLogRecord]
    exporters: tuple[SpanExporter | LogRecordExporter, ...]
    healths: tuple[ExportHealth, ...]
    content: ContentPolicy

    def flush(self, seconds: float) -> bool:
        """Export everything recorded so far; returns whether that was done in time."""
        deadline = monotonic() + seconds
        self.spans.begin_flush()
        self.logs.begin_flush()
        # The SDK exports metrics in the caller's thread, for as long as the exporter likes.
        worker = threading.Thread(target=self.meter_provider.force_flush, daemon=True)
        worker.start()
        flushed = [queue.flush(_until(deadline)) for queue in (self.spans, self.logs)]
        worker.join(_until(deadline))
        return all(flushed) and not worker.is_alive()

    def close(self, seconds: float) -> None:
        """Export everything and stop, within the time; what is left then is lost and counted.

        Where export has been failing, hardly any time is given to a last attempt.
        """
        if not all(health.works for health in self.healths):
            seconds = min(seconds, _LAST_ATTEMPT_SECONDS)
        deadline = monotonic() + seconds
        self.spans.begin_close()
        self.logs.begin_close()
        self.meter_provider.shutdown(timeout_millis=_until(deadline) * 1000)
        self.spans.close(_until(deadline))
        self.logs.close(_until(deadline))
        for exporter in self.exporters:
            exporter.shutdown()


@dataclass(frozen=True)
class Exporters:
    """Where telemetry goes."""

    spans: tuple[SpanExporter, ...] = ()
    metrics: tuple[MetricExporter | MetricReader, ...] = ()
    logs: tuple[LogRecordExporter, ...] = ()


def exporters_from_environment() -> Exporters:
    """The exporters that the `OTEL_*_EXPORTER` variables name.

    Raises:
        RuntimeError: a variable names an exporter that is not installed.
    """
    span_types, metric_types, log_types = otel._import_exporters(
        otel._get_exporter_names("traces"),
        otel._get_exporter_names("metrics"),
        otel._get_exporter_names("logs"),
    )
    return Exporters(
        spans=tuple(make() for make in span_types.values()),
        metrics=tuple(make() for make in metric_types.values()),
        logs=tuple(make() for make in log_types.values()),
    )


def build_pipeline(
    settings: Settings, exporters: Exporters, resource_attributes: Mapping[str, str] | None = None
) -> Pipeline:
    """The providers, not yet installed, with one export thread for each signal.

    They are not shut down by the SDK's own exit handlers, which do not keep deadlines.
    """
    quieten_exporters()
    content = ContentPolicy.from_settings(settings)
    gate = ContentGate(content)
    resource = gate.resource(Resource.create(dict(resource_attributes or {})))
    account, reader = SpanAccount(), RenderReader()
    interval = settings.flush_interval_seconds
    healths = tuple(ExportHealth(signal) for signal in ("spans", "events", "metrics"))
    spans: BatchQueue[ReadableSpan] = BatchQueue(
        "spans",
        gated(gate.spans, healths[0].watch(FanOutSpanExporter(exporters.spans))),
        account.settle,
        capacity=_whole("OTEL_BSP_MAX_QUEUE_SIZE", settings.buffer_size),
        batch_size=_whole("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", _BATCH_SIZE),
        interval_seconds=_whole("OTEL_BSP_SCHEDULE_DELAY", int(interval * 1000)) / 1000,
    )
    logs: BatchQueue[ReadableLogRecord] = BatchQueue(
        "logs",
        gated(gate.logs, healths[1].watch(FanOutLogExporter(exporters.logs))),
        _settle_events,
        capacity=_whole("OTEL_BLRP_MAX_QUEUE_SIZE", settings.buffer_size),
        batch_size=_whole("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", _BATCH_SIZE),
        interval_seconds=_whole("OTEL_BLRP_SCHEDULE_DELAY", int(interval * 1000)) / 1000,
    )
    meter_provider = MeterProvider(
        metric_readers=[reader, *_readers(exporters.metrics, interval, healths[2], gate)],
        resource=resource,
        shutdown_on_exit=False,
    )
    tracer_provider = TracerProvider(
        sampler=CountingSampler(_sampler(settings), account),
        resource=resource,
        id_generator=otel._import_id_generator(otel._get_id_generator()),
        shutdown_on_exit=False,
    )
    logger_provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    if exporters.spans:
        tracer_provider.add_span_processor(QueueingSpanProcessor(spans))
    if exporters.logs:
        logger_provider.add_log_record_processor(QueueingLogProcessor(logs))
    meter = meter_provider.get_meter("midwatch")
    meter.create_observable_counter(SPANS.name, [account.observe], SPANS.unit, SPANS.description)
    meter.create_observable_counter(
        REDACTIONS.name, [content.redactor.observe], REDACTIONS.unit, REDACTIONS.description
    )
    return Pipeline(
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        logger_provider=logger_provider,
        reader=reader,
        account=account,
        spans=spans,
        logs=logs,
        exporters=(*exporters.spans, *exporters.logs),
        healths=healths,
        content=content,
    )


def install(pipeline: Pipeline) -> None:
    """Make the providers those of the process."""
    trace.set_tracer_provider(pipeline.tracer_provider)
    metrics.set_meter_provider(pipeline.meter_provider)
    set_logger_provider(pipeline.logger_provider)


def _readers(
    exporters: tuple[MetricExporter | MetricReader, ...],
    interval_seconds: float,
    health: ExportHealth,
    gate: ContentGate,
) -> list[MetricReader]:
    millis = _whole("OTEL_METRIC_EXPORT_INTERVAL", int(interval_seconds * 1000))
    return [
        exporter
        if isinstance(exporter, MetricReader)
        else PeriodicExportingMetricReader(
            GatedMetricExporter(WatchedMetricExporter(exporter, health), gate),
            export_interval_millis=millis,
        )
        for exporter in exporters
    ]


def _sampler(settings: Settings) -> Sampler:
    """OpenTelemetry's own variable decides if it is set, else the ratio of the settings."""
    named = otel._import_sampler(otel._get_sampler())
    return named or ParentBased(TraceIdRatioBased(settings.sample_ratio))


def _whole(variable: str, default: int) -> int:
    given = os.environ.get(variable, "").strip()
    return int(given) if given.isascii() and given.isdigit() and int(given) > 0 else default


def _settle_events(result: str, reason: str, count: int) -> None:
    """Count the events that are lost."""
    if result == "dropped":
        FAILURES.count(f"events.{reason}", count)


def _until(deadline: float) -> float:
    return max(deadline - monotonic(), 0.0)
