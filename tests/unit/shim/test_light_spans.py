"""Light spans beside those of the SDK: the same calls have the same results."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch.pipeline.light_tracer import LightTracer, light
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    ReadableSpan,
    SpanLimits,
    SpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracer,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

REMOTE = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))


class CountingIds(IdGenerator):
    """The same ids for both kinds of tracers."""

    def __init__(self) -> None:
        self.last = 0

    def generate_span_id(self) -> int:
        self.last += 1
        return self.last

    def generate_trace_id(self) -> int:
        return self.generate_span_id()


class Traced:
    """A tracer provider that keeps what ended."""

    def __init__(self, sampler: Sampler = ALWAYS_ON, limits: SpanLimits | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(
            sampler=sampler, span_limits=limits, id_generator=CountingIds(), shutdown_on_exit=False
        )
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        tracer = self.provider.get_tracer("test", "1")
        assert isinstance(tracer, SdkTracer)
        self.heavy, self.light = tracer, LightTracer(tracer)

    @property
    def ended(self) -> ReadableSpan:
        (span,) = self.exporter.get_finished_spans()
        return span


Steps = Callable[[Span], object]


def both(steps: Steps, limits: SpanLimits | None = None, **given: Any) -> Iterator[dict[str, Any]]:
    """The spans as JSON and as OTLP after the same steps, the SDK's first."""
    for is_light in (False, True):
        traced = Traced(limits=limits)
        tracer: Any = traced.light if is_light else traced.heavy
        span = tracer.start_span("chat", start_time=10, **given)
        steps(span)
        span.end(20)
        encoded = encode_spans([traced.ended]).resource_spans[0].scope_spans[0]
        yield {"json": json.loads(traced.ended.to_json()), "otlp": encoded}


def same(steps: Steps, **given: Any) -> None:
    heavy, light_one = both(steps, **given)
    assert light_one == heavy


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=8))
def test_attributes_of_any_kind_are_as_on_a_span_of_the_sdk(attributes):
    same(lambda span: span.set_attributes(attributes))


def test_a_name_that_is_no_text_is_left_out():
    traced = Traced()
    span: Any = traced.light.start_span("chat")
    span.set_attributes({1: "x", "n": 2})
    span.set_attribute("", "x")
    span.set_attributes({"list": ["a"], None: 3})
    span.end()
    assert dict(traced.ended.attributes or {}) == {"n": 2, "list": ("a",)}


def test_everything_a_span_can_have_is_as_on_a_span_of_the_sdk():
    def steps(span: Span) -> None:
        span.set_attribute("gen_ai.usage.input_tokens", 3)
        span.add_event("began", {"tries": [1, 2]}, timestamp=11)
        span.add_link(REMOTE, {"why": "resumed"})
        span.update_name("chat small")
        span.set_status(StatusCode.ERROR, "broken")

    same(
        steps,
        kind=SpanKind.CLIENT,
        context=set_span_in_context(NonRecordingSpan(REMOTE)),
        attributes={"gen_ai.operation.name": "chat", "list": ["a"]},
    )


def test_an_exception_in_a_with_block_is_recorded_as_on_a_span_of_the_sdk():
    found = []
    for is_light in (False, True):
        traced = Traced()
        tracer: Any = traced.light if is_light else traced.heavy
        with pytest.raises(ValueError, match="unwell"), tracer.start_span("work"):
            raise ValueError("unwell")
        (event,) = traced.ended.events
        attributes = {**(event.attributes or {})}
        attributes.pop("exception.stacktrace")
        found.append((event.name, attributes, traced.ended.status.description))
    assert found[0] == found[1]


def test_long_values_are_cut_where_the_limits_say_so():
    same(
        lambda span: span.set_attribute("text", "x" * 100),
        limits=SpanLimits(max_span_attribute_length=10),
    )


def test_a_span_has_no_more_events_and_links_than_the_limits_say():
    traced = Traced(limits=SpanLimits(max_events=2, max_links=2))
    span = traced.light.start_span("chat")
    for number in range(5):
        span.add_event(f"event {number}")
        span.add_link(REMOTE)
    span.end()
    assert [event.name for event in traced.ended.events] == ["event 3", "event 4"]
    assert (traced.ended.dropped_events, traced.ended.dropped_links) == (3, 3)
    assert len(traced.ended.links) == 2


