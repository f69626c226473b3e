"""What Langfuse and LangSmith have in common: which spans they get, and what these say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import thread_time

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.util.types import AttributeValue

from midwatch.pipeline.payloads import Encoder, Payload
from midwatch.pipeline.politeness import alike

Attributes = dict[str, AttributeValue]

Mapped = Callable[[ReadableSpan], Attributes]
"""The attributes that a span gets besides its own."""

_LOWEST_RATIO = 0.01


@dataclass(frozen=True)
class Usage:
    """Tokens of a model call; the parts are contained in `input` and `output`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


def usage_of(attributes: Mapping[str, object]) -> Usage | None:
    """The tokens of a model call, if the span tells any."""
    found = [_whole(attributes, name) for name in _USAGE_NAMES]
    return (
        Usage(*(count or 0 for count in found)) if any(n is not None for n in found[:2]) else None
    )


_USAGE_NAMES = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.reasoning.output_tokens",
)


def as_json(value: object) -> str:
    """A value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def is_root(span: ReadableSpan) -> bool:
    """Whether the span is the first of its trace in this process."""
    return span.parent is None or span.parent.is_remote


class MappedEncoder:
    """Adds to each span what the receiver reads, and leaves out the traces it does not want."""

    def __init__(
        self,
        encode: Encoder[ReadableSpan],
        mapped: Mapped,
        share: TraceShare | None = None,
        clock: Callable[[], float] = thread_time,
    ) -> None:
        self._encode = encode
        self._mapped = mapped
        self._share = share
        self._clock = clock

    def __call__(self, batch: Sequence[ReadableSpan]) -> Payload:
        """Encode the spans of the traces that are wanted; there may be none."""
        started = self._clock()
        traces: set[int] = set()
        spans: list[ReadableSpan] = []
        for span in batch:
            context = span.get_span_context()
            if context is None or (self._share and not self._share.takes(context.trace_id)):
                continue
            traces.add(context.trace_id)
            spans.append(_with(span, self._mapped(span)))
        payload = self._encode(alike(spans, batch))
        if self._share and traces:
            self._share.note((self._clock() - started) * 1000 / len(traces))
        return payload


class TraceShare:
    """A share of all traces, told by their ids, so that all processes choose the same ones.

    The share is halved when the work for a trace takes longer than `max_milliseconds`, and grows
    back to what was asked for when it takes less than half of that.
    """

    def __init__(self, ratio: float, max_milliseconds: float) -> None:
        self.ratio = ratio
        self._asked = ratio
        self._max_milliseconds = max_milliseconds

    def takes(self, trace_id: int) -> bool:
        """Whether the trace is one of the share."""
        return (trace_id & 0xFFFF_FFFF_FFFF_FFFF) < self.ratio * (1 << 64)

    def note(self, milliseconds: float) -> None:
        """Take in what the work for a trace took."""
        if milliseconds > self._max_milliseconds:
            self.ratio = max(self.ratio / 2, min(_LOWEST_RATIO, self._asked))
        elif milliseconds < self._max_milliseconds / 2:
            self.ratio = min(self.ratio * 1.25, self._asked)


def _with(span: ReadableSpan, more: Attributes) -> ReadableSpan:
    """The span with more attributes; its own are left as they are."""
    own = span.attributes or {}
    return ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes={**own, **{key: value for key, value in more.items() if key not in own}},
        events=span.events,
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _whole(attributes: Mapping[str, object], name: str) -> int | None:
    value = attributes.get(name)
    return value if isinstance(value, int) else None
