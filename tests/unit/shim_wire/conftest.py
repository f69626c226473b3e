"""Fixtures of the wire's tests: arbitrary telemetry, made of the SDK's own classes."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace.span import NonRecordingSpan

# There are many NaNs, and JSON has a word for one.
floats = st.one_of(st.floats(allow_nan=False), st.just(math.nan))
int64 = st.integers(-(1 << 63), (1 << 63) - 1)
counts = st.integers(0, (1 << 63) - 1)
nanos = st.integers(1, (1 << 63) - 1)
scalars = st.one_of(st.text(), st.booleans(), int64, floats, st.binary())
values = st.recursive(
    st.one_of(scalars, st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(min_size=1), inner, max_size=4),
    ),
    max_leaves=8,
)
attributes = st.dictionaries(st.text(min_size=1), values, max_size=6)
resources = st.builds(Resource, attributes, st.sampled_from(["", "https://schema/1"]))
scopes = st.builds(
    InstrumentationScope,
    st.text(),
    st.one_of(st.none(), st.text()),
    st.one_of(st.none(), st.just("https://schema/2")),
    st.dictionaries(st.text(min_size=1), scalars, max_size=2),
)
trace_ids = st.integers(1, (1 << 128) - 1)
span_ids = st.integers(1, (1 << 64) - 1)
trace_states = st.sampled_from([TraceState(), TraceState([("vendor", "1"), ("other", "2")])])
contexts = st.builds(SpanContext, trace_ids, span_ids, st.booleans(), st.just(TraceFlags(1)))
links = st.builds(Link, contexts, attributes)
events = st.builds(Event, st.text(), attributes, nanos)


@st.composite
def spans(draw) -> list[ReadableSpan]:
    """A batch in which resources and scopes are shared, as they are in real ones."""
    places = draw(st.lists(resources, min_size=1, max_size=2, unique_by=hash))
    makers = draw(st.lists(st.one_of(st.none(), scopes), min_size=1, max_size=2))
    context = st.builds(
        SpanContext, trace_ids, span_ids, st.booleans(), st.just(TraceFlags(1)), trace_states
    )
    batch = []
    for _ in range(draw(st.integers(1, 4))):
        batch.append(
            ReadableSpan(
                name=draw(st.text()),
                context=draw(context),
                parent=draw(st.one_of(st.none(), contexts)),
                resource=draw(st.sampled_from(places)),
                attributes=draw(attributes),
                events=draw(st.lists(events, max_size=2)),
                links=draw(st.lists(links, max_size=2)),
                kind=draw(st.sampled_from(SpanKind)),
                status=draw(
                    st.one_of(
                        st.sampled_from([Status(), Status(StatusCode.OK)]),
                        st.builds(Status, st.just(StatusCode.ERROR), st.text()),
                    )
                ),
                start_time=draw(nanos),
                end_time=draw(nanos),
                instrumentation_scope=draw(st.sampled_from(makers)),
            )
        )
    return batch


@st.composite
def logs(draw) -> list[ReadableLogRecord]:
    """A batch of log records, in and out of spans."""
    resource, scope = draw(resources), draw(st.one_of(st.none(), scopes))
    batch = []
    for _ in range(draw(st.integers(1, 4))):
        around = draw(st.one_of(st.none(), contexts))
        record = LogRecord(
            timestamp=draw(st.one_of(st.none(), nanos)),
            observed_timestamp=draw(nanos),
            context=set_span_in_context(NonRecordingSpan(around)) if around else None,
            severity_text=draw(st.one_of(st.none(), st.text())),
            severity_number=draw(st.one_of(st.none(), st.sampled_from(SeverityNumber))),
            body=draw(values),
            attributes=draw(attributes),
            event_name=draw(st.one_of(st.none(), st.text())),
        )
        batch.append(ReadableLogRecord(record, resource, scope))
    return batch


numbers = st.one_of(int64, floats)
exemplars = st.one_of(
    st.builds(Exemplar, attributes, numbers, nanos),
    st.builds(Exemplar, attributes, numbers, nanos, span_ids, trace_ids),
)
exemplar_lists = st.lists(exemplars, max_size=2)
number_points = st.lists(
    st.builds(NumberDataPoint, attributes, nanos, nanos, numbers, exemplar_lists),
    min_size=1,
    max_size=3,
)
optional_floats = st.one_of(st.none(), floats)
histogram_points = st.lists(
    st.builds(
        HistogramDataPoint,
        attributes,
        nanos,
        nanos,
        counts,
        floats,
        st.lists(counts, max_size=4),
        st.lists(st.floats(allow_nan=False), max_size=3),
        optional_floats,
        optional_floats,
        exemplar_lists,
    ),
    min_size=1,
    max_size=2,
)
buckets = st.builds(Buckets, st.integers(-1000, 1000), st.lists(counts, max_size=4))
exponential_points = st.lists(
    st.builds(
        ExponentialHistogramDataPoint,
        attributes,
        nanos,
        nanos,
        counts,
        floats,
        st.integers(-10, 20),
        counts,
        buckets,
        buckets,
        st.integers(0, 1),
        floats,
        floats,
        exemplar_lists,
    ),
    min_size=1,
    max_size=2,
)
temporalities = st.sampled_from([AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])
data = st.one_of(
    st.builds(Gauge, number_points),
    st.builds(Sum, number_points, temporalities, st.booleans()),
    st.builds(Histogram, histogram_points, temporalities),
    st.builds(ExponentialHistogram, exponential_points, temporalities),
)
metric = st.builds(Metric, st.text(), st.one_of(st.none(), st.text()), st.text(), data)


@st.composite
def metrics(draw) -> MetricsData:
    """One collection of metrics of all kinds."""
    scope_metrics = [
        ScopeMetrics(scope, draw(st.lists(metric, min_size=1, max_size=3)), scope.schema_url or "")
        for scope in draw(st.lists(scopes, min_size=1, max_size=2, unique=True))
    ]
    resource = draw(resources)
    return MetricsData([ResourceMetrics(resource, scope_metrics, resource.schema_url)])


@pytest.fixture(scope="session")
def arbitrary() -> SimpleNamespace:
    """Strategies of batches: `spans`, `logs` and collections of `metrics`."""
    return SimpleNamespace(spans=spans(), logs=logs(), metrics=metrics())
