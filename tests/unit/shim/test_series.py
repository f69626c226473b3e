"""Recorded values as the readers of a meter provider get them."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch.instruments.meters import Instruments
from midwatch.pipeline.rendering import RenderReader, local_meter_provider
from midwatch.registry import Metric, metrics, own_metrics
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricReader,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

DELTA: dict[type, AggregationTemporality] = {
    Counter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
}
LATENCY = metrics.AGENT_TURN_LATENCY


def provider_of(*readers: MetricReader) -> MeterProvider:
    return MeterProvider(readers, shutdown_on_exit=False)


def points(reader: Any, metric: Metric) -> list[Any]:
    data = reader.get_metrics_data()
    return [
        point
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for found in scope.metrics
        if found.name == metric.name
        for point in found.data.data_points
    ]


def test_each_reader_gets_all_values():
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    instruments = Instruments(provider_of(*readers).get_meter("test"))
    for _ in range(3):
        instruments.add(metrics.AGENT_ROUTE, 1, "monitor")
    assert [points(reader, metrics.AGENT_ROUTE)[0].value for reader in readers] == [3, 3]


def test_a_reader_that_comes_later_gets_what_was_recorded_before():
    provider, late = provider_of(InMemoryMetricReader()), InMemoryMetricReader()
    instruments = Instruments(provider.get_meter("test"))
    instruments.add(metrics.AGENT_ROUTE, 2, "monitor")
    provider.add_metric_reader(late)
    assert points(late, metrics.AGENT_ROUTE)[0].value == 2


def test_a_reader_that_wants_differences_gets_each_value_once():
    delta, total = InMemoryMetricReader(preferred_temporality=DELTA), InMemoryMetricReader()
    instruments = Instruments(provider_of(delta, total).get_meter("test"))
    instruments.add(metrics.AGENT_ROUTE, 2, "monitor")
    instruments.record(LATENCY, 0.3)
    first = (points(delta, metrics.AGENT_ROUTE)[0], points(total, metrics.AGENT_ROUTE)[0])
    points(delta, LATENCY)
    instruments.add(metrics.AGENT_ROUTE, 5, "monitor")
    second = (points(delta, metrics.AGENT_ROUTE)[0], points(total, metrics.AGENT_ROUTE)[0])
    assert [point.value for point in (*first, *second)] == [2, 2, 5, 7]
    assert second[0].start_time_unix_nano > first[0].start_time_unix_nano
    assert second[1].start_time_unix_nano == first[1].start_time_unix_nano


def test_a_histogram_of_differences_has_the_extremes_of_its_own_values():
    delta, total = InMemoryMetricReader(preferred_temporality=DELTA), InMemoryMetricReader()
    instruments = Instruments(provider_of(delta, total).get_meter("test"))
    for value in (0.2, 9.0):
        instruments.record(LATENCY, value)
    (first,) = points(delta, LATENCY)
    instruments.record(LATENCY, 1.0)
    (second,) = points(delta, LATENCY)
    (whole,) = points(total, LATENCY)
    assert (first.min, first.max, first.count) == (0.2, 9.0, 2)
    assert (second.min, second.max, second.count, second.sum) == (1.0, 1.0, 1, pytest.approx(1.0))
    assert (whole.min, whole.max, whole.count) == (0.2, 9.0, 3)
    assert points(delta, LATENCY) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=30))
def test_histograms_count_as_those_of_the_sdk_do(values):
    reader = InMemoryMetricReader()
    provider = provider_of(reader)
    ours = Instruments(provider.get_meter("ours"))
    theirs = provider.get_meter("theirs").create_histogram(
        LATENCY.name, explicit_bucket_boundaries_advisory=LATENCY.buckets
    )
    for value in values:
        ours.record(LATENCY, value)
        theirs.record(value)
    one, two = points(reader, LATENCY)
    assert one.bucket_counts == two.bucket_counts
    assert one.explicit_bounds == two.explicit_bounds
    assert (one.count, one.min, one.max) == (two.count, two.min, two.max)
    assert one.sum == pytest.approx(two.sum)


def test_values_of_a_sampled_span_are_exemplars_once_for_each_reader():
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    instruments = Instruments(provider_of(*readers).get_meter("test"))
    tracer = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("turn") as span:
        for value in (0.3, 0.31, 40.0):
            instruments.record(LATENCY, value)
        instruments.add(metrics.AGENT_ROUTE, 1, "monitor")
    context = span.get_span_context()
    for reader in readers:
        (latency,) = points(reader, LATENCY)
        assert [exemplar.value for exemplar in latency.exemplars] == [0.31, 40.0]
        assert {exemplar.trace_id for exemplar in latency.exemplars} == {context.trace_id}
        assert {exemplar.span_id for exemplar in latency.exemplars} == {context.span_id}
        assert points(reader, LATENCY)[0].exemplars == []


def test_the_latest_value_of_a_counter_is_its_exemplar():
    reader = InMemoryMetricReader()
    instruments = Instruments(provider_of(reader).get_meter("test"))
    tracer = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False).get_tracer("test")
    for value in (1, 4):
        with tracer.start_as_current_span("turn") as span:
            instruments.add(metrics.AGENT_ROUTE, value, "monitor")
    (point,) = points(reader, metrics.AGENT_ROUTE)
    (exemplar,) = point.exemplars
    assert (exemplar.value, exemplar.span_id) == (4, span.get_span_context().span_id)


def test_an_unsampled_span_leaves_the_exemplar_of_a_sampled_one():
    reader = InMemoryMetricReader()
    instruments = Instruments(provider_of(reader).get_meter("test"))
    kept = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False).get_tracer("test")
    lost = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("test")
    with kept.start_as_current_span("turn"):
        instruments.record(LATENCY, 0.3)
    with lost.start_as_current_span("turn"):
        instruments.record(LATENCY, 0.31)
    (point,) = points(reader, LATENCY)
    assert [exemplar.value for exemplar in point.exemplars] == [0.3]


@pytest.mark.parametrize(("setting", "expected"), [("always_off", []), ("always_on", [0.3])])
def test_the_filter_of_exemplars_is_opentelemetrys(monkeypatch, setting, expected):
    monkeypatch.setenv("OTEL_METRICS_EXEMPLAR_FILTER", setting)
    reader = InMemoryMetricReader()
    Instruments(provider_of(reader).get_meter("test")).record(LATENCY, 0.3)
    (point,) = points(reader, LATENCY)
    assert [exemplar.value for exemplar in point.exemplars] == expected


def test_two_who_record_on_one_meter_share_its_series():
    reader = RenderReader()
    provider = local_meter_provider(reader)
    for _ in range(2):
        Instruments(provider.get_meter("test")).add(metrics.AGENT_ROUTE, 1, "monitor")
    (point,) = points(reader, metrics.AGENT_ROUTE)
    assert point.value == 2


def test_series_stand_beside_the_instruments_of_the_same_scope():
    reader = InMemoryMetricReader()
    meter = provider_of(reader).get_meter("test")
    meter.create_counter("other").add(1)
    Instruments(meter).add(metrics.AGENT_ROUTE, 1, "monitor")
    data = reader.get_metrics_data()
    assert data is not None
    (resource,) = data.resource_metrics
    (scope,) = resource.scope_metrics
    assert [metric.name for metric in scope.metrics] == ["other", metrics.AGENT_ROUTE.name]


def test_a_gauge_tells_its_last_value():
    reader = InMemoryMetricReader()
    instruments = Instruments(provider_of(reader).get_meter("test"))
    for value in (1, 0):
        instruments.set(own_metrics.SERVICE_READY, value)
    assert [point.value for point in points(reader, own_metrics.SERVICE_READY)] == [0]


def test_no_value_is_lost_among_threads():
    reader = InMemoryMetricReader()
    instruments = Instruments(provider_of(reader).get_meter("test"))

    def work() -> None:
        for _ in range(2_000):
            instruments.add(metrics.AGENT_ROUTE, 1, "monitor")
            instruments.record(LATENCY, 0.3)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert points(reader, metrics.AGENT_ROUTE)[0].value == 8_000
    assert points(reader, LATENCY)[0].count == 8_000


def test_a_forked_process_counts_its_own_only():
    reader = InMemoryMetricReader()
    instruments = Instruments(provider_of(reader).get_meter("test"))
    instruments.add(metrics.AGENT_ROUTE, 7, "monitor")
    instruments.record(LATENCY, 0.3)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        instruments.add(metrics.AGENT_ROUTE, 1, "monitor")
        found = [points(reader, metrics.AGENT_ROUTE)[0].value, len(points(reader, LATENCY))]
        os.write(write_end, json.dumps(found).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        assert json.load(answer) == [1, 0]
    os.waitpid(child, 0)
    assert points(reader, metrics.AGENT_ROUTE)[0].value == 7
