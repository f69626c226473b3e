"""A whole pipeline to a real receiver: all signals, its own metrics, and its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest
from midwatch.config import load_settings
from midwatch.pipeline import portions, shutdown
from midwatch.pipeline.destinations import Destinations, destinations_from_environment
from midwatch.pipeline.payloads import Payload
from midwatch.pipeline.setup import (
    Exporters,
    Pipeline,
    build_pipeline,
    exporters_from_environment,
)
from opentelemetry._logs import LogRecord
from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from .receiving import OtlpReceiver, answer, eventually, receiving


@pytest.fixture
def collector() -> Iterator[OtlpReceiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def pipeline(collector, tmp_path, monkeypatch) -> Iterator[Pipeline]:
    for name, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "MIDWATCH_FLUSH_INTERVAL": "100ms",
        "MIDWATCH_MAX_RETRIES": "0",
        "MIDWATCH_SPOOL_DIR": str(tmp_path / "spool"),
    }.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    under_test = build_pipeline(settings, exporters_from_environment(settings))
    yield under_test
    under_test.close(2)


def record(pipeline: Pipeline, number: int) -> None:
    pipeline.tracer_provider.get_tracer("test").start_span(f"span {number}").end()
    pipeline.meter_provider.get_meter("test").create_counter("things").add(1)
    logger = pipeline.logger_provider.get_logger("test")
    logger.emit(LogRecord(body="body", event_name=f"event {number}"))


def own_metrics(pipeline: Pipeline) -> dict[str, dict[tuple[str, ...], float]]:
    data = pipeline.reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: {
            tuple(map(str, (point.attributes or {}).values())): point.value  # type: ignore[union-attr]
            for point in metric.data.data_points
        }
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        if scope.scope.name == "midwatch"
        for metric in scope.metrics
    }


def test_all_signals_arrive_and_are_counted_for_each_receiver(pipeline, collector):
    record(pipeline, 1)
    assert pipeline.flush(20)
    assert collector.spans == ["span 1"]
    assert collector.events == ["event 1"]
    assert collector.metrics >= 1
    items = own_metrics(pipeline)["midwatch.delivery.items"]
    assert items[("otlp", "traces", "exported", "none")] == 1
    assert items[("otlp", "logs", "exported", "none")] == 1
    assert items[("otlp", "metrics", "exported", "none")] >= 1


def test_all_signals_wait_in_the_spool_and_arrive_in_order(pipeline, collector):
    collector.stop()
    for number in range(5):
        record(pipeline, number)
        assert not pipeline.flush(5)
    eventually(lambda: own_metrics(pipeline)["midwatch.export.breaker_state"][()] == 2)
    eventually(lambda: own_metrics(pipeline)["midwatch.spool"][()] > 0)
    spooled = own_metrics(pipeline)["midwatch.delivery.items"]
    assert {key[1] for key, count in spooled.items() if key[2] == "spooled" and count} == {
        "traces",
        "logs",
        "metrics",
    }
    collector.start()
    eventually(lambda: len(collector.spans) == len(collector.events) == 5)
    assert collector.spans == [f"span {number}" for number in range(5)]
    assert collector.events == [f"event {number}" for number in range(5)]
    eventually(lambda: collector.metric_times == sorted(collector.metric_times) != [])


def test_a_batch_that_is_too_large_for_a_receiver_goes_in_several_requests(pipeline, collector):
    sizes: list[int] = []

    def refuse_what_grpc_refuses(handler: BaseHTTPRequestHandler, path: str) -> bool:
        sizes.append(len(collector.last_body))
        return sizes[-1] > 4 << 20 and answer(handler, 413)

    collector.behave = refuse_what_grpc_refuses
    tracer = pipeline.tracer_provider.get_tracer("test")
    for number in range(100):
        attributes = {"app.note": "a history of 100 kilobytes, " * 4_000}
        tracer.start_span(f"span {number}", attributes=attributes).end()
    assert pipeline.flush(30)
    assert collector.spans == [f"span {number}" for number in range(100)]
    assert len(sizes) > 3
    assert pipeline.account.counts()[("exported", "none")] == 100


def test_metrics_that_are_too_many_for_a_receiver_go_in_several_requests(
    pipeline, collector, monkeypatch
):
    monkeypatch.setattr(portions, "MOST_BYTES", 20_000)
    sizes: list[int] = []

    def remember(handler: BaseHTTPRequestHandler, path: str) -> bool:
        sizes.append(len(collector.last_body))
        return False

    counters = [
        pipeline.meter_provider.get_meter(f"meter {number}").create_counter(f"things_{number}")
        for number in range(2)
    ]
    for number in range(400):
        for counter in counters:
            counter.add(number, {"name": f"value {number}"})
    collector.behave = remember
    pipeline.close(20)
    assert len(sizes) > 2
    assert max(sizes) < 20_000
    for name in ("things_0", "things_1"):
        told = [values for seen, values in collector.all_values if seen == name]
        arrived = {labels: value for values in told for labels, value in values.items()}
        assert len(told) > 1
        assert sorted(arrived.values()) == list(range(400))


@pytest.mark.parametrize("mode", ["on-failure", "write-ahead"])
def test_what_a_slow_receiver_had_no_time_for_is_sent_at_the_end(
    collector, tmp_path, monkeypatch, mode
):
    def slowly(handler, path):
        time.sleep(0.02)
        return False

    collector.behave = slowly
    for name, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
        "MIDWATCH_BUFFER_SIZE": "30",
        "MIDWATCH_SPOOL_DIR": str(tmp_path / "spool"),
        "MIDWATCH_SPOOL_MODE": mode,
    }.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    under_test = build_pipeline(settings, exporters_from_environment(settings))
    tracer = under_test.tracer_provider.get_tracer("test")
    for number in range(120):
        tracer.start_span(f"span {number}").end()
        if number % 10 == 9:
            assert under_test.spans.flush(5)
    under_test.close(20)
    assert collector.spans == [f"span {number}" for number in range(120)]
    counts = under_test.account.counts()
    assert counts[("exported", "none")] + counts[("replayed", "none")] == 120


def test_a_second_close_does_nothing(pipeline, collector):
    record(pipeline, 1)
    pipeline.close(5)
    requests = collector.requests
    pipeline.close(5)
    assert collector.requests == requests


def test_the_last_metrics_tell_what_became_of_the_last_spans(pipeline, collector):
    record(pipeline, 1)
    pipeline.close(5)
    assert collector.last_values["midwatch.spans"][("exported", "none")] == 1


def test_without_a_receiver_of_spans_none_is_in_flight_for_ever():
    under_test = build_pipeline(load_settings({}), Exporters())
    under_test.tracer_provider.get_tracer("test").start_span("span").end()
    assert under_test.account.counts()[("sampled_out", "no_exporter")] == 1
    assert under_test.account.in_flight() == 0
    under_test.close(1)


def encoding_nothing(batch) -> Payload:
    return Payload("traces", "application/json", b"{}", 0)


@pytest.mark.parametrize(
    ("name", "result"),
    [("otlp", ("dropped", "not_encoded")), ("langfuse", ("sampled_out", "sampler"))],
)
def test_what_is_not_encoded_is_counted(collector, name, result):
    settings = load_settings({"MIDWATCH_SPOOL_MODE": "off"})
    found = destinations_from_environment(settings, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    spans = (replace(found.spans[0], name=name, encode=encoding_nothing),)
    under_test = build_pipeline(settings, Exporters(destinations=Destinations(spans=spans)))
    under_test.tracer_provider.get_tracer("test").start_span("span").end()
    under_test.close(5)
    assert under_test.account.counts()[result] == 1
    assert collector.requests == 0


def test_a_batch_that_cannot_be_encoded_is_dropped_and_the_next_is_sent(collector, monkeypatch):
    settings = load_settings({"MIDWATCH_SPOOL_MODE": "off", "MIDWATCH_FLUSH_INTERVAL": "100ms"})
    found = destinations_from_environment(settings, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    encode = found.spans[0].encode

    def broken_once(batch) -> Payload:
        if any(span.name == "bad" for span in batch):
            raise ValueError("a defect")
        return encode(batch)

    spans = (replace(found.spans[0], encode=broken_once),)
    under_test = build_pipeline(settings, Exporters(destinations=Destinations(spans=spans)))
    tracer = under_test.tracer_provider.get_tracer("test")
    tracer.start_span("bad").end()
    under_test.flush(10)
    tracer.start_span("good").end()
    under_test.close(5)
    assert collector.spans == ["good"]
    assert under_test.account.counts()[("dropped", "export_failed")] == 1


def test_metrics_that_cannot_be_encoded_harm_nothing(collector, caplog):
    settings = load_settings({"MIDWATCH_SPOOL_MODE": "off"})
    found = destinations_from_environment(settings, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})

    def broken(batch) -> Payload:
        raise ValueError("a defect")

    metrics = (replace(found.metrics[0], encode=broken),)
    under_test = build_pipeline(settings, Exporters(destinations=Destinations(metrics=metrics)))
    under_test.close(5)
    assert "export.metrics failed" in caplog.text


@pytest.mark.parametrize(
    ("preference", "of_counter"),
    [
        ("", AggregationTemporality.CUMULATIVE),
        ("delta", AggregationTemporality.DELTA),
        ("LOWMEMORY", AggregationTemporality.DELTA),
    ],
)
def test_temporality_and_histograms_are_as_opentelemetrys_variables_say(
    collector, monkeypatch, preference, of_counter
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference)
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "base2_exponential_bucket_histogram",
    )
    settings = load_settings({"MIDWATCH_SPOOL_MODE": "off"})
    found = destinations_from_environment(settings, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    under_test = build_pipeline(
        settings, Exporters(destinations=Destinations(metrics=found.metrics))
    )
    (exporter,) = under_test.routes.metrics
    temporality = exporter._preferred_temporality or {}
    assert temporality.get(Counter, AggregationTemporality.CUMULATIVE) is of_counter
    aggregation = exporter._preferred_aggregation or {}
    assert isinstance(aggregation[Histogram], ExponentialBucketHistogramAggregation)
    under_test.close(1)


def test_a_refused_request_is_not_taken_for_a_failing_receiver(pipeline, collector):
    collector.behave = lambda handler, path: path == "/v1/traces" and answer(handler, 400)
    record(pipeline, 1)
    assert pipeline.flush(10)
    assert pipeline.account.counts()[("dropped", "refused")] == 1
    assert collector.events == ["event 1"]


def test_work_aside_is_given_up_after_its_time():
    never = threading.Event()
    assert not shutdown.aside(lambda: never.wait(30), 0.05)
    assert shutdown.aside(lambda: None, 5)
    never.set()


def test_where_no_thread_can_begin_work_aside_is_done_at_once(monkeypatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[int] = []
    assert shutdown.aside(lambda: done.append(1), 5)
    assert done == [1]
