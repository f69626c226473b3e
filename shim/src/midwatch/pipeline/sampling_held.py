"""The spans of traces that were not sampled, held until it is known that nobody needs them."""

from __future__ import annotations

import copy
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags

Settle = Callable[[str, str, int], None]
"""Is told the result, the reason and the number of spans."""

Tell = Callable[[Sequence[ReadableSpan]], None]
"""Is given the spans of one trace that are sampled out; never raises."""

_MOST_SPANS = 10_000
_MOST_SPANS_A_TRACE = 1_000
_MOST_DECISIONS = 10_000

_SAMPLER = "sampler"
_FULL = "held_full"
_SHUTDOWN = "shutdown"


class _Decision(Enum):
    KEPT = auto()
    LEFT_OUT = auto()
    OBEYED = auto()
    """Left out because somebody else decided so: nothing changes that."""


@dataclass(slots=True)
class _Trace:
    """What is held of a trace; `open_roots` is how many of its first spans here still run."""

    may_be_kept: bool
    open_roots: int = 0
    spans: list[ReadableSpan] = field(default_factory=list)


_Left = list[tuple[str, list[ReadableSpan]]]
"""Spans that are sampled out, by the reason."""


class HeldTraces(SpanProcessor):
    """Holds spans that are recorded only until the first span of their trace here has ended.

    If an error, a loop, a denial or feedback was among them, all of them go on as if they had been
    sampled, and so do those that end later; otherwise they are told and counted as sampled out.
    Where another service, or a sampler of the application's choice, has decided, nothing is kept.
    What is held is bounded: the oldest trace goes first.

    Args:
        settle: counts what is sampled out.
        release: takes the spans that are kept after all.
        most_spans: how many are held, in all traces together.
        tell: is given what is sampled out.
        keeps: whether anything is kept at all.
    """

    looks_at_sampled = False

    def __init__(
        self,
        settle: Settle,
        release: Sequence[SpanProcessor],
        most_spans: int = _MOST_SPANS,
        *,
        tell: Tell = lambda _: None,
        keeps: bool = True,
    ) -> None:
        self._settle = settle
        self._release = tuple(release)
        self._most_spans = most_spans
        self._tell = tell
        self._keeps = keeps
        self._held = 0
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """Note the first span of a trace here; what others have decided on it is obeyed."""
        context, parent = span.get_span_context(), span.parent
        if context.trace_flags & TraceFlags.SAMPLED or self._closed:
            return
        if parent is not None and not parent.is_remote:
            return
        with self._lock:
            trace_id = context.trace_id
            trace = self._traces.get(trace_id)
            if trace is None and self._decided.get(trace_id) is not _Decision.KEPT:
                self._decided.pop(trace_id, None)
                trace = self._open(trace_id, may_be_kept=self._keeps and parent is None)
            if trace is not None:
                trace.open_roots += 1
            left = self._make_room()
        self._leave_out(left)

    def on_end(self, span: ReadableSpan) -> None:
        """Hold the span, or decide on its trace with it."""
        context = span.get_span_context()
        if context is None or context.trace_flags & TraceFlags.SAMPLED:
            return
        with self._lock:
            if span.status.status_code is StatusCode.ERROR:
                self._keep(context.trace_id)
            kept, left = self._take_in(span, context.trace_id)
        self._go_on(kept)
        self._leave_out(left)

    def keep(self, trace_id: int) -> None:
        """Say that the trace must not be missed, whatever becomes of its sampling."""
        with self._lock:
            self._keep(trace_id)
            kept = self._taken(trace_id) if self._is_kept(trace_id) else []
        self._go_on(kept)

    def knows(self, trace_id: int) -> bool:
        """Whether spans of the trace are held, or were a while ago."""
        return trace_id in self._traces or trace_id in self._decided

    def shutdown(self) -> None:
        """Tell what is still held, and count it as sampled out."""
        with self._lock:
            self._closed = True
            left = [(_SHUTDOWN, self._taken(trace_id)) for trace_id in list(self._traces)]
        self._leave_out(left)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing: what is held waits for its trace."""
        return True

    def _reset(self) -> None:
        # A forked process has nothing to say about its parent's spans.
        self._lock = threading.RLock()
        self._traces: OrderedDict[int, _Trace] = OrderedDict()
        self._decided: OrderedDict[int, _Decision] = OrderedDict()
        self._held = 0
        self._closed = False

    def _open(self, trace_id: int, *, may_be_kept: bool) -> _Trace:
        trace = self._traces[trace_id] = _Trace(may_be_kept)
        return trace

    def _take_in(self, span: ReadableSpan, trace_id: int) -> tuple[list[ReadableSpan], _Left]:
        """Hold a span; returns those that go on, and those that are left out."""
        if self._is_kept(trace_id):
            return [*self._taken(trace_id), span], []
        if trace_id in self._decided or self._closed:
            return [], [(_SHUTDOWN if self._closed else _SAMPLER, [span])]
        trace = self._traces.get(trace_id) or self._open(trace_id, may_be_kept=self._keeps)
        left: _Left = []
        if len(trace.spans) < _MOST_SPANS_A_TRACE:
            trace.spans.append(span)
            self._held += 1
        else:
            left.append((_FULL, [span]))
        if span.parent is None or span.parent.is_remote:
            trace.open_roots -= 1
            if trace.open_roots <= 0:
                left.append((_SAMPLER, self._left_out(trace_id)))
        return [], left + self._make_room()

    def _make_room(self) -> _Left:
        left: _Left = []
        while self._held > self._most_spans or len(self._traces) > _MOST_DECISIONS:
            left.append((_FULL, self._left_out(next(iter(self._traces)))))
        return left

    def _is_kept(self, trace_id: int) -> bool:
        return self._decided.get(trace_id) is _Decision.KEPT

    def _keep(self, trace_id: int) -> None:
        trace = self._traces.get(trace_id)
        obeyed = self._decided.get(trace_id) is _Decision.OBEYED
        if self._keeps and not obeyed and (trace is None or trace.may_be_kept):
            self._decide(trace_id, _Decision.KEPT)

    def _left_out(self, trace_id: int) -> list[ReadableSpan]:
        may_be_kept = self._traces[trace_id].may_be_kept
        self._decide(trace_id, _Decision.LEFT_OUT if may_be_kept else _Decision.OBEYED)
        return self._taken(trace_id)

    def _decide(self, trace_id: int, decision: _Decision) -> None:
        self._decided[trace_id] = decision
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

    def _leave_out(self, left: _Left) -> None:
        for reason, spans in left:
            if spans:
                self._tell(spans)
                self._settle("sampled_out", reason, len(spans))


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
