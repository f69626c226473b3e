"""What is sent says the same as OpenTelemetry's own encoder, by either of our encodings."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from midwatch.pipeline import otlp_encoders, otlp_json, otlp_json_metrics, otlp_protobuf
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.otlp_encoders import span_encoder
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import (
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, TraceFlags, TraceState

ROOT = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))
MANY = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def same(payload, official) -> bool:
    """Whether a payload holds what the official message holds (NaN equals itself here)."""
    if payload.content_type == "application/json":
        payload = otlp_protobuf.from_json(payload)
    ours = type(official).FromString(payload.body)
    return ours.SerializeToString(deterministic=True) == official.SerializeToString(
        deterministic=True
    )


@MANY
@given(drawn=st.data())
def test_spans_say_the_same_in_json_and_protobuf_as_the_official_encoder_says(arbitrary, drawn):
    batch = drawn.draw(arbitrary.spans)
    official = encode_spans(batch)
    for encode in (otlp_json.encode_spans, otlp_protobuf.encode_spans):
        payload = encode(batch)
        assert same(payload, official)
        assert (payload.signal, payload.count) == ("traces", len(batch))


@MANY
@given(drawn=st.data())
def test_log_records_say_the_same_in_json_and_protobuf_as_the_official_encoder_says(
    arbitrary, drawn
):
    batch = drawn.draw(arbitrary.logs)
    official = encode_logs(batch)
    for encode in (otlp_json.encode_logs, otlp_protobuf.encode_logs):
        payload = encode(batch)
        assert same(payload, official)
        assert (payload.signal, payload.count) == ("logs", len(batch))


@MANY
@given(drawn=st.data())
def test_metrics_of_all_kinds_say_the_same_as_the_official_encoder_says(arbitrary, drawn):
    data = drawn.draw(arbitrary.metrics)
    official = encode_metrics(data)
    points = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]
    for encode in (otlp_json_metrics.encode_metrics, otlp_protobuf.encode_metrics):
        payload = encode([data])
        assert same(payload, official)
        assert (payload.signal, payload.count) == ("metrics", len(points))


@settings(max_examples=10, deadline=None)
@given(drawn=st.data())
def test_several_collections_of_metrics_go_in_one_payload(arbitrary, drawn):
    first, second = drawn.draw(arbitrary.metrics), drawn.draw(arbitrary.metrics)
    both = encode_metrics(first)
    both.MergeFrom(encode_metrics(second))
    assert same(otlp_json_metrics.encode_metrics([first, second]), both)
    assert same(otlp_protobuf.encode_metrics([first, second]), both)


def span(**given) -> ReadableSpan:
    return ReadableSpan(**{"name": "work", "context": ROOT, "resource": Resource({}), **given})


def in_json(batch) -> dict:
    (resource,) = json.loads(otlp_json.encode_spans(batch).body)["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    return scope["spans"]


def test_json_is_that_of_otlp_and_not_that_of_protobuf():
    (written,) = in_json(
        [
            span(
                parent=SpanContext(1, 3, is_remote=True),
                start_time=10,
                end_time=20,
                attributes={"n": 7, "raw": b"\x00\xff", "worst": math.inf},
            )
        ]
    )
    assert written["traceId"] == "00000000000000000000000000000001"
    assert written["spanId"] == "0000000000000002"
    assert written["parentSpanId"] == "0000000000000003"
    assert written["kind"] == 1
    assert written["startTimeUnixNano"] == "10"
    assert written["attributes"] == [
        {"key": "n", "value": {"intValue": "7"}},
        {"key": "raw", "value": {"bytesValue": "AP8="}},
        {"key": "worst", "value": {"doubleValue": "Infinity"}},
    ]


def test_a_link_keeps_the_trace_state_that_the_official_encoder_leaves_out():
    state = TraceState([("vendor", "1")])
    linked = SpanContext(5, 6, is_remote=True, trace_state=state)
    (written,) = in_json([span(links=[Link(linked)])])
    assert written["links"][0]["traceState"] == "vendor=1"


def test_what_the_sdk_dropped_is_told():
    provider = TracerProvider(
        span_limits=SpanLimits(max_span_attributes=1, max_events=1, max_links=1),
        shutdown_on_exit=False,
    )
    links = [Link(ROOT), Link(ROOT)]
    made = provider.get_tracer("t").start_span("s", attributes={"a": 1, "b": 2}, links=links)
    for name in ("first", "second"):
        made.add_event(name)
    made.end()
    assert isinstance(made, ReadableSpan)
    assert same(otlp_json.encode_spans([made]), encode_spans([made]))
    (written,) = in_json([made])
    assert written["droppedAttributesCount"] == 1
    assert written["droppedEventsCount"] == 1
    assert written["droppedLinksCount"] == 1


class Unknown:
    """Nothing that OTLP has a value for."""


def in_itself() -> list[object]:
    endless: list[object] = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize("encoding", [otlp_json, otlp_protobuf])
@pytest.mark.parametrize(
    "bad",
    [Unknown(), {1, 2}, Decimal(1), in_itself()],
    ids=["unknown", "set", "decimal", "in itself"],
)
def test_an_attribute_that_otlp_cannot_carry_is_left_out_and_counted(encoding, bad):
    before = FAILURES.counts().get("encode.attribute", 0)
    payload = encoding.encode_spans([span(attributes={"bad": bad, "good": 1})])
    assert b"good" in payload.body
    assert b"bad" not in payload.body
    assert payload.count == 1
    assert FAILURES.counts()["encode.attribute"] == before + 1


@pytest.mark.parametrize("encoding", [otlp_json, otlp_protobuf])
def test_one_span_that_cannot_be_encoded_does_not_take_the_batch_with_it(encoding):
    before = FAILURES.counts().get("encode.span", 0)
    batch = [span(name="first"), span(name="lost", context=None), span(name="last")]
    payload = encoding.encode_spans(batch)
    assert payload.count == 2
    assert b"first" in payload.body
    assert b"last" in payload.body
    assert b"lost" not in payload.body
    assert FAILURES.counts()["encode.span"] == before + 1


@pytest.mark.parametrize("encoding", [otlp_json, otlp_protobuf])
def test_a_batch_of_nothing_but_bad_spans_is_empty(encoding):
    assert encoding.encode_spans([span(context=None)]).count == 0


def test_half_a_surrogate_pair_costs_one_character_and_not_the_text():
    (written,) = in_json([span(name="caf\u00e9 \ud800!")])
    assert written["name"] == "caf\u00e9 ?!"


def test_an_integer_beyond_64_bits_arrives_as_text():
    (written,) = in_json([span(attributes={"large": 1 << 64})])
    assert written["attributes"][0]["value"] == {"stringValue": str(1 << 64)}


def test_a_body_that_otlp_cannot_carry_arrives_as_text():
    body: Any = Decimal("1.5")
    record = ReadableLogRecord(LogRecord(timestamp=1, body=body), Resource({}))
    assert b"Decimal('1.5')" in otlp_json.encode_logs([record]).body


def test_sending_json_imports_neither_protobuf_nor_grpc():
    """In a process of its own, since this one has imported both."""
    code = """
