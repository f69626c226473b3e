"""The last gate: what of spans, events and metrics may leave, whoever wrote it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.content_gate import ContentGate, GatedMetricExporter
from midwatch.pipeline.failures import FAILURES
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, Status, StatusCode

MAIL = "alice@example.com"
HIDDEN = "[redacted:email]"


@pytest.fixture(params=["off", "redacted"])
def gate(request: pytest.FixtureRequest) -> ContentGate:
    return ContentGate(ContentPolicy(request.param))


def span(text: str) -> ReadableSpan:
    """A span that says the text wherever a span can."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    other = tracer.start_span("other").get_span_context()
    with tracer.start_as_current_span(f"mail {text}", links=[Link(other, {"to": text})]) as one:
        one.set_attribute("app.note", text)
        one.add_event(f"sent to {text}", {"to": text})
        one.set_status(Status(StatusCode.ERROR, f"ValueError: no {text}"))
    (found,) = exporter.get_finished_spans()
    return found


def log(**given: Any) -> Any:
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("test").emit(LogRecord(**given))
    (found,) = exporter.get_finished_logs()
    return found


def metrics(**labels: str) -> MetricsData:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("test").create_counter("things").add(1, labels)
    found = reader.get_metrics_data()
    assert found is not None
    return found


def test_no_part_of_a_span_keeps_personal_data(gate):
    given = span(MAIL)
    (clean,) = gate.spans([given])
    assert MAIL not in clean.to_json()
    assert clean.name == f"mail {HIDDEN}"
    assert clean.attributes["app.note"] == HIDDEN
    assert clean.events[0].name == f"sent to {HIDDEN}"
    assert clean.events[0].attributes == {"to": HIDDEN}
    assert clean.links[0].attributes == {"to": HIDDEN}
    assert clean.status.status_code is StatusCode.ERROR
    assert clean.context == given.context


def test_the_span_of_the_application_itself_is_not_changed(gate):
    given = span(MAIL)
    gate.spans([given])
    assert given.name == f"mail {MAIL}"
    assert (given.attributes or {})["app.note"] == MAIL


def test_a_span_that_may_leave_as_it_is_is_the_same_object():
    given = span("nobody")
    assert ContentGate(ContentPolicy("redacted")).spans([given])[0] is given


def test_no_part_of_a_log_record_keeps_personal_data(gate):
    given = log(body=f"by {MAIL}", attributes={"to": MAIL}, event_name=f"sent to {MAIL}")
    (clean,) = gate.logs([given])
    assert MAIL not in clean.to_json()
    assert clean.log_record.event_name == f"sent to {HIDDEN}"
    assert clean.log_record.attributes == {"to": HIDDEN}
    assert given.log_record.attributes == {"to": MAIL}


def test_labels_and_resources_keep_no_personal_data(gate):
    clean = gate.metrics(metrics(to=MAIL))
    assert MAIL not in clean.to_json()
    assert HIDDEN in clean.to_json()
    resource = gate.resource(Resource({"process.command_line": f"agent --mail {MAIL}"}))
    assert resource.attributes["process.command_line"] == f"agent --mail {HIDDEN}"
    plain = Resource({"service.name": "agent"})
    assert gate.resource(plain) is plain


def test_at_full_everything_is_the_same_object():
    gate = ContentGate(ContentPolicy("full"))
    spans, logs, values = [span(MAIL)], [log(body=MAIL)], metrics(to=MAIL)
    assert gate.spans(spans) is spans
    assert gate.span(spans[0]) is spans[0]
    assert gate.logs(logs) is logs
    assert gate.log(logs[0]) is logs[0]
    assert gate.metrics(values) is values


def test_of_what_cannot_be_looked_at_only_ids_and_times_leave_and_the_rest_goes_on(
    gate, monkeypatch
):
    def breaks(self, given):
        if "broken" in given:
            raise RuntimeError("a defect of the gate")
        return given

    monkeypatch.setattr(ContentPolicy, "attributes", breaks)
    failures = FAILURES.counts().get("content", 0)
    broken, sound = span(MAIL), span("nobody")
    broken._attributes = {"broken": MAIL}
    clean = gate.spans([broken, sound])
    record = log(body=MAIL, attributes={"broken": MAIL}, event_name=MAIL)
    (bare,) = gate.logs([record])
    assert FAILURES.counts()["content"] == failures + 2
    assert (clean[0].name, clean[0].context) == ("withheld", broken.context)
    assert clean[0].status.status_code is StatusCode.ERROR
    assert bare.log_record.timestamp == record.log_record.timestamp
    assert MAIL not in clean[0].to_json() + bare.to_json()
    assert clean[1].name == "mail nobody"


def test_another_exporter_of_metrics_gets_what_may_leave_and_is_shut_down(gate):
    calls: list[Any] = []

    class Exporter(MetricExporter):
        def export(self, metrics_data, timeout_millis=10_000, **kwargs):
            calls.append(metrics_data.to_json())
            return MetricExportResult.SUCCESS

        def force_flush(self, timeout_millis=10_000):
            calls.append(("flush", timeout_millis))
            return True

        def shutdown(self, timeout_millis=30_000, **kwargs):
            calls.append(("shutdown", timeout_millis))

    gated = GatedMetricExporter(Exporter(), gate)
    assert gated.export(metrics(to=MAIL)) is MetricExportResult.SUCCESS
    assert gated.force_flush(5)
    gated.shutdown(7)
    assert MAIL not in calls[0]
    assert HIDDEN in calls[0]
    assert calls[1:] == [("flush", 5), ("shutdown", 7)]


def test_an_event_that_obeyed_this_policy_already_is_not_looked_at_again(gate):
    policy = gate._policy
    record = SimpleNamespace(governed_by=policy, log_record=None)
    assert gate.logs([record])[0] is record
