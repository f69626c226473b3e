"""Puts a test's own sources and stores in the place of the process's, for the time of a block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, Literal
from unittest.mock import patch

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from midwatch import startup
from midwatch.api.tallies import TALLIES
from midwatch.instrumentors.loader import load_lazily
from midwatch.instruments.recorder import Recorder, get_recorder
from midwatch.instruments.turn_state import CURRENT_TURN, FINISHED_TURN, TOLD_START
from midwatch.instruments.turns import quiet_detach
from midwatch.pipeline.clock import Sources, reading_from
from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.rendering import local_meter_provider
from midwatch.testing.captured import CapturedTelemetry
from midwatch.testing.manual_sources import CountedIds

_SERVICE = "tested"


@contextmanager
def captured_telemetry(
    *, content: Literal["off", "redacted", "full"] = "off", instrument: bool = False
) -> Iterator[CapturedTelemetry]:
    """Capture what the block tells: nothing of it is exported, nothing from before is in it.

    The clock stands still, ids are counted, everything is sampled, and the environment's settings
    do not matter. It works before and after `midwatch.init()`, and `init()` in the block sets up
    instrumentation only. It is for one test at a time in a process: other threads that tell
    something meanwhile are captured too.

    Args:
        content: what the content policy lets through.
        instrument: instrument the libraries that are there, as `init()` does; they stay
            instrumented, which only shows in blocks like this.
    """
    policy = ContentPolicy(content)
    captured = CapturedTelemetry(policy)
    ids = captured.ids
    sources = Sources(captured.clock.perf_counter, captured.clock.time_ns, ids.token_hex)
    with ExitStack() as stack:
        stack.enter_context(reading_from(sources))
        stack.enter_context(_nothing_running())
        stack.enter_context(_recording_into(captured, policy))
        stack.enter_context(_tracing_into(captured))
        stack.enter_context(patch.object(startup, "start", _instrument_only))
        stack.enter_context(patch.object(startup, "_started", startup._started))
        stack.enter_context(patch.multiple(FAILURES, _counts=captured.failures, _logged=set()))
        stack.enter_context(patch.multiple(TALLIES, _decisions={}, _collaborations={}))
        if instrument:
            load_lazily()
        yield captured


def _instrument_only(*_: object) -> object:
    load_lazily()
    return object()


@contextmanager
def _nothing_running() -> Iterator[None]:
    """No span, no turn and no agent from around the block."""
    tokens: list[tuple[ContextVar[Any], Any]] = [
        (variable, variable.set(None)) for variable in (CURRENT_TURN, FINISHED_TURN, TOLD_START)
    ]
    token = context.attach(Context())
    try:
        yield
    finally:
        quiet_detach(token)
        for variable, before in tokens:
            _reset(variable, before)


def _reset(variable: ContextVar[Any], token: Any) -> None:
    try:
        variable.reset(token)
    except ValueError:
        # An asynchronous test ends in another context than it began in.
        return


@contextmanager
def _recording_into(captured: CapturedTelemetry, policy: ContentPolicy) -> Iterator[None]:
    """The process's recorder records here: whoever holds on to it is captured too."""
    recorder: Recorder = get_recorder()
    before = dict(vars(recorder))
    recorder.content = policy
    recorder.bind(
        local_meter_provider(captured.reader),
        [captured],
        service=_SERVICE,
        reader=captured.reader,
    )
    recorder.enabled = True
    try:
        yield
    finally:
        vars(recorder).update(before)


class _Active:
    """What captures spans right now."""

    def __init__(self) -> None:
        self.captured: CapturedTelemetry | None = None
        self.provider: TracerProvider | None = None


_active = _Active()


class _CapturingProcessor(SpanProcessor):
    """Gives spans to what captures."""

    def on_start(self, span: ReadableSpan, parent_context: Context | None = None) -> None:
        """A span begins."""
        if _active.captured is not None:
            _active.captured.began(span)

    def on_end(self, span: ReadableSpan) -> None:
        """A span has ended."""
        if _active.captured is not None:
            _active.captured.ended(span)


class _CapturingSampler(Sampler):
    """Samples everything that is captured, and nothing otherwise."""

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
        """Whether it is captured."""
        if _active.captured is None:
            return SamplingResult(Decision.DROP)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        """What it is."""
        return "captured"


class _CapturingIds(CountedIds):
    """The ids of what captures, if anything does."""

    def generate_trace_id(self) -> int:
        """The next trace."""
        captured = _active.captured
        return captured.ids.generate_trace_id() if captured else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """The next span."""
        captured = _active.captured
        return captured.ids.generate_span_id() if captured else super().generate_span_id()


_sampler, _ids, _processor = _CapturingSampler(), _CapturingIds(), _CapturingProcessor()


@contextmanager
def _tracing_into(captured: CapturedTelemetry) -> Iterator[None]:
    """Spans end here: those of the process's provider, or of one of our own where it has none."""
    with ExitStack() as stack:
        provider = trace._TRACER_PROVIDER
        if not isinstance(provider, TracerProvider):
            stack.enter_context(patch.object(trace, "_TRACER_PROVIDER", _own_provider()))
        elif provider is not _active.provider:
            _divert(provider, stack)
        stack.enter_context(patch.object(_active, "captured", captured))
        yield


def _own_provider() -> TracerProvider:
    """One for all blocks: tracers that were made in the first are captured in the next as well."""
    if _active.provider is None:
        _active.provider = TracerProvider(
            sampler=_sampler, id_generator=_ids, shutdown_on_exit=False
        )
        _active.provider.add_span_processor(_processor)
    return _active.provider


def _divert(provider: TracerProvider, stack: ExitStack) -> None:
    """Have a provider's tracers, which hold on to its parts, sample all and export nothing."""
    processors = provider._active_span_processor
    kept = tuple(one for one in processors._span_processors if not _exports(one))
    stack.enter_context(patch.object(provider.sampler, "should_sample", _sampler.should_sample))
    for method in ("generate_trace_id", "generate_span_id", "is_trace_id_random"):
        given = getattr(_ids, method)
        stack.enter_context(patch.object(provider.id_generator, method, given, create=True))
    stack.enter_context(patch.object(processors, "_span_processors", (*kept, _processor)))


def _exports(processor: SpanProcessor) -> bool:
    ours = type(processor).__module__.startswith("midwatch.pipeline")
    return ours or isinstance(processor, BatchSpanProcessor | SimpleSpanProcessor)
