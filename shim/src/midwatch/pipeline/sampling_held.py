"""The spans of traces that were not sampled, held until it is known that nobody needs them."""

from __future__ import annotations

import copy
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags

Settle = Callable[[str, str, int], None]
"""Is told the result, the reason and the number of spans."""

_MOST_SPANS = 10_000
_MOST_SPANS_A_TRACE = 1_000
_MOST_DECISIONS = 10_000

_SAMPLER = "sampler"
_FULL = "held_full"
_SHUTDOWN = "shutdown"


@dataclass(slots=True)
class _Trace:
    spans: list[ReadableSpan] = field(default_factory=list)


class HeldTraces(SpanProcessor):
    """Holds spans that are recorded only until the first span of their trace here has ended.

    If an error, a loop, a denial or feedback was among them, all of them go on as if they had been
    sampled, and so do those that end later; otherwise they are counted as sampled out. What is held
    is bounded: the oldest trace goes first.

    Args:
        settle: counts what is sampled out.
        release: takes the spans that are kept after all.
        most_spans: how many are held, in all traces together.
    """

    def __init__(
        self,
        settle: Settle,
        release: Sequence[SpanProcessor],
        most_spans: int = _MOST_SPANS,
    ) -> None:
        self._settle = settle
        self._release = tuple(release)
        self._most_spans = most_spans
        self._held = 0
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def on_end(self, span: ReadableSpan) -> None:
        """Hold the span, or decide on its trace with it."""
        context = span.get_span_context()
        if context is None or context.trace_flags.sampled:
            return
        with self._lock:
            if span.status.status_code is StatusCode.ERROR:
                self._keep(context.trace_id)
            kept = self._take_in(span, context.trace_id)
        self._go_on(kept)

    def keep(self, trace_id: int) -> None:
        """Say that the trace must not be missed, whatever becomes of its sampling."""
        with self._lock:
            self._keep(trace_id)
            kept = self._taken(trace_id)
        self._go_on(kept)

    def knows(self, trace_id: int) -> bool:
        """Whether spans of the trace are held, or were a while ago."""
        return trace_id in self._traces or trace_id in self._decided

    def shutdown(self) -> None:
        """Count what is still held as sampled out."""
        with self._lock:
            left, self._held = self._held, 0
            self._traces.clear()
            self._closed = True
        if left:
            self._settle("sampled_out", _SHUTDOWN, left)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing: what is held waits for its trace."""
        return True

    def _reset(self) -> None:
        # A forked process has nothing to say about its parent's spans.
        self._lock = threading.RLock()
        self._traces: OrderedDict[int, _Trace] = OrderedDict()
        self._decided: OrderedDict[int, bool] = OrderedDict()
        self._held = 0
        self._closed = False

    def _take_in(self, span: ReadableSpan, trace_id: int) -> list[ReadableSpan]:
        """Hold a span; returns those that go on."""
        decided = self._decided.get(trace_id)
        if decided is True:
            return [*self._taken(trace_id), span]
        if decided is False or self._closed:
            self._settle("sampled_out", _SAMPLER if decided is False else _SHUTDOWN, 1)
            return []
        trace = self._traces.setdefault(trace_id, _Trace())
        if len(trace.spans) < _MOST_SPANS_A_TRACE:
            trace.spans.append(span)
            self._held += 1
        else:
            self._settle("sampled_out", _FULL, 1)
        if span.parent is None:
            self._decide(trace_id, kept=False)
            self._settle("sampled_out", _SAMPLER, len(self._taken(trace_id)))
        while self._held > self._most_spans:
            oldest = next(iter(self._traces))
            self._decide(oldest, kept=False)
            self._settle("sampled_out", _FULL, len(self._taken(oldest)))
        return []

    def _keep(self, trace_id: int) -> None:
        if self._decided.get(trace_id) is not True:
            self._decide(trace_id, kept=True)

    def _decide(self, trace_id: int, *, kept: bool) -> None:
        self._decided[trace_id] = kept
        self._decided.move_to_end(trace_id)
        if len(self._decided) > _MOST_DECISIONS:
            self._decided.popitem(last=False)

    def _taken(self, trace_id: int) -> list[ReadableSpan]:
        trace = self._traces.pop(trace_id, None)
        if trace is None:
            return []
        self._held -= len(trace.spans)
        return trace.spans

    def _go_on(self, kept: Sequence[ReadableSpan]) -> None:
        for span in kept:
            sampled = _as_sampled(span)
            for processor in self._release:
                processor.on_end(sampled)


def _as_sampled(span: ReadableSpan) -> ReadableSpan:
    """The span as if the head had sampled it, since whoever gets it only sees sampled ones."""
    context = span.get_span_context()
    clean = copy.copy(span)
    if context is not None:
        clean._context = SpanContext(
            context.trace_id,
            context.span_id,
            context.is_remote,
            TraceFlags(context.trace_flags | TraceFlags.SAMPLED),
            context.trace_state,
        )
    return clean
