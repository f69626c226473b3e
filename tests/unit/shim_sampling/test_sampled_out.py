"""What is sampled out is told to the ledger: whoever decided, whenever, and within the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from midwatch.config import Settings
from midwatch.pipeline.setup import Exporters, Pipeline, build_pipeline
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "monitor"}
EMAIL = "grace.hopper@example.org"


class Service:
    """A pipeline into memory."""

    def __init__(self, **given: Any) -> None:
        self.logs, self.spans = InMemoryLogRecordExporter(), InMemorySpanExporter()
        exporters = Exporters(spans=(self.spans,), logs=(self.logs,))
        self.pipeline: Pipeline = build_pipeline(Settings(**given), exporters)
        self.tracer = self.pipeline.tracer_provider.get_tracer("test")

    def start(self, name: str, parent: Any = None, **attributes: Any) -> Any:
        context = None if parent is None else set_span_in_context(parent)
        return self.tracer.start_span(name, context, attributes=attributes or None)

    def told(self) -> dict[str, dict[str, Any]]:
        """The attributes of what was told, by the name of the span."""
        self.pipeline.flush(5)
        records = [one.log_record for one in self.logs.get_finished_logs()]
        assert {record.event_name for record in records} <= {"span.sampled_out"}
        found = [dict(record.attributes or {}) for record in records]
        return {str(one["midwatch.span.name"]): one for one in found}

    def exported(self) -> list[str]:
        self.pipeline.flush(5)
        return [span.name for span in self.spans.get_finished_spans()]


@pytest.fixture
def make_service():
    made: list[Service] = []

    def make(**given: Any) -> Service:
        made.append(Service(**given))
        return made[-1]

    yield make
    for service in made:
        service.pipeline.close(2)


Make = Callable[..., Service]


def remote(*, sampled: bool) -> NonRecordingSpan:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else 0)
    return NonRecordingSpan(SpanContext(5, 7, is_remote=True, trace_flags=flags))


def identifier(span: Any) -> str:
    return f"{span.get_span_context().span_id:016x}"


def test_agents_work_is_told_below_the_nearest_that_is_told(make_service: Make):
    service = make_service(sample_ratio=0.0)
    root = service.start("job")
    outer = service.start("outer", root, **AGENT)
    plumbing = service.start("HTTP", outer)
    inner = service.start("inner", plumbing, **AGENT)
    for span in (inner, plumbing, outer, root):
        span.end()
    told = service.told()
    assert set(told) == {"job", "outer", "inner"}
    assert "midwatch.span.parent_id" not in told["job"]
    assert told["inner"]["midwatch.span.parent_id"] == identifier(outer)
    assert told["outer"]["midwatch.span.parent_id"] == identifier(root)
    assert told["outer"]["gen_ai.agent.name"] == "monitor"


def test_a_trace_without_agents_is_not_told(make_service: Make):
    service = make_service(sample_ratio=0.0)
    root = service.start("GET /static")
    service.start("SELECT", root).end()
    root.end()
    assert service.told() == {}


def test_what_is_exported_is_not_told_besides(make_service: Make):
    service = make_service(sample_ratio=0.0)
    root = service.start("root", **AGENT)
    failing = service.start("failing", root, **AGENT)
    failing.set_status(Status(StatusCode.ERROR))
    failing.end()
    root.end()
    sampled = make_service(sample_ratio=1.0)
    sampled.start("sampled", **AGENT).end()
    assert service.exported() == ["failing", "root"]
    assert sampled.exported() == ["sampled"]
    assert service.told() == sampled.told() == {}


@pytest.mark.parametrize("at_once", [False, True], ids=["after another", "while another runs"])
def test_where_another_service_has_left_a_trace_out_each_of_its_calls_is_told(
    make_service: Make, at_once: bool
):
    service = make_service(sample_ratio=1.0)
    first = service.start("first", remote(sampled=False), **AGENT)
    if not at_once:
        first.end()
    second = service.start("second", remote(sampled=False), **AGENT)
    within = service.start("within", second, **AGENT)
    if at_once:
        first.end()
    within.set_status(Status(StatusCode.ERROR, "TimeoutError"))
    within.end()
    second.end()
    told = service.told()
    assert set(told) == {"first", "second", "within"}
    assert told["second"]["midwatch.span.parent_id"] == "0000000000000007"
    assert told["within"]["midwatch.span.status"] == "error"
    assert service.exported() == []


def test_an_own_trace_that_comes_back_over_the_wire_can_still_be_kept(make_service: Make):
    service = make_service(sample_ratio=0.0)
    root = service.start("root", **AGENT)
    context = root.get_span_context()
    back = SpanContext(context.trace_id, context.span_id, True, context.trace_flags)
    service.start("served", NonRecordingSpan(back), **AGENT).end()
    root.set_status(Status(StatusCode.ERROR))
    root.end()
    assert service.exported() == ["served", "root"]
    assert service.told() == {}


@pytest.mark.parametrize("sampler", ["traceidratio", "parentbased_traceidratio"])
def test_a_sampler_of_the_applications_choice_decides_and_what_it_leaves_out_is_told(
    make_service: Make, monkeypatch: pytest.MonkeyPatch, sampler: str
):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    service = make_service()
    root = service.start("root", **AGENT)
    within = service.start("within", root, **AGENT)
    within.set_status(Status(StatusCode.ERROR))
    within.end()
    root.end()
    assert service.exported() == []
    assert set(service.told()) == {"root", "within"}
    assert service.pipeline.account.in_flight() == 0
    assert "TraceIdRatio" in service.pipeline.tracer_provider.sampler.get_description()


@pytest.mark.parametrize("sampler", ["always_off", "parentbased_always_off"])
def test_who_turns_tracing_off_is_told_nothing(
    make_service: Make, monkeypatch: pytest.MonkeyPatch, sampler: str
):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    service = make_service()
    service.start("root", **AGENT).end()
    assert service.told() == {}


def test_what_had_no_room_is_told_and_so_is_what_was_held_at_the_end(make_service: Make):
    service = make_service(sample_ratio=0.0)
    root = service.start("root", **AGENT)
    for number in range(1001):
        service.start(f"work {number}", root, **AGENT).end()
    service.pipeline.flush(5)
    service.pipeline.close(5)
    assert set(service.told()) == {f"work {number}" for number in range(1001)}


@pytest.mark.parametrize(("content", "leaves"), [("off", None), ("redacted", "[redacted:email]")])
def test_what_is_told_obeys_the_content_policy(
    make_service: Make, content: str, leaves: str | None
):
    service = make_service(sample_ratio=0.0, content=content)
    attributes = {
        **AGENT,
        "gen_ai.input.messages": f'[{{"role": "user", "content": "{EMAIL}"}}]',
        "note": EMAIL,
    }
    span = service.start(f"invoke_agent {EMAIL}", **attributes)
    span.end()
    ((name, told),) = service.told().items()
    assert EMAIL not in repr(told)
    assert name == "invoke_agent [redacted:email]"
    assert ("gen_ai.input.messages" in told) is (leaves is not None)
    assert leaves is None or leaves in told["gen_ai.input.messages"]


def test_a_failure_to_tell_costs_neither_the_work_nor_the_account(
    make_service: Make, monkeypatch: pytest.MonkeyPatch
):
    service = make_service(sample_ratio=0.0)
    held = service.pipeline.sampling.held
    assert held is not None
    told: Any = held._tell
    monkeypatch.setattr(told, "_write", lambda *_: 1 / 0)
    service.start("root", **AGENT).end()
    assert service.told() == {}
    assert service.pipeline.account.in_flight() == 0
