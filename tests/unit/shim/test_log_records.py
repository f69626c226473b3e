"""The application's own log records carry the ids of the current trace and span."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import structlog
from midwatch.instrumentors.log_records import StructlogInstrumentation, add_ids_to_log_records
from opentelemetry.sdk.trace import TracerProvider


@pytest.fixture
def record_factory():
    before = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(before)


@pytest.fixture
def structlog_configuration():
    configure = structlog.configure
    structlog.reset_defaults()
    yield
    structlog.configure = configure
    structlog.reset_defaults()


@pytest.fixture
def span():
    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("test").start_as_current_span("work") as current:
        yield current.get_span_context()


def record() -> Any:
    return logging.getLogger("app").makeRecord("app", 20, "f.py", 1, "hi", (), None)


def test_a_log_record_has_the_ids_of_the_current_span(record_factory, span):
    add_ids_to_log_records()
    assert record().trace_id == f"{span.trace_id:032x}"
    assert record().span_id == f"{span.span_id:016x}"


def test_a_format_with_the_ids_works_outside_of_spans_too(record_factory):
    add_ids_to_log_records()
    assert logging.Formatter("[%(trace_id)s] %(message)s").format(record()) == "[] hi"


def test_the_applications_own_factory_is_kept(record_factory, span):
    class Own(logging.LogRecord):
        tenant = "blue"

    logging.setLogRecordFactory(Own)
    add_ids_to_log_records()
    add_ids_to_log_records()
    assert record().tenant == "blue"
    assert record().trace_id


def test_structlog_events_have_the_ids(structlog_configuration, span):
    StructlogInstrumentation().instrument()
    capture = structlog.testing.LogCapture()
    structlog.configure(processors=[capture])
    structlog.get_logger().info("hi")
    assert capture.entries[0]["trace_id"] == f"{span.trace_id:032x}"
    assert capture.entries[0]["span_id"] == f"{span.span_id:016x}"


def test_structlog_that_is_never_configured_has_the_ids_too(structlog_configuration, span, capsys):
    StructlogInstrumentation().instrument()
    structlog.get_logger().info("hi")
    assert f"{span.trace_id:032x}" in capsys.readouterr().out


def test_structlog_keeps_ids_that_the_event_has(structlog_configuration, span):
    StructlogInstrumentation().instrument()
    capture = structlog.testing.LogCapture()
    structlog.configure(processors=[capture])
    structlog.get_logger().info("hi", trace_id="mine")
    assert capture.entries[0]["trace_id"] == "mine"
