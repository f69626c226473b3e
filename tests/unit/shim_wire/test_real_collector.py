"""The real collector gets the same of each signal by each protocol."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from midwatch.config import load_settings
from midwatch.pipeline.destinations import destinations_from_environment
from midwatch.pipeline.payloads import Sent, Unavailable
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace.span import NonRecordingSpan
from toolchain import program_path

from tests.free_ports import free_port

PROTOCOLS = ("http/json", "http/protobuf", "grpc")
SIGNALS = ("traces", "logs", "metrics")

pytestmark = pytest.mark.programs

RESOURCE = Resource({"service.name": "night", "ratio": 0.5}, "https://schema/1")
SCOPE = InstrumentationScope("midwatch", "1", attributes={"kind": "test"})
CONTEXT = SpanContext(
    7 << 100, 9 << 40, False, TraceFlags(1), TraceState([("vendor", "1"), ("other", "2")])
)


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A collector that writes each signal to a file: its addresses by protocol, and its folder."""
    folder = tmp_path_factory.mktemp("collector")
    grpc, http = free_port(), free_port()
    protocols = {
        name: {"endpoint": f"127.0.0.1:{port}"} for name, port in (("grpc", grpc), ("http", http))
    }
    configuration = {
        "receivers": {"otlp": {"protocols": protocols}},
        "exporters": {
            f"file/{signal}": {"path": str(folder / f"{signal}.json"), "flush_interval": "50ms"}
            for signal in SIGNALS
        },
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                signal: {"receivers": ["otlp"], "exporters": [f"file/{signal}"]}
                for signal in SIGNALS
            },
        },
    }
    (folder / "collector.yaml").write_text(json.dumps(configuration))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program_path("otelcol"), f"--config={folder / 'collector.yaml'}"],
            stdout=log,
            stderr=log,
            env={**os.environ, "GOMAXPROCS": "1"},
        )
    try:
        wait_for_port(grpc, folder)
        wait_for_port(http, folder)
        yield {
            "grpc": f"http://127.0.0.1:{grpc}",
            "http/json": f"http://127.0.0.1:{http}",
            "http/protobuf": f"http://127.0.0.1:{http}",
            "folder": str(folder),
        }
    finally:
        process.terminate()
        process.wait(20)


