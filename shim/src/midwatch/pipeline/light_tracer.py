"""Makes the spans that cost less, in the place of a tracer of the SDK."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace._tracer_metrics import noop
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    use_span,
)
from opentelemetry.util._decorator import _agnosticcontextmanager
from opentelemetry.util.types import Attributes

from midwatch.pipeline.light_spans import LightSpan
from midwatch.pipeline.present import span_in
from midwatch.pipeline.span_stations import Stations
from midwatch.pipeline.spans import CountingSampler

_FLAGS = tuple(map(TraceFlags, range(4)))
_SAMPLED, _RANDOM = TraceFlags.SAMPLED, TraceFlags.RANDOM_TRACE_ID


class LightTracer(Tracer):
    """Makes light spans where a tracer of the SDK would make its own.

    Args:
        tracer: gives sampler, ids, limits, resource, scope and processors.
    """

    def __init__(self, tracer: SdkTracer) -> None:
        self._tracer = tracer
        self.stations = Stations(tracer.span_processor)
        limits = tracer._span_limits
        most = sys.maxsize if limits.max_span_attributes is None else limits.max_span_attributes
        self.room = most if limits.max_span_attribute_length is None else -1
        """How many attributes a span takes without a closer look."""

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """A span that begins now, or at `start_time` in nanoseconds of Unix time."""
        tracer = self._tracer
        parent: SpanContext | None = span_in(context).get_span_context()
        if not tracer._is_enabled():
            return NonRecordingSpan(parent or SpanContext(0, 0, is_remote=False))
        sampler = tracer.sampler
        if parent is not None and type(sampler) is CountingSampler and sampler.joins(parent):
            # Most spans are below another one: they need no result with a copy of it all.
            decision = Decision.RECORD_AND_SAMPLE
            own = _below(parent, tracer.id_generator.generate_span_id())
        else:
            parent = parent if parent is not None and parent.is_valid else None
            decision, own, attributes = self._decide(parent, context, name, kind, attributes, links)
        ended = tracer._tracer_metrics.start_span(parent, decision)
        if decision is Decision.DROP:
            return NonRecordingSpan(own)
        # Past the SDK's `__new__`, which only keeps its own class from being made by hand.
        span: LightSpan = object.__new__(LightSpan)
        LightSpan.__init__(span, tracer, self, name, own, parent, kind)
        if ended is not noop:
            span._record_end_metrics = ended
        if not (record_exception and set_status_on_exception):
            span._record_exception = record_exception
            span._set_status_on_exception = set_status_on_exception
        if attributes:
            span.set_attributes(attributes)
        for link in links or ():
            span.add_link(link.context, link.attributes)
        span.start(start_time, context)
        return span

    def _decide(
        self,
        parent: SpanContext | None,
        context: Context | None,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        links: Sequence[Link] | None,
    ) -> tuple[Decision, SpanContext, Attributes]:
        """What the sampler says of a span; its own context and its attributes."""
        ids = self._tracer.id_generator
        if parent is not None:
            trace_id, flags = parent.trace_id, parent.trace_flags & _RANDOM
        else:
            trace_id = ids.generate_trace_id()
            flags = _RANDOM if ids.is_trace_id_random() else 0
        result = self._tracer.sampler.should_sample(
            context, trace_id, name, kind, attributes, links
        )
        if result.decision is Decision.RECORD_AND_SAMPLE:
            flags |= _SAMPLED
        own = SpanContext(
            trace_id, ids.generate_span_id(), False, _FLAGS[flags], result.trace_state
        )
        return result.decision, own, result.attributes

    @_agnosticcontextmanager
    def start_as_current_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[Span]:
        """A span that is the current one in the block, or in the decorated function."""
        keeps = (record_exception, set_status_on_exception)
        span = self.start_span(name, context, kind, attributes, links, start_time, *keeps)
        with use_span(span, end_on_exit, *keeps):
            yield span


def _below(parent: SpanContext, span_id: int) -> SpanContext:
    """The context of a sampled span below a valid one."""
    trace_id, _, _, flags, state, is_valid = parent
    own_flags = _FLAGS[flags & _RANDOM | _SAMPLED]
    # Past its class's `__new__`, which would look once more at what its parent has from there.
    return tuple.__new__(SpanContext, (trace_id, span_id, False, own_flags, state, is_valid))


def light(tracer: Tracer) -> Tracer:
    """The tracer with light spans if it is one of the SDK, else the tracer itself."""
    return LightTracer(tracer) if type(tracer) is SdkTracer else tracer
