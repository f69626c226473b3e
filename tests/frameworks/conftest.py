"""The shim as `midwatch.init()` sets it up, recording into memory, in each framework's environment.

Each environment's tests share one process and one shim: the frameworks are imported after it, as in
an application. What was counted before a test is taken off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

os.environ.update(
    OTEL_TRACES_EXPORTER="none",
    OTEL_METRICS_EXPORTER="none",
    OTEL_LOGS_EXPORTER="none",
    OTEL_SERVICE_NAME="tested",
    MIDWATCH_SPOOL_MODE="off",
)

import midwatch
from midwatch.instrumentors.states import STATES
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.setup import Exporters
from opentelemetry import trace
from opentelemetry._logs import get_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Seen:
    """What the shim has recorded since `begin`."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self._spans = InMemorySpanExporter()
        self._events = InMemoryLogRecordExporter()
        self._before: dict[tuple[str, frozenset[tuple[str, Any]]], float] = {}
        midwatch.init(exporters=Exporters(metrics=(self._reader,)))
        tracers, loggers = trace.get_tracer_provider(), get_logger_provider()
        assert isinstance(tracers, TracerProvider)
        assert isinstance(loggers, LoggerProvider)
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self._events))

    def begin(self) -> None:
        """Forget what was recorded so far."""
        self._spans.clear()
        self._events.clear()
        self._before = self._values()

    def spans(self, name: str = "") -> list[ReadableSpan]:
        """The ended spans, those of a name or all, in the order in which they began."""
        spans = sorted(self._spans.get_finished_spans(), key=lambda span: span.start_time or 0)
        return [span for span in spans if not name or span.name == name]

    def span(self, name: str) -> ReadableSpan:
        """The one span of that name."""
        found = self.spans(name)
        assert len(found) == 1, (name, [span.name for span in self.spans()])
        return found[0]

    def tree(self, *, without: tuple[str, ...] = ("POST", "GET")) -> list[str]:
        """The spans as an indented tree, without those of HTTP."""
        spans = [span for span in self.spans() if span.name not in without]
        known = {span.context.span_id for span in spans}
        lines: list[str] = []

        def walk(parent: int | None, depth: int) -> None:
            for span in spans:
                above = span.parent.span_id if span.parent else None
                if (above if above in known else None) == parent:
                    lines.append("  " * depth + span.name)
                    walk(span.context.span_id, depth + 1)

        walk(None, 0)
        return lines

    def events(self, name: str) -> list[dict[str, Any]]:
        """The attributes of the events of that name."""
        return [
            dict(record.log_record.attributes or {})
            for record in self._events.get_finished_logs()
            if record.log_record.event_name == name
        ]

    def count(self, metric: str, **labels: Any) -> float:
        """What was added to a counter, or how many values a histogram got, with these labels."""
        return sum(
            value - self._before.get(key, 0)
            for key, value in self._values().items()
            if key[0] == metric and labels.items() <= dict(key[1]).items()
        )

    def labels(self, metric: str) -> list[dict[str, Any]]:
        """The label sets of a metric that have grown."""
        return [
            dict(key[1])
            for key, value in self._values().items()
            if key[0] == metric and value > self._before.get(key, 0)
        ]

    def metric_names(self) -> set[str]:
        """The metrics that have grown."""
        return {key[0] for key, value in self._values().items() if value > self._before.get(key, 0)}

    def _values(self) -> dict[tuple[str, frozenset[tuple[str, Any]]], float]:
        data = self._reader.get_metrics_data()
        return {
            (found.name, frozenset((point.attributes or {}).items())): float(
                getattr(point, "value", 0) or getattr(point, "count", 0)
            )
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for found in scope.metrics
            for point in found.data.data_points
        }


@pytest.fixture(scope="session")
def process_shim() -> Seen:
    """The shim of this process."""
    return Seen()


@pytest.fixture(autouse=True)
def seen(process_shim: Seen, caplog: pytest.LogCaptureFixture) -> Iterator[Seen]:
    """What the test makes the shim record; the test fails if anything fails inside of the shim."""
    before = FAILURES.counts()
    process_shim.begin()
    yield process_shim
    assert before == FAILURES.counts()
    detached = [record for record in caplog.records if "detach" in record.getMessage()]
    assert not detached, "a context was left by another than entered it"


@pytest.fixture
def states() -> dict[str, str]:
    """The state of each library that has one."""
    return dict(STATES.known())
