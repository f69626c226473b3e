"""Every span is accounted for: created equals the rest plus what is in flight."""

from __future__ import annotations

import threading
import time

import pytest
from midwatch.config import Settings
from midwatch.pipeline.setup import Exporters, build_pipeline
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class RefusingExporter(SpanExporter):
    def export(self, spans) -> SpanExportResult:
        return SpanExportResult.FAILURE


def pipeline(*exporters: SpanExporter, **settings):
    return build_pipeline(Settings(**settings), Exporters(spans=exporters))


def spans(under_test, count: int) -> None:
    tracer = under_test.tracer_provider.get_tracer("test")
    for _ in range(count):
        tracer.start_span("work").end()


def test_an_open_span_is_in_flight_until_it_is_exported():
    under_test = pipeline(InMemorySpanExporter())
    span = under_test.tracer_provider.get_tracer("test").start_span("work")
    assert under_test.account.in_flight() == 1
    span.end()
    under_test.flush(5)
    assert under_test.account.in_flight() == 0
    assert under_test.account.counts()[("exported", "none")] == 1
    under_test.close(2)


def test_spans_that_the_sampler_leaves_out_are_counted():
    under_test = pipeline(InMemorySpanExporter(), sample_ratio=0.0)
    spans(under_test, 7)
    counts = under_test.account.counts()
    assert counts[("created", "none")] == 7
    assert counts[("sampled_out", "sampler")] == 7
    assert under_test.account.in_flight() == 0
    under_test.close(2)


def test_spans_that_an_exporter_refuses_are_counted_as_dropped():
    under_test = pipeline(RefusingExporter())
    spans(under_test, 3)
    under_test.flush(5)
    assert under_test.account.counts()[("dropped", "export_failed")] == 3
    under_test.close(2)


def test_spans_beyond_the_buffer_are_counted_as_dropped():
    exporter = InMemorySpanExporter()
    under_test = pipeline(exporter, buffer_size=10, flush_interval_seconds=3600.0)
    with under_test.spans._changed:
        spans(under_test, 25)
    under_test.close(5)
    counts = under_test.account.counts()
    assert counts[("dropped", "queue_full")] == 15
    assert counts[("exported", "none")] == len(exporter.get_finished_spans()) == 10
    assert under_test.account.in_flight() == 0


class HangingExporter(InMemorySpanExporter):
    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def export(self, spans) -> SpanExportResult:
        self.released.wait(60)
        return super().export(spans)


def test_a_flush_by_opentelemetrys_own_function_keeps_its_time_while_an_exporter_hangs():
    exporter = HangingExporter()
    under_test = pipeline(exporter)
    spans(under_test, 3)
    began = time.monotonic()
    assert not under_test.tracer_provider.force_flush(timeout_millis=100)
    assert not under_test.flush(0.1)
    assert time.monotonic() - began < 2
    exporter.released.set()
    assert under_test.flush(20)
    assert len(exporter.get_finished_spans()) == 3
    under_test.close(2)


def test_the_account_is_a_metric():
    under_test = pipeline(InMemorySpanExporter())
    spans(under_test, 2)
    under_test.flush(5)
    data = under_test.reader.get_metrics_data()
    points = {
        (p.attributes["result"], p.attributes["reason"]): p.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "midwatch.spans"
        for p in metric.data.data_points
    }
    assert points[("created", "none")] == 2
    assert points[("exported", "none")] == 2
    assert points[("dropped", "queue_full")] == 0
    under_test.close(2)


def test_export_that_fails_is_logged_when_it_begins_to_fail_and_when_it_works_again(caplog):
    results = iter([SpanExportResult.FAILURE] * 3 + [SpanExportResult.SUCCESS] * 2)

    class Flapping(SpanExporter):
        def export(self, spans) -> SpanExportResult:
            return next(results)

    under_test = pipeline(Flapping())
    for _ in range(5):
        spans(under_test, 1)
        under_test.flush(5)
    said = [r.getMessage() for r in caplog.records if "export of spans" in r.getMessage()]
    assert len(said) == 2
    assert "fails" in said[0]
    assert "works again" in said[1]
    under_test.close(2)


@pytest.mark.parametrize("variable", ["OTEL_BSP_MAX_QUEUE_SIZE"])
def test_the_standard_variables_of_the_batch_processor_are_obeyed(monkeypatch, variable):
    monkeypatch.setenv(variable, "4")
    under_test = pipeline(InMemorySpanExporter(), flush_interval_seconds=3600.0)
    with under_test.spans._changed:
        spans(under_test, 6)
    under_test.close(5)
    assert under_test.account.counts()[("dropped", "queue_full")] == 2
