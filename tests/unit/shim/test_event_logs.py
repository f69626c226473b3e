"""Events as log records: made when they are exported, the same as if made at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from midwatch.instruments.recorder import ModelCall, Recorder
from midwatch.pipeline.batching import BatchQueue
from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.content_gate import ContentGate
from midwatch.pipeline.event_logs import LogRecordSink, QueuedEvent
from midwatch.pipeline.events import EventRecord
from midwatch.pipeline.logs import QueueingLogProcessor
from midwatch.pipeline.rendering import RenderReader, local_meter_provider
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider


class Written:
    """A recorder whose events go through a queue into a list, and into another processor."""

    def __init__(self, *others: LogRecordProcessor) -> None:
        self.exported: list[ReadableLogRecord] = []
        self.queue: BatchQueue[ReadableLogRecord] = BatchQueue(
            "events",
            self._export,
            lambda result, reason, count: None,
            capacity=100,
            batch_size=100,
            interval_seconds=60,
        )
        self.provider = LoggerProvider(shutdown_on_exit=False)
        for other in (*others, QueueingLogProcessor(self.queue)):
            self.provider.add_log_record_processor(other)
        self.reader = RenderReader()
        self.recorder = Recorder(
            local_meter_provider(self.reader),
            [LogRecordSink(self.provider.get_logger("midwatch"))],
            service="tested",
            reader=self.reader,
        )

    def _export(self, batch: Sequence[ReadableLogRecord]) -> bool:
        self.exported.extend(batch)
        return True

    def records(self) -> list[ReadableLogRecord]:
        assert self.queue.flush(5)
        return self.exported


@pytest.fixture
def written():
    made: list[Written] = []

    def make(*others: LogRecordProcessor) -> Written:
        made.append(Written(*others))
        return made[-1]

    yield make
    for one in made:
        one.queue.close(1)


def test_an_event_is_a_log_record_with_its_span_and_its_values(written):
    found = written()
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("server") as span:
        found.recorder.event("order", {"n": 1, "list": (1, 2)}, session_id="s1", turn_id="t1")
    (record,) = found.records()
    written_record = record.log_record
    assert (written_record.event_name, written_record.body) == ("order", "order")
    assert written_record.trace_id == span.get_span_context().trace_id
    assert written_record.span_id == span.get_span_context().span_id
    assert written_record.trace_flags == span.get_span_context().trace_flags
    assert dict(written_record.attributes or {}) == {
        "n": 1,
        "list": (1, 2),
        "session.id": "s1",
        "midwatch.turn.id": "t1",
    }
    assert json.loads(record.to_json())["event_name"] == "order"
    assert record.instrumentation_scope is not None
    assert record.instrumentation_scope.name == "midwatch"
    assert record.resource is found.provider.resource


def test_times_and_costs_are_texts_as_json_lines_have_them(written):
    found = written()
    found.recorder.model_call(
        ModelCall(agent="a", provider="p", model="m", seconds=1.5, cost_usd=Decimal("0.5"))
    )
    (record,) = found.records()
    attributes = record.log_record.attributes or {}
    assert attributes["cost"] == "0.5"
    assert str(attributes["timestamp_prompt"]).endswith("Z")


def test_what_the_application_changes_afterwards_is_not_in_the_event(written):
    found, values = written(), {"steps": [1]}
    found.recorder.event("order", values)
    values["steps"].append(2)
    (record,) = found.records()
    assert (record.log_record.attributes or {})["steps"] == (1,)


def test_an_event_obeys_the_content_policy_of_the_moment_it_is_of(written):
    found = written()
    found.recorder.content = ContentPolicy("redacted")
    found.recorder.event("note", {"to": "jane.doe@example.com"}, session_id="jane.doe@example.com")
    (record,) = found.records()
    assert "jane.doe" not in record.to_json()


def test_the_gate_looks_through_an_event_that_obeyed_another_policy(written):
    found = written()
    found.recorder.content = ContentPolicy("full")
    found.recorder.event("note", {"to": "jane.doe@example.com"})
    found.recorder.content = policy = ContentPolicy("redacted")
    found.recorder.event("note", {"to": "john.roe@example.com"})
    gated = ContentGate(policy).logs(found.records())
    assert "jane.doe" not in gated[0].to_json()
    assert gated[1] is found.exported[1]


def test_another_processor_sees_an_event_as_any_log_record(written):
    exporter = InMemoryLogRecordExporter()
    found = written(SimpleLogRecordProcessor(exporter))
    found.recorder.event("order", {"n": 1})
    (record,) = exporter.get_finished_logs()
    assert record.log_record.event_name == "order"
    assert record.resource is found.provider.resource


def test_what_another_processor_writes_on_an_event_is_exported(written):
    class Stamp(LogRecordProcessor):
        def on_emit(self, log_record: Any) -> None:
            log_record.log_record.attributes["stamp"] = "x"

        def shutdown(self) -> None:
            """Nothing is held."""

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return True

    found = written(Stamp())
    found.recorder.event("order", {"n": 1})
    (record,) = found.records()
    assert dict(record.log_record.attributes or {}) == {"n": 1, "stamp": "x"}
    assert not isinstance(record, QueuedEvent)


def test_an_event_made_at_once_is_emitted_too(written):
    found = written()
    LogRecordSink(found.provider.get_logger("test")).write(EventRecord("order", metadata={"n": 1}))
    (record,) = found.records()
    assert record.log_record.event_name == "order"


def test_the_beginning_of_a_turn_has_the_time_at_which_it_began(written):
    from midwatch.instruments.turns import turn

    found = written()
    with turn(session_id="s1", recorder=found.recorder) as begun:
        pass
    started = found.records()[0].log_record
    assert started.event_name == "turn.started"
    assert started.timestamp == begun.began_ns
