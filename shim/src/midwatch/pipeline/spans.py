"""What became of every span: created equals the rest plus what is in flight."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.util.types import Attributes

from midwatch.pipeline.batching import BatchQueue
from midwatch.pipeline.spool_accounts import in_flight
from midwatch.registry.own_metrics import SPANS

_RESULT, _REASON = SPANS.attribute_names
_CREATED = ("created", "none")


class SpanAccount:
    """Counts spans by result and reason. A forked process begins anew, with its own spans."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        # Known at zero, so that the first loss is an increase and not a new series.
        self._counts: Counter[tuple[str, str]] = Counter(
            {
                _CREATED: 0,
                ("exported", "none"): 0,
                ("sampled_out", "sampler"): 0,
                ("sampled_out", "held_full"): 0,
                ("spooled", "none"): 0,
                ("replayed", "none"): 0,
                ("dropped", "queue_full"): 0,
                ("dropped", "export_failed"): 0,
                ("dropped", "refused"): 0,
                ("dropped", "shutdown"): 0,
                ("dropped", "spool_full"): 0,
            }
        )
        self._of_others: Counter[tuple[str, str]] = Counter()

    def settle(self, result: str, reason: str, count: int) -> None:
        """Count spans that got this result."""
        with self._lock:
            self._counts[(result, reason)] += count

    def create(self) -> None:
        """Count a span that begins."""
        with self._lock:
            self._counts[_CREATED] += 1

    def settle_for_another(self, result: str, reason: str, count: int) -> None:
        """Count spans of a process that was killed: in the metric, not among this process's own."""
        with self._lock:
            self._of_others[(result, reason)] += count

    def counts(self) -> dict[tuple[str, str], int]:
        """The numbers of this process by result and reason, at one moment."""
        with self._lock:
            return dict(self._counts)

    def in_flight(self) -> int:
        """The spans that are open, queued, or being sent."""
        return in_flight(self.counts())

    def final(self) -> dict[tuple[str, str], int]:
        """The numbers when no more is sent: what is in flight then is dropped."""
        counts = self.counts()
        counts[("dropped", "shutdown")] += max(in_flight(counts), 0)
        return counts

    def observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """The counts as observations of `midwatch_spans_total`."""
        with self._lock:
            told = self._counts + self._of_others
            told.update({key: 0 for key in self._counts})
        return [
            Observation(count, {_RESULT: result, _REASON: reason})
            for (result, reason), count in told.items()
        ]


class CountingSampler(Sampler):
    """Counts every span that is created, and those that another sampler leaves out.

    A sampler that `holds` sees to the spans that are recorded only: they are settled later.
    """

    def __init__(self, sampler: Sampler, account: SpanAccount) -> None:
        self._sampler = sampler
        self._holds = bool(getattr(sampler, "holds", False))
        self._joins_sampled = bool(getattr(sampler, "joins_sampled", False))
        self._account = account

    def joins(self, parent: SpanContext) -> bool:
        """Whether a span below this one is sampled without any question; it is counted then."""
        # A tuple, of which each property is a call.
        _, _, _, flags, _, is_valid = parent
        if not (self._joins_sampled and is_valid and flags & TraceFlags.SAMPLED):
            return False
        self._account.create()
        return True

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """The other sampler's decision."""
        result = self._sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )
        self._account.create()
        held = result.decision is Decision.RECORD_ONLY and self._holds
        if result.decision is not Decision.RECORD_AND_SAMPLE and not held:
            self._account.settle("sampled_out", "sampler", 1)
        return result

    def get_description(self) -> str:
        """The other sampler's description."""
        return self._sampler.get_description()


class QueueingSpanProcessor(SpanProcessor):
    """Queues sampled spans for export when they end."""

    looks_at_unsampled = False

    def __init__(self, queue: BatchQueue[ReadableSpan]) -> None:
        self._queue = queue

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span."""
        context = span.get_span_context()
        # Its flags, without the call that its property is.
        if context is not None and context[3] & TraceFlags.SAMPLED:
            self._queue.put(span)

    def shutdown(self) -> None:
        """Stop; waits a second at most."""
        self._queue.close(1.0)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what is queued."""
        return self._queue.flush(timeout_millis / 1000)


class UnwantedSpans(SpanProcessor):
    """Settles spans that nobody wants, so that they do not count as in flight for ever."""

    def __init__(self, account: SpanAccount) -> None:
        self._account = account

    def on_end(self, span: ReadableSpan) -> None:
        """Count the span."""
        context = span.get_span_context()
        if context is not None and context.trace_flags & TraceFlags.SAMPLED:
            self._account.settle("sampled_out", "no_exporter", 1)


def exporting(exporter: SpanExporter) -> Callable[[Sequence[ReadableSpan]], bool]:
    """An exporter of the SDK as what a queue empties into."""
    return lambda batch: exporter.export(batch) is SpanExportResult.SUCCESS