def wait_for_port(port: int, folder: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError((folder / "log").read_text())


def a_span() -> ReadableSpan:
    return ReadableSpan(
        "invoke_agent m\u00fcller",
        CONTEXT,
        parent=SpanContext(7 << 100, 11, True),
        resource=RESOURCE,
        attributes={
            "text": "caf\u00e9 \u2028",
            "large": (1 << 62) + 1,
            "ratio": 0.1,
            "endless": float("inf"),
            "yes": True,
            "list": ("a", 1),
            "raw": b"\x00\xff",
        },
        events=[Event("exception", {"exception.type": "ValueError"}, 15)],
        links=[Link(SpanContext(8, 12, True), {"why": "resumed"})],
        status=Status(StatusCode.ERROR, "it failed"),
        start_time=10,
        end_time=20,
        instrumentation_scope=SCOPE,
    )


def a_log_record() -> ReadableLogRecord:
    record = LogRecord(
        timestamp=10,
        observed_timestamp=11,
        context=set_span_in_context(NonRecordingSpan(CONTEXT)),
        severity_text="INFO",
        body={"nested": ["text", 1, None]},
        attributes={"session.id": "s1"},
        event_name="turn.started",
    )
    return ReadableLogRecord(record, RESOURCE, SCOPE)


def all_instruments():
    """One collection of every kind of instrument, with exemplars."""
    reader = InMemoryMetricReader()
    exponential = View(
        instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation()
    )
    provider = MeterProvider([reader], RESOURCE, views=[exponential], shutdown_on_exit=False)
    meter = provider.get_meter("midwatch", "1")
    around = set_span_in_context(NonRecordingSpan(CONTEXT))
    meter.create_counter("counter", "1", "Counted.").add(3, {"agent": "a"}, around)
    meter.create_up_down_counter("updown").add(-2.5)
    meter.create_gauge("gauge").set(4)
    for name in ("histogram", "exponential"):
        histogram: Histogram = meter.create_histogram(name, "s")  # type: ignore[assignment]
        for value in (0.1, 3, 700):
            histogram.record(value, {"agent": "a"}, around)
    data = reader.get_metrics_data()
    provider.shutdown()
    return data


def arrived(collector, signal: str, number: int) -> list[dict]:
    """The requests in the collector's file, when there are that many."""
    file = Path(collector["folder"], f"{signal}.json")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        # What follows the last line's end is still being written.
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        if len(lines) >= number:
            return [json.loads(line) for line in lines]
        time.sleep(0.02)
    raise AssertionError(f"{len(lines)} of {number} requests of {signal} arrived")


def send_by_each_protocol(collector, batch_of_signal, attribute: str) -> None:
    for protocol in PROTOCOLS:
        environ = {
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector[protocol],
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        }
        found = destinations_from_environment(load_settings({}), environ)
        assert not found.problems
        (destination,) = getattr(found, attribute)
        payload = destination.encode([batch_of_signal])
        assert destination.transport.send(payload, 10.0) == Sent()
        destination.transport.close()


def test_spans_are_the_same_by_each_protocol(collector):
    send_by_each_protocol(collector, a_span(), "spans")
    first, *others = arrived(collector, "traces", 3)
    assert others == [first, first]
    (resource,) = first["resourceSpans"]
    (span,) = resource["scopeSpans"][0]["spans"]
    assert span["name"] == "invoke_agent m\u00fcller"
    assert span["traceId"] == f"{7 << 100:032x}"
    assert span["traceState"] == "vendor=1,other=2"
    assert span["status"] == {"message": "it failed", "code": 2}
    assert {"key": "large", "value": {"intValue": str((1 << 62) + 1)}} in span["attributes"]


def test_log_records_are_the_same_by_each_protocol(collector):
    send_by_each_protocol(collector, a_log_record(), "logs")
    first, *others = arrived(collector, "logs", 3)
    assert others == [first, first]
    (record,) = first["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert record["eventName"] == "turn.started"
    assert record["spanId"] == f"{9 << 40:016x}"


def test_metrics_of_every_instrument_are_the_same_by_each_protocol(collector):
    send_by_each_protocol(collector, all_instruments(), "metrics")
    first, *others = arrived(collector, "metrics", 3)
    assert others == [first, first]
    metrics = first["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    kinds = {metric["name"]: set(metric) - {"name", "unit", "description"} for metric in metrics}
    assert kinds == {
        "counter": {"sum"},
        "updown": {"sum"},
        "gauge": {"gauge"},
        "histogram": {"histogram"},
        "exponential": {"exponentialHistogram"},
    }
    (point,) = metrics[0]["sum"]["dataPoints"]
    assert point["exemplars"][0]["spanId"] == f"{9 << 40:016x}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_was_kept_as_json_can_be_sent_by_any_protocol(collector, protocol):
    """A spool may hold what a process with another setting encoded."""
    as_json = destinations_from_environment(
        load_settings({}), {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
    )
    payload = as_json.spans[0].encode([a_span()])
    other = destinations_from_environment(
        load_settings({}),
        {
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector[protocol],
        },
    )
    assert other.spans[0].transport.send(payload, 10.0) == Sent()
    other.spans[0].transport.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_collector_that_is_not_there_is_unavailable(protocol):
    port = free_port()
    found = destinations_from_environment(
        load_settings({}),
        {
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        },
    )
    payload = found.spans[0].encode([a_span()])
    assert isinstance(found.spans[0].transport.send(payload, 5.0), Unavailable)
