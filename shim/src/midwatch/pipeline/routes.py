"""The ways out: a queue for each receiver of each signal, and what stands behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter

from midwatch.config import Settings
from midwatch.pipeline.backlog import Backlog
from midwatch.pipeline.batching import BatchQueue, Settle
from midwatch.pipeline.breaker import Breaker
from midwatch.pipeline.content_gate import ContentGate
from midwatch.pipeline.delivery import Lane, Pace
from midwatch.pipeline.delivery_counts import DeliveryCounts
from midwatch.pipeline.destinations import Destination, Destinations
from midwatch.pipeline.fork_gate import FORK_GATE
from midwatch.pipeline.health import ExportHealth
from midwatch.pipeline.logs import exporting_logs
from midwatch.pipeline.metric_delivery import DeliveringMetricExporter
from midwatch.pipeline.payloads import Encoder, Signal
from midwatch.pipeline.portions import metric_portions, portions
from midwatch.pipeline.spans import SpanAccount, exporting
from midwatch.pipeline.spool import Spool, complain, folder_name
from midwatch.pipeline.spool_accounts import Account
from midwatch.pipeline.spool_lane import SpoolLane

Item = TypeVar("Item")

OTLP = "otlp"

_BATCH_SIZE = 512
_BATCHING_VARIABLES: dict[Signal, str] = {"traces": "OTEL_BSP", "logs": "OTEL_BLRP"}
_WORDS: dict[Signal, str] = {"traces": "spans", "logs": "events", "metrics": "metrics"}


@dataclass(frozen=True)
class Exporters:
    """Where telemetry goes: exporters of the SDK, and receivers that Midwatch delivers to."""

    spans: tuple[SpanExporter, ...] = ()
    metrics: tuple[MetricExporter | MetricReader, ...] = ()
    logs: tuple[LogRecordExporter, ...] = ()
    destinations: Destinations = field(default_factory=Destinations)


@dataclass
class Routes:
    """Everything that carries telemetry out of this process.

    `healths` are those of the SDK's exporters; a lane has its own.
    """

    spans: list[BatchQueue[ReadableSpan]] = field(default_factory=list)
    logs: list[BatchQueue[ReadableLogRecord]] = field(default_factory=list)
    metrics: list[MetricExporter] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    metric_lanes: list[Lane] = field(default_factory=list)
    stores: list[SpoolLane] = field(default_factory=list)
    healths: list[ExportHealth] = field(default_factory=list)
    counts: DeliveryCounts = field(default_factory=DeliveryCounts)
    spool: Spool | None = None

    @property
    def all_lanes(self) -> list[Lane]:
        """The lanes of all signals."""
        return self.lanes + self.metric_lanes

    def breaker_state(self) -> int:
        """The worst of all breakers."""
        return max((int(lane.breaker.state) for lane in self.all_lanes), default=0)

    def span_pressure(self) -> float:
        """How full the fullest queue of spans is, from 0 to 1."""
        return max((queue.filled for queue in self.spans), default=0.0)

    def spool_bytes(self) -> int:
        """The bytes that wait on disk for this process to send them."""
        return sum(store.size() for store in self.stores)


class RouteBuilder:
    """Builds the routes; the first receiver of spans is the one that their account follows."""

    def __init__(self, settings: Settings, gate: ContentGate, account: SpanAccount) -> None:
        self._settings = settings
        self._gate = gate
        self._account = account
        self._main = ""
        self.routes = Routes()

    def build(self, exporters: Exporters) -> Routes:
        """Everything, running."""
        routes, destinations = self.routes, exporters.destinations
        if destinations.spans:
            self._main = folder_name(destinations.spans[0].name)
        if self._settings.spool_mode != "off" and any(
            (destinations.spans, destinations.logs, destinations.metrics)
        ):
            routes.spool = Spool(
                self._settings.spool_dir,
                self._settings.spool_max_bytes,
                lambda: Account(self._account.counts(), self._main),
            )
        for to_spans in destinations.spans:
            route = _Route(self, to_spans, "traces", accounted=not routes.spans)
            routes.spans.append(route.queue(self._gate.spans))
        for to_logs in destinations.logs:
            routes.logs.append(_Route(self, to_logs, "logs").queue(self._gate.logs))
        for to_metrics in destinations.metrics:
            routes.metrics.append(_Route(self, to_metrics, "metrics").metrics(self._gate.metrics))
        for each in exporters.spans:
            settle = self.settle_of(type(each).__name__, "traces", accounted=not routes.spans)
            routes.spans.append(
                self._exporter_queue("traces", exporting(each), self._gate.spans, settle)
            )
        for one in exporters.logs:
            settle = self.settle_of(type(one).__name__, "logs", accounted=False)
            routes.logs.append(
                self._exporter_queue("logs", exporting_logs(one), self._gate.logs, settle)
            )
        for lane in routes.all_lanes:
            lane.start()
        return routes

    def settle_of(self, destination: str, signal: Signal, *, accounted: bool) -> Settle:
        """What a queue tells of its items."""
        counts, account = self.routes.counts, self._account
        counts.know(destination, signal)

        def settle(result: str, reason: str, count: int) -> None:
            counts.add(destination, signal, result, reason, count)
            if accounted:
                account.settle(result, reason, count)

        return settle

    def _exporter_queue(
        self,
        signal: Signal,
        export: Callable[[Sequence[Item]], bool],
        gate: Callable[[Sequence[Item]], Sequence[Item]],
        settle: Settle,
    ) -> BatchQueue[Item]:
        health = ExportHealth(_WORDS[signal])
        self.routes.healths.append(health)
        watched = health.watch(export)
        return self.batch_queue(signal, lambda batch: watched(gate(batch)), settle)

    def batch_queue(
        self,
        signal: Signal,
        export: Callable[[Sequence[Item]], bool | None],
        settle: Settle,
        destination: Destination[Item] | None = None,
    ) -> BatchQueue[Item]:
        """A queue by the settings, or by what the destination has of its own."""
        prefix = _BATCHING_VARIABLES[signal]
        capacity = whole(f"{prefix}_MAX_QUEUE_SIZE", self._settings.buffer_size)
        interval = self._settings.flush_interval_seconds
        interval = whole(f"{prefix}_SCHEDULE_DELAY", int(interval * 1000)) / 1000
        if destination is not None:
            capacity = destination.limits.buffer_size or capacity
            interval = destination.limits.flush_interval_seconds or interval
        return BatchQueue(
            _WORDS[signal],
            export,
            settle,
            capacity=capacity,
            batch_size=whole(f"{prefix}_MAX_EXPORT_BATCH_SIZE", _BATCH_SIZE),
            interval_seconds=interval,
            prepare=lambda: _prepare(destination),
            hands_over=destination is not None,
        )

    def lane(self, destination: Destination[Item], signal: Signal, *, accounted: bool) -> Lane:
        """What delivers payloads to a destination."""
        settings, routes = self._settings, self.routes
        counts, account, spool = routes.counts, self._account, routes.spool

        def settle(result: str, reason: str, count: int, to_account: bool) -> None:
            counts.add(destination.name, signal, result, reason, count)
            if to_account:
                account.settle(result, reason, count)

        store: SpoolLane | None = None
        if spool is not None:
            on_behalf = account.settle_for_another if signal == "traces" else None
            store = SpoolLane(spool, destination.name, signal, settle, on_behalf, accounted)
            routes.stores.append(store)
        limits = destination.limits
        retries = settings.max_retries if limits.max_retries is None else limits.max_retries
        return Lane(
            destination.transport,
            Backlog(
                store,
                settings.spool_mode,
                limits.buffer_size or settings.buffer_size,
                settle,
                accounted,
                complain,
            ),
            Breaker(),
            ExportHealth(
                _WORDS[signal],
                f"{destination.name} ({destination.endpoint})",
                "waits in memory" if store is None else f"waits in {settings.spool_dir}",
            ),
            Pace(max_retries=retries, timeout_seconds=destination.timeout_seconds),
            _noting(spool if accounted else None),
        )


class _Route(Generic[Item]):
    """The way to one destination."""

    def __init__(
        self,
        builder: RouteBuilder,
        destination: Destination[Item],
        signal: Signal,
        *,
        accounted: bool = False,
    ) -> None:
        self._builder = builder
        self._destination = destination
        self._signal: Signal = signal
        self._settle = builder.settle_of(destination.name, signal, accounted=accounted)
        self._lane = builder.lane(destination, signal, accounted=accounted)
        # Of OTLP everything is wanted; Langfuse has a sample rate of its own.
        otlp = destination.name == OTLP
        self._left_out = ("dropped", "not_encoded") if otlp else ("sampled_out", "sampler")

    def queue(self, gate: Callable[[Sequence[Item]], Sequence[Item]]) -> BatchQueue[Item]:
        """The queue of spans or events, which ends in the lane."""

        def deliver(batch: Sequence[Item]) -> None:
            # Encoded before the first is handed over: a batch that cannot be encoded is lost whole.
            for count, payload in list(portions(self._destination.encode, gate(batch))):
                if payload.count < count:
                    self._settle(*self._left_out, count - payload.count)
                self._lane.submit(payload)

        self._builder.routes.lanes.append(self._lane)
        return self._builder.batch_queue(self._signal, deliver, self._settle, self._destination)

    def metrics(self, gate: Callable[[Item], Item]) -> DeliveringMetricExporter:
        """The exporter of metrics, which ends in the lane."""

        def deliver(data: MetricsData) -> None:
            with FORK_GATE.held():
                encode: Encoder[Any] = self._destination.encode
                payloads = list(metric_portions(encode, gate(data)))  # type: ignore[arg-type]
            for payload in payloads:
                self._lane.submit(payload)

        self._builder.routes.metric_lanes.append(self._lane)
        return DeliveringMetricExporter(deliver)


def whole(variable: str, default: int) -> int:
    """The whole number above zero that a variable holds, else the default."""
    given = os.environ.get(variable, "").strip()
    return int(given) if given.isascii() and given.isdigit() and int(given) > 0 else default


def _prepare(destination: Destination[Item] | None) -> None:
    """Import what encoding and sending need; they do that with their first call."""
    if destination is not None:
        with FORK_GATE.held():
            import midwatch.pipeline.transport_connection  # noqa: F401

            destination.encode([])


def _noting(spool: Spool | None) -> Callable[[], None]:
    def note() -> None:
        try:
            if spool is not None:
                spool.note_account()
        except OSError as error:
            complain(error)

    return note
