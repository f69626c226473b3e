"""Spans of the SDK that cost less: for the shim's own instrumentation, which makes many.

A span of the SDK is fourteen objects until it is exported: a lock and a bounded container for each
of attributes, events and links, whether it has any or not, and a copy of it all at its end. Kept in
the export queue they are what the garbage collector visits again and again. A `LightSpan` is three,
takes the same calls, and goes through the same sampler, limits and processors.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import _clean_attribute_value
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.util.types import AnyValue, Attributes

from midwatch.pipeline.clock import time_ns
from midwatch.pipeline.plain_attributes import GOOD_NAMES, PLAIN, are_names, are_plain

if TYPE_CHECKING:
    from midwatch.pipeline.light_tracer import LightTracer

_logger = logging.getLogger(__name__)

_OURS = ("gen_ai.", "midwatch.", "session.", "user.hash", "error.", "server.")
"""What an application's own attributes never push out of a span that is full."""


class LightSpan(SdkSpan):
    """A span with plain containers, made when they are needed; it is its own copy at the end.

    A span that is full takes no more attributes of the application, but all of the shim's own.
    """

    # One lock for all: it is held for an assignment, and costs nothing while a span is made.
    _lock: Any = threading.RLock()
    _attributes: dict[str, Any]
    _context: SpanContext
    _events: Sequence[Event] = ()
    _links: tuple[Link, ...] = ()
    _status = Status(StatusCode.UNSET)
    _end_time: int | None = None
    _record_end_metrics: Callable[[], None] | None = None
    _record_exception = _set_status_on_exception = True
    _dropped_attributes = _dropped_events = _dropped_links = 0

    def __init__(
        self,
        tracer: SdkTracer,
        maker: LightTracer,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
    ) -> None:
        self._stations = maker.stations
        self._room = maker.room
        self._name = name
        self._context = context
        self._sampled = bool(context.trace_flags & TraceFlags.SAMPLED)
        self._parent = parent
        self._kind = kind
        self._resource = tracer.resource
        self._limits = tracer._span_limits
        self._instrumentation_scope = tracer._instrumentation_scope
        self._instrumentation_info = tracer.instrumentation_info
        self._attributes = {}

    def start(self, start_time: int | None = None, parent_context: Context | None = None) -> None:
        """Begin; done by the tracer."""
        self._start_time = time_ns() if start_time is None else start_time
        for on_start in self._stations.look(sampled=self._sampled).starts:
            on_start(self, parent_context=parent_context)

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """Set an attribute unless the span has ended."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """Set attributes unless the span has ended."""
        if self._end_time is not None:
            _logger.warning("Setting attribute on ended span.")
            return
        kept, values = self._attributes, attributes.values()
        if (
            len(kept) + len(attributes) <= self._room
            and (GOOD_NAMES.issuperset(attributes) or are_names(attributes))
            and (PLAIN.issuperset(map(type, values)) or are_plain(values))
        ):
            kept.update(attributes)
        else:
            self._set_with_care(attributes)

    def _set_with_care(self, attributes: Mapping[str, AnyValue]) -> None:
        longest, most = self._limits.max_span_attribute_length, self._limits.max_span_attributes
        kept = self._attributes
        for key, value in attributes.items():
            if not key or not isinstance(key, str):
                self._dropped_attributes += 1
                continue
            if type(value) not in PLAIN or longest is not None:
                value = _clean_attribute_value(value, longest)
            if most is not None and len(kept) >= most and not self._makes_room(key):
                continue
            kept[key] = value

    def _makes_room(self, key: str) -> bool:
        """Whether a full span takes the attribute; one of the application's goes for it."""
        if key in self._attributes:
            return True
        self._dropped_attributes += 1
        if not key.startswith(_OURS):
            return False
        for present in self._attributes:
            if not present.startswith(_OURS):
                del self._attributes[present]
                return True
        return True

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        """Add an event unless the span has ended; the oldest goes when there are too many."""
        if self._end_time is not None:
            _logger.warning("Tried to add an event to an ended span.")
            return
        longest, most = self._limits.max_attribute_length, self._limits.max_events
        given = {
            key: value
            if type(value) in PLAIN and longest is None
            else _clean_attribute_value(value, longest)
            for key, value in (attributes or {}).items()
        }
        with self._lock:
            events = [*self._events, Event(name, given, timestamp)]
            if most is not None and len(events) > most:
                del events[0]
                self._dropped_events += 1
            self._events = events

    def _add_link(self, link: Link) -> None:
        most = self._limits.max_links
        if most is not None and len(self._links) >= most:
            self._dropped_links += 1
        elif self._end_time is None:
            self._links = (*self._links, link)

    def end(self, end_time: int | None = None) -> None:
        """End the span and hand it to the processors; it takes no changes from then on."""
        with self._lock:
            ended, self._end_time = self._end_time, self._end_time or end_time or time_ns()
        if ended is not None:
            _logger.warning("Calling end() on an ended span.")
            return
        if self._record_end_metrics is not None:
            self._record_end_metrics()
        stops = self._stations.look(sampled=self._sampled)
        for on_ending in stops.endings:
            on_ending(self)
        for on_end in stops.ends:
            on_end(self)

    def get_span_context(self) -> SpanContext:
        """The ids of the span."""
        return self._context

    def _readable_span(self) -> ReadableSpan:
        return self

    @property
    def dropped_attributes(self) -> int:
        """How many attributes had no room."""
        return self._dropped_attributes

    @property
    def dropped_events(self) -> int:
        """How many events had to go."""
        return self._dropped_events

    @property
    def dropped_links(self) -> int:
        """How many links had no room."""
        return self._dropped_links


def _renew_lock() -> None:
    # Another thread may have held it at the moment of the fork.
    LightSpan._lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)