import sys
from midwatch.config import load_settings
from midwatch.pipeline.destinations import destinations_from_environment
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry._logs import LogRecord
from opentelemetry.trace import SpanContext
environ = {
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
}
found = destinations_from_environment(load_settings({}), environ)
reader = InMemoryMetricReader()
meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("m")
meter.create_counter("c").add(1)
batches = [
    (found.spans, [ReadableSpan("s", SpanContext(1, 2, False))]),
    (found.logs, [ReadableLogRecord(LogRecord(body="x"), Resource({}))]),
    (found.metrics, [reader.get_metrics_data()]),
]
for (destination,), batch in batches:
    payload = destination.encode(batch)
    assert payload.count == 1, payload
    destination.transport.send(payload, 2.0)
print([name for name in ("google.protobuf", "grpc", "requests", "urllib3") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("missing", ["absent", "pure python"])
def test_without_a_fast_protobuf_the_same_is_sent_as_json_and_said_once(missing, tmp_path):
    if missing == "absent":
        (tmp_path / "google").mkdir()
        (tmp_path / "google" / "__init__.py").write_text("raise ImportError('no protobuf here')\n")
    code = """
import logging, sys
logging.basicConfig(format="%(message)s")
from midwatch.pipeline.otlp_encoders import log_encoder, span_encoder
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext
for _ in range(2):
    print(span_encoder("http/protobuf")([ReadableSpan("s", SpanContext(1, 2, False))]).content_type)
print(log_encoder("http/protobuf")([]).content_type)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "PYTHONPATH": str(tmp_path),
            "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python" if missing != "absent" else "",
        },
    )
    assert done.stdout.split() == ["application/json"] * 3, done.stderr
    assert done.stderr.count("OTLP is sent as JSON instead") == 1


def test_protobuf_is_used_where_it_is_fast():
    assert span_encoder("http/protobuf")([span()]).content_type == "application/x-protobuf"
    assert span_encoder("grpc")([span()]).content_type == "application/x-protobuf"


@pytest.fixture
def chosen_anew():
    """The choice of an encoding is made once in a process; here it is made in this test."""
    otlp_encoders._as_json.cache_clear()
    yield
    otlp_encoders._as_json.cache_clear()


@pytest.mark.usefixtures("chosen_anew")
@pytest.mark.parametrize(
    ("installed", "slow", "protocol", "encoding", "told"),
    [
        (True, False, "http/protobuf", "x-protobuf", 0),
        (True, True, "http/protobuf", "json", 1),
        (False, False, "http/protobuf", "json", 1),
        (True, True, "grpc", "x-protobuf", 0),
        (False, False, "grpc", "json", 0),
    ],
)
def test_an_encoding_is_chosen_by_what_there_is(
    monkeypatch, caplog, installed, slow, protocol, encoding, told
):
    monkeypatch.setattr(otlp_protobuf, "can_be_imported", lambda: installed)
    monkeypatch.setattr(otlp_protobuf, "is_slow", lambda: slow)
    for _ in range(2):
        assert span_encoder(protocol)([span()]).content_type == f"application/{encoding}"
    assert caplog.text.count("OTLP is sent as JSON instead") == told


def test_a_metric_that_cannot_be_encoded_does_not_take_the_others_with_it():
    def metric(name: str, data: Any) -> Metric:
        return Metric(name, None, "1", data)

    good = metric("good", Gauge([NumberDataPoint({}, 0, 1, 2)]))
    scope = ScopeMetrics(InstrumentationScope("s"), [metric("bad", object()), good], "")
    data = MetricsData([ResourceMetrics(Resource({}), [scope], "")])
    payload = otlp_json_metrics.encode_metrics([data])
    assert payload.count == 1
    assert b"good" in payload.body
    assert b"bad" not in payload.body
