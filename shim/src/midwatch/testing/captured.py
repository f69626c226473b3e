"""What was captured, and how a test asks about it."""

from __future__ import annotations

import difflib
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from opentelemetry.sdk.metrics.export import HistogramDataPoint
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.content_gate import ContentGate
from midwatch.pipeline.events import EventRecord
from midwatch.pipeline.rendering import RenderReader
from midwatch.registry import METRICS, Metric
from midwatch.testing.manual_sources import CountedIds, ManualClock

_One = TypeVar("_One")

_METRICS = {metric.prometheus_name: metric for metric in METRICS} | {
    metric.name: metric for metric in METRICS
}


class CapturedTelemetry:
    """The spans, metrics and events of a block, as they would leave the process.

    `clock` may be advanced; it stands still otherwise. `failures` counts what failed inside
    Midwatch itself, by its part.
    """

    def __init__(self, policy: ContentPolicy) -> None:
        self.clock = ManualClock()
        self.ids = CountedIds()
        self.reader = RenderReader()
        self._gate = ContentGate(policy)
        self._lock = threading.Lock()
        self._begun: dict[int, ReadableSpan | None] = {}
        self._events: list[EventRecord] = []
        self.failures: Counter[str] = Counter()

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in the order in which they began."""
        with self._lock:
            ended = [span for span in self._begun.values() if span is not None]
        return list(self._gate.spans(ended))

    def spans_named(self, name: str) -> list[ReadableSpan]:
        """The spans of that name that have ended."""
        return [span for span in self.spans if span.name == name]

    def span(self, name: str) -> ReadableSpan:
        """The one span of that name.

        Raises:
            AssertionError: there is none, or more than one.
        """
        return _only(self.spans_named(name), "span", name, [span.name for span in self.spans])

    def tree(self) -> str:
        """The spans as text, one on each line, indented below their parents."""
        spans = self.spans
        known = {_id(span) for span in spans}
        lines: list[str] = []

        def walk(parent: int | None, depth: int) -> None:
            for span in spans:
                above = span.parent.span_id if span.parent is not None else None
                if (above if above in known else None) == parent:
                    lines.append(f"{'  ' * depth}{span.name}{_failure(span)}")
                    walk(_id(span), depth + 1)

        walk(None, 0)
        return "\n".join(lines)

    def events(self, name: str | None = None) -> list[EventRecord]:
        """The events in their order, or those of one name."""
        with self._lock:
            return [event for event in self._events if name is None or event.event == name]

    def event(self, name: str) -> EventRecord:
        """The one event of that name.

        Raises:
            AssertionError: there is none, or more than one.
        """
        return _only(self.events(name), "event", name, [event.event for event in self.events()])

    def metric(self, name: str, **labels: str) -> float:
        """The value of a counter or gauge, or how many values a histogram has.

        Of several series with these labels it is the sum; without any it is 0.

        Args:
            name: the metric, as Prometheus or as OpenTelemetry names it.
            **labels: what the series must have.

        Raises:
            AssertionError: there is no such metric or label.
        """
        return sum(
            float(point.count if isinstance(point, HistogramDataPoint) else point.value)
            for point in self._points(name, labels)
        )

    def metric_sum(self, name: str, **labels: str) -> float:
        """The sum of a histogram's values; otherwise as `metric`."""
        return sum(
            float(point.sum if isinstance(point, HistogramDataPoint) else point.value)
            for point in self._points(name, labels)
        )

    def labels(self, name: str) -> list[dict[str, str]]:
        """The label sets of a metric that are above zero."""
        return [
            dict(point.attributes)
            for point in self._points(name, {})
            if getattr(point, "value", 0) or getattr(point, "count", 0)
        ]

    def write(self, record: EventRecord) -> None:
        """Take an event; called by the recorder."""
        with self._lock:
            self._events.append(record)

    def began(self, span: ReadableSpan) -> None:
        """Take note of a span that begins."""
        with self._lock:
            self._begun[_id(span)] = None

    def ended(self, span: ReadableSpan) -> None:
        """Take a span that has ended, if it began here."""
        with self._lock:
            if _id(span) in self._begun:
                self._begun[_id(span)] = span

    def _points(self, name: str, labels: dict[str, str]) -> Iterable[Any]:
        metric = _METRICS.get(name)
        if metric is None:
            raise AssertionError(f"there is no metric {name!r}{_like(name, sorted(_METRICS))}")
        _check_labels(metric, labels)
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric.name
            for point in found.data.data_points
            if labels.items() <= dict(point.attributes or {}).items()
        ]


def _check_labels(metric: Metric, labels: dict[str, str]) -> None:
    unknown = sorted(set(labels) - set(metric.attribute_names))
    if unknown:
        allowed = ", ".join(metric.attribute_names) or "none"
        raise AssertionError(
            f"{metric.prometheus_name} has no label {', '.join(unknown)}; it has {allowed}"
        )


def _only(found: Sequence[_One], kind: str, name: str, names: list[str]) -> _One:
    if len(found) != 1:
        raise AssertionError(
            f"{len(found)} {kind}s are named {name!r}, not one; captured were: "
            f"{', '.join(names) or 'none'}"
        )
    return found[0]


def _like(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _failure(span: ReadableSpan) -> str:
    if span.status.status_code is not StatusCode.ERROR:
        return ""
    return f" [error: {(span.attributes or {}).get('error.type', 'unknown')}]"


def _id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    return context.span_id if context is not None else 0
