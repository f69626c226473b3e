"""Which spans are recorded and sampled, decided by trace id at the head of a trace."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceFlags, TraceState
from opentelemetry.util.types import Attributes

from midwatch.pipeline.present import span_in
from midwatch.pipeline.sampling_held import HeldTraces
from midwatch.pipeline.sampling_ratio import RatioController

_ID_BITS = (1 << 64) - 1


class AdaptiveSampler(Sampler):
    """Samples the part of all traces that is in force; the rest is recorded and held back.

    A decision that another process made is obeyed. One made here depends on the trace id alone, so
    that services which share a ratio choose the same traces, and what is sampled at a low ratio is
    sampled at every higher one. Spans of a trace that is not sampled are recorded only, for
    `HeldTraces` to keep those that must not be missed, and to tell of the others.
    """

    holds = True
    """Whether spans that are recorded only are settled by somebody else."""

    joins_sampled = True
    """Whether each span below one that is sampled is sampled as well, with its attributes."""

    def __init__(self, controller: RatioController, held: HeldTraces) -> None:
        self._controller = controller
        self._held = held

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
        """The decision for a span that begins."""
        above = span_in(parent_context)
        parent = above.get_span_context()
        if not parent.is_valid:
            return SamplingResult(self._head(trace_id), attributes)
        if parent.trace_flags & TraceFlags.SAMPLED:
            decision = Decision.RECORD_AND_SAMPLE
        elif parent.is_remote or above.is_recording() or self._held.knows(trace_id):
            decision = Decision.RECORD_ONLY
        else:
            decision = Decision.DROP
        kept = attributes if decision is not Decision.DROP else None
        return SamplingResult(decision, kept, parent.trace_state)

    def get_description(self) -> str:
        """The sampler's name and the ratio in force."""
        return f"MidwatchAdaptive{{{self._controller.ratio:g}}}"

    def _head(self, trace_id: int) -> Decision:
        bound = round(self._controller.ratio * (_ID_BITS + 1))
        return Decision.RECORD_AND_SAMPLE if trace_id & _ID_BITS < bound else Decision.RECORD_ONLY


class HoldingSampler(Sampler):
    """Another sampler's decision, with what it leaves out recorded only, for others to tell of.

    Args:
        sampler: decides.
    """

    holds = True
    """Whether spans that are recorded only are settled by somebody else."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

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
        """The decision for a span that begins."""
        result = self._sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )
        if result.decision is not Decision.DROP:
            return result
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    def get_description(self) -> str:
        """The other sampler's description."""
        return self._sampler.get_description()
