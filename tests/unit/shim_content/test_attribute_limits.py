"""However many attributes an application sets, those that tell cost, agent and turn stay."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from midwatch.config import Settings
from midwatch.pipeline.kept_attributes import OWN_ATTRIBUTES, KeepOwnAttributes, KeptAttributes
from midwatch.pipeline.light_tracer import light
from midwatch.pipeline.setup import Exporters, build_pipeline
from midwatch.registry.attributes import COST_USD, SPAN_AGENT, TURN_ID
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

OURS: dict[str, Any] = {
    SPAN_AGENT.name: "writer",
    TURN_ID.name: "t1",
    COST_USD.name: 0.25,
    "gen_ai.usage.input_tokens": 500,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.request.model": "gpt-4o-mini",
}


@pytest.fixture
def pipeline():
    exporter = InMemorySpanExporter()
    made = build_pipeline(Settings(), Exporters(spans=(exporter,)))
    yield made, exporter
    made.close(2)


@pytest.mark.parametrize("kind", ["the SDK's span", "the shim's span"])
@pytest.mark.parametrize("first", [True, False], ids=["ours first", "ours last"])
def test_a_span_with_10000_attributes_of_the_application_has_all_of_ours(pipeline, first, kind):
    made, exporter = pipeline
    tracer = made.tracer_provider.get_tracer("test")
    span = (light(tracer) if kind == "the shim's span" else tracer).start_span("work")
    if first:
        span.set_attributes(OURS)
    for number in range(10_000):
        span.set_attribute(f"app.{number}", number)
    if not first:
        span.set_attributes(OURS)
    span.end()
    made.flush(5)
    (ended,) = exporter.get_finished_spans()
    assert OURS.items() <= dict(ended.attributes).items()
    assert len(ended.attributes) == 128
    assert ended.dropped_attributes == 10_000 + len(OURS) - 128


def test_our_own_fit_below_the_usual_limit():
    assert len(OWN_ATTRIBUTES) < 100


@given(
    names=st.lists(
        st.one_of(st.sampled_from(sorted(OWN_ATTRIBUTES)[:20]), st.text(min_size=1, max_size=3)),
        max_size=80,
    )
)
def test_for_any_order_of_attributes_ours_stay_and_the_limit_holds(names):
    attributes = KeptAttributes(maxlen=30, immutable=False)
    for name in names:
        attributes[name] = "x"
    assert {name for name in names if name in OWN_ATTRIBUTES} <= set(attributes)
    assert len(attributes) <= 30


def test_even_a_limit_of_one_does_not_evict_ours():
    provider = TracerProvider(span_limits=SpanLimits(max_span_attributes=1), shutdown_on_exit=False)
    provider.add_span_processor(KeepOwnAttributes())
    span: Any = provider.get_tracer("test").start_span("work")
    span.set_attributes({"app.one": 1, **OURS, "app.two": 2})
    assert dict(span.attributes) == OURS