def test_a_full_span_keeps_our_attributes_and_counts_what_had_no_room():
    traced = Traced(limits=SpanLimits(max_span_attributes=3))
    span = traced.light.start_span("chat", attributes={"gen_ai.request.model": "small"})
    for number in range(10):
        span.set_attribute(f"app.{number}", number)
    span.set_attributes({"gen_ai.usage.input_tokens": 3, "midwatch.llm.cost_usd": 0.1})
    span.set_attribute("gen_ai.usage.input_tokens", 4)
    span.end()
    assert dict(traced.ended.attributes or {}) == {
        "gen_ai.request.model": "small",
        "gen_ai.usage.input_tokens": 4,
        "midwatch.llm.cost_usd": 0.1,
    }
    assert traced.ended.dropped_attributes == 10


def test_an_ended_span_takes_no_changes(caplog):
    traced = Traced()
    span = traced.light.start_span("chat")
    span.end(20)
    with caplog.at_level(logging.WARNING):
        span.set_attribute("late", 1)
        span.add_event("late")
        span.add_link(REMOTE)
        span.update_name("late")
        span.set_status(StatusCode.ERROR)
        span.end(30)
    ended = traced.ended
    assert (ended.name, ended.end_time, dict(ended.attributes or {})) == ("chat", 20, {})
    assert (ended.events, ended.links, ended.status.status_code) == ((), (), StatusCode.UNSET)
    assert not span.is_recording()
    assert len(caplog.records) >= 4


def test_a_span_that_the_sampler_leaves_out_is_made_of_its_ids_only():
    traced = Traced(sampler=ALWAYS_OFF)
    span = traced.light.start_span("chat")
    assert not span.is_recording()
    assert span.get_span_context().is_valid
    assert not span.get_span_context().trace_flags.sampled


def test_processors_see_a_span_begin_and_end_and_may_write_on_it():
    class Stamp(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            span.set_attribute("stamp", span.name)

    traced = Traced()
    traced.provider.add_span_processor(Stamp())
    traced.light.start_span("chat").end()
    assert dict(traced.ended.attributes or {}) == {"stamp": "chat"}


def test_a_processor_that_is_added_later_sees_what_begins_and_ends_from_then_on():
    class Notes(SpanProcessor):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            self.seen.append(f"starts {span.name}")

        def _on_ending(self, span: Any) -> None:
            self.seen.append(f"is ending {span.name}")

        def on_end(self, span: Any) -> None:
            self.seen.append(f"ended {span.name}")

    traced, notes = Traced(), Notes()
    first = traced.light.start_span("first")
    traced.provider.add_span_processor(notes)
    traced.light.start_span("second").end()
    first.end()
    assert notes.seen == [
        "starts second",
        "is ending second",
        "ended second",
        "is ending first",
        "ended first",
    ]


def test_processors_that_work_in_threads_see_spans_too():
    several = ConcurrentMultiSpanProcessor(num_threads=1)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(active_span_processor=several, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    light(provider.get_tracer("test")).start_span("chat").end()
    several.shutdown()
    assert [span.name for span in exporter.get_finished_spans()] == ["chat"]


def test_spans_of_both_kinds_are_parents_of_each_other():
    traced = Traced()
    outer = traced.heavy.start_span("outer")
    middle = traced.light.start_span("middle", set_span_in_context(outer))
    inner = traced.heavy.start_span("inner", set_span_in_context(middle))
    assert isinstance(middle, ReadableSpan)
    assert isinstance(inner, ReadableSpan)
    assert middle.parent == outer.get_span_context()
    assert inner.parent == middle.get_span_context()


def test_a_tracer_that_is_not_of_the_sdk_is_used_as_it_is():
    tracer = NoOpTracer()
    assert light(tracer) is tracer


@pytest.mark.parametrize("kept", [True, False])
def test_a_span_is_the_current_one_in_its_block(kept):
    found = []
    for is_light in (False, True):
        traced = Traced()
        tracer: Any = traced.light if is_light else traced.heavy

        @tracer.start_as_current_span(
            "work", kind=SpanKind.CLIENT, record_exception=kept, set_status_on_exception=kept
        )
        def fail(current: list[Span]) -> None:
            current.append(get_current_span())
            raise ValueError("unwell")

        inside: list[Span] = []
        with pytest.raises(ValueError, match="unwell"):
            fail(inside)
        ended = traced.ended
        assert inside[0].get_span_context() == ended.get_span_context()
        assert get_current_span() is not inside[0]
        found.append((ended.kind, len(ended.events), ended.status.description))
    assert found[0] == found[1]
