"""What is told of spans that are sampled out, so that a ledger has every turn all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry._logs import Logger
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, StatusCode

from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.event_logs import LogRecordSink
from midwatch.pipeline.events import EventOrigin, RawEvent
from midwatch.pipeline.failures import FAILURES
from midwatch.registry import attributes, events
from midwatch.registry import span_attributes as own

_TELLING: Final = (
    "gen_ai.operation.name",
    attributes.TURN_ENTRY_AGENT.name,
    attributes.TURN_OUTCOME_SPAN.name,
)
"""One of these is on every span of a turn, of an agent's work and of a model call."""

_Spans = Mapping[int, ReadableSpan]


class SampledOut:
    """Writes an event for each span of agents' work that nobody will see as a span.

    Metrics, and the other events, tell what happened; only the span tells what happened within
    what. Spans of the plumbing (HTTP, databases) are not told.

    Args:
        logger: where the events go.
        policy: what of them may leave the process.
    """

    def __init__(self, logger: Logger, policy: ContentPolicy) -> None:
        self._sink = LogRecordSink(logger)
        self._policy = policy

    def __call__(self, spans: Sequence[ReadableSpan]) -> None:
        """Tell of the spans of one trace, each below the nearest that is told; never raises."""
        try:
            for span, parent in _told(spans):
                self._write(span, parent)
        except Exception as error:
            FAILURES.note("sampled_out", error)

    def _write(self, span: ReadableSpan, parent: SpanContext | None) -> None:
        context = span.get_span_context()
        if context is None:
            return
        ended = span.end_time or span.start_time or 0
        metadata: dict[str, object] = {
            **(span.attributes or {}),
            # Last, since a log record that is full loses what came first.
            own.SPAN_NAME.name: span.name,
            own.SPAN_KIND.name: span.kind.name.lower(),
            own.SPAN_STARTED.name: span.start_time or ended,
            own.SPAN_ENDED.name: ended,
            own.SPAN_STATUS.name: span.status.status_code.name.lower(),
        }
        if parent is not None:
            metadata[own.SPAN_PARENT.name] = f"{parent.span_id:016x}"
        if span.status.status_code is StatusCode.ERROR and span.status.description:
            metadata[own.SPAN_STATUS_MESSAGE.name] = span.status.description
        origin = EventOrigin(context)
        self._sink.write(
            RawEvent(events.SPAN_SAMPLED_OUT.name, metadata, origin, self._policy, ended)
        )


def _told(spans: Sequence[ReadableSpan]) -> list[tuple[ReadableSpan, SpanContext | None]]:
    """The spans to tell, each with its parent as a reader can find it."""
    known = {span.context.span_id: span for span in spans if span.context is not None}
    chosen = {span_id: span for span_id, span in known.items() if _tells(span)}
    if chosen:
        # What began the work, whatever it is: without it the trace would seem to have no end.
        chosen.update((span_id, span) for span_id, span in known.items() if span.parent is None)
    return [(span, _parent(span, known, chosen)) for span in chosen.values()]


def _tells(span: ReadableSpan) -> bool:
    present = span.attributes or {}
    return any(name in present for name in _TELLING)


def _parent(span: ReadableSpan, known: _Spans, chosen: _Spans) -> SpanContext | None:
    """The nearest span above that is told, or that somebody else may tell."""
    parent = span.parent
    while parent is not None and parent.span_id in known and parent.span_id not in chosen:
        parent = known[parent.span_id].parent
    return parent
