"""The last gate: nothing is encoded, queued for the disk or written before it went through here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import (
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status

from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.metrics_data import with_metrics
from midwatch.pipeline.politeness import alike, unhurried

_ERROR_TYPE = "error.type"
_WITHHELD = "withheld"

_Item = TypeVar("_Item")


class ContentGate:
    """Makes of each item the one that may leave; the same item if it may leave as it is.

    It runs in the thread that exports. What it has seen before costs it a look-up.
    """

    def __init__(self, policy: ContentPolicy) -> None:
        self._policy = policy

    def spans(self, batch: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
        """Spans as they may leave; of one that cannot be looked at only ids and times leave."""
        return self._all(batch, self.span, _bare_span)

    def logs(self, batch: Sequence[ReadableLogRecord]) -> Sequence[ReadableLogRecord]:
        """Log records as they may leave; of one that cannot be looked at only the time leaves."""
        return self._all(batch, self.log, _bare_log)

    def span(self, span: ReadableSpan) -> ReadableSpan:
        """One span."""
        policy = self._policy
        if policy.mode == "full":
            return span
        given = span.attributes or {}
        attributes = policy.attributes(given)
        had_name = span.name
        name = policy.scrub(had_name)
        # The SDK makes a new sequence of them each time; most spans have none.
        events = had_events = span.events if span._events else ()
        links = had_links = span.links if span._links else ()
        if had_events:
            events = self._events(had_events)
        if had_links:
            links = self._links(had_links)
        status = had_status = span.status
        if status.description:
            status = self._status(status, given.get(_ERROR_TYPE))
        if (
            attributes is given
            and name is had_name
            and events is had_events
            and links is had_links
            and status is had_status
        ):
            return span
        clean = copy.copy(span)
        clean._name = name
        clean._attributes = attributes
        clean._events = events
        clean._links = links
        clean._status = status
        return clean

    def log(self, record: ReadableLogRecord) -> ReadableLogRecord:
        """One log record."""
        policy = self._policy
        if policy.mode == "full" or getattr(record, "governed_by", None) is policy:
            return record
        given = record.log_record
        attributes = given.attributes or {}
        clean_attributes = policy.attributes(attributes)
        body = policy.attribute("body", given.body)
        name = given.event_name
        clean_name = policy.scrub(name) if name else name
        if clean_attributes is attributes and body is given.body and clean_name is name:
            return record
        clean: LogRecord = copy.copy(given)
        clean.attributes = clean_attributes
        clean.body, clean.event_name = body, clean_name
        return replace(record, log_record=clean)

    def metrics(self, data: MetricsData) -> MetricsData:
        """Values of metrics, with the labels as they may leave."""
        if self._policy.mode == "full":
            return data
        return with_metrics(data, lambda metrics: [self._metric(one) for one in unhurried(metrics)])

    def resource(self, resource: Resource) -> Resource:
        """What describes the process: its command line may hold a key, for example."""
        attributes = self._policy.attributes(resource.attributes)
        if attributes is resource.attributes:
            return resource
        return Resource(dict(attributes), resource.schema_url)

    def _all(
        self,
        batch: Sequence[_Item],
        one: Callable[[_Item], _Item],
        bare: Callable[[_Item], _Item],
    ) -> Sequence[_Item]:
        if self._policy.mode == "full":
            return batch
        clean: list[_Item] = []
        for item in batch:
            try:
                clean.append(one(item))
            except Exception as error:
                FAILURES.note("content", error)
                clean.append(bare(item))
        return alike(clean, batch)

    def _events(self, events: Sequence[Event]) -> Sequence[Event]:
        clean = [self._event(event) for event in events]
        same = all(one is other for one, other in zip(clean, events, strict=True))
        return events if same else clean

    def _event(self, event: Event) -> Event:
        given = event.attributes or {}
        attributes, name = self._policy.attributes(given), self._policy.scrub(event.name)
        if attributes is given and name is event.name:
            return event
        return Event(name, attributes, event.timestamp)

    def _links(self, links: Sequence[Link]) -> Sequence[Link]:
        clean = [self._link(link) for link in links]
        same = all(one is other for one, other in zip(clean, links, strict=True))
        return links if same else clean

    def _link(self, link: Link) -> Link:
        given = link.attributes or {}
        attributes = self._policy.attributes(given)
        return link if attributes is given else Link(link.context, attributes)

    def _status(self, status: Status, error_type: object) -> Status:
        described = self._policy.error(status.description, error_type)
        if described is status.description:
            return status
        return Status(status.status_code, described)

    def _metric(self, metric: Metric) -> Metric:
        points = [self._point(point) for point in unhurried(metric.data.data_points)]
        same = all(one is other for one, other in zip(points, metric.data.data_points, strict=True))
        return metric if same else replace(metric, data=replace(metric.data, data_points=points))  # type: ignore[arg-type]

    def _point(self, point: _Item) -> _Item:
        given: Mapping[str, object] = getattr(point, "attributes", None) or {}
        attributes = self._policy.attributes(given)
        return point if attributes is given else replace(point, attributes=attributes)  # type: ignore[type-var]


def _bare_span(span: ReadableSpan) -> ReadableSpan:
    bare = copy.copy(span)
    bare._name, bare._status = _WITHHELD, Status(span.status.status_code)
    bare._attributes, bare._events, bare._links = {}, (), ()
    return bare


def _bare_log(record: ReadableLogRecord) -> ReadableLogRecord:
    bare = copy.copy(record.log_record)
    bare.attributes, bare.body, bare.event_name = {}, None, _WITHHELD
    return replace(record, log_record=bare)


class GatedMetricExporter(MetricExporter):
    """Another metric exporter with the gate before it."""

    def __init__(self, exporter: MetricExporter, gate: ContentGate) -> None:
        super().__init__(
            preferred_temporality=exporter._preferred_temporality,
            preferred_aggregation=exporter._preferred_aggregation,
        )
        self._exporter = exporter
        self._gate = gate

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> MetricExportResult:
        """Export what may leave."""
        return self._exporter.export(self._gate.metrics(metrics_data), timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """The other exporter's result."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Shut the other exporter down."""
        self._exporter.shutdown(timeout_millis)
