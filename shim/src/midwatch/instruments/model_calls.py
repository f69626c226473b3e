"""Model calls: priced, attributed and recorded exactly once, whoever saw them.

There are three who see a call. LangChain's callback handler and the official GenAI
instrumentations report it themselves, with what they know about it, so that metrics do not depend
on whether its span is sampled; each does so while the span still takes attributes, so that the cost
lands on it. `ModelCallSpans` reads the rest, spans by the GenAI conventions that an application
makes by hand, off the spans when they end.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from opentelemetry.context import Context, create_key
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    StatusCode,
    get_tracer_provider,
    set_span_in_context,
)
from opentelemetry.util.genai._inference_invocation import (
    CLIENT_INFERENCE_CONTEXT_KEY,
    InferenceData,
)

from midwatch.config import load_settings
from midwatch.instruments.agent_context import current_agent
from midwatch.instruments.call_attributes import described, tier_in, with_prompt
from midwatch.instruments.facts import ModelCall
from midwatch.instruments.model_errors import error_kind_of_name
from midwatch.instruments.prices import Cost, PriceTable
from midwatch.instruments.recorder import Recorder
from midwatch.instruments.tokens import TokenUsage
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.present import enter_context, leave_context, present_context
from midwatch.registry.attributes import SPAN_AGENT
from midwatch.registry.span_attributes import CACHE_WRITE_1H_TOKENS

OPERATION = "gen_ai.operation.name"
MODEL_OPERATIONS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
UNKNOWN = "unknown"

WATCHED_CALL = create_key("midwatch-watched-call")
"""Carries the `WatchedCall` in the context."""


@dataclass
class WatchedCall:
    """A model call that a framework tells of, and whether a client was seen making it."""

    seen: bool = False


class ModelCalls:
    """Prices and records model calls.

    Args:
        recorder: where the facts go.
        prices: what tokens cost.
    """

    def __init__(self, recorder: Recorder, prices: PriceTable) -> None:
        self.recorder = recorder
        self.prices = prices
        self.watching = False
        self._recorded: set[int] = set()
        self._ignored: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def ignore(self, distributions: Iterable[str]) -> None:
        """Count nothing that the instrumentations of these distributions tell.

        They tell of calls that are told already.
        """
        self._ignored |= {name.replace("-", ".") for name in distributions}

    def ignores(self, scope: str) -> bool:
        """Whether a span of this instrumentation scope counts nothing."""
        return any(scope == name or scope.startswith(f"{name}.") for name in self._ignored)

    @property
    def wants_content(self) -> bool:
        """Whether prompts and answers are of use, so that nobody gathers text in vain."""
        return self.recorder.captures_content

    def watch(self) -> None:
        """Remember which spans were recorded, because someone is going to ask."""
        self.watching = True

    def mark(self, span: Span | ReadableSpan) -> None:
        """Say that the call of this span is recorded, or part of one that is."""
        context = span.get_span_context()
        if self.watching and context is not None:
            with self._lock:
                self._recorded.add(context.span_id)

    def take_mark(self, span: ReadableSpan) -> bool:
        """Whether the span is marked; the mark is then gone."""
        if not self._recorded:
            return False
        context = span.get_span_context()
        if context is None or context.span_id not in self._recorded:
            return False
        with self._lock:
            self._recorded.discard(context.span_id)
        return True

    def cost(self, provider: str, model: str, usage: TokenUsage, tier: str = "") -> Cost | None:
        """What a call cost; None when that is not known, or when nothing was used."""
        return self.prices.cost(provider, model, usage, tier) if usage.total else None

    def finished(
        self, span: Span, call: ModelCall, cost: Cost | None, context: Context | None = None
    ) -> None:
        """Record a call whose span is about to end; never raises.

        Args:
            span: the call's span, still recording if it ever was.
            call: the call, with its agent and its cost.
            cost: where that cost comes from.
            context: the call's context with its span, by default the current one.
        """
        around = present_context() if context is None else context
        token = enter_context(around)
        try:
            watched = around.get(WATCHED_CALL)
            if isinstance(watched, WatchedCall):
                watched.seen = True
            tells_cost = False
            if span.is_recording():
                span.set_attributes(described(call, cost))
                self.mark(span)
                tells_cost = cost is not None and cost.usd is call.cost_usd
            self.recorder.model_call(
                with_prompt(call, span), span=span if tells_cost else None, by="instrumentation"
            )
        except Exception as error:
            FAILURES.note("model_calls", error)
        finally:
            leave_context(token)


def watch_spans(calls: ModelCalls, tracer_provider: object | None = None) -> None:
    """Have model calls read off the spans of a provider, by default the global one; once only."""
    provider = tracer_provider or get_tracer_provider()
    if isinstance(provider, TracerProvider) and not calls.watching:
        provider.add_span_processor(ModelCallSpans(calls))


def usage_of(data: InferenceData) -> TokenUsage | None:
    """The tokens that an official instrumentation read off an answer, if it found any."""
    if data.usage_input_tokens is None and data.usage_output_tokens is None:
        return None
    return TokenUsage(
        data.usage_input_tokens or 0,
        data.usage_output_tokens or 0,
        data.usage_cache_read_input_tokens or 0,
        data.usage_cache_write_input_tokens or 0,
        data.usage_reasoning_output_tokens or 0,
    )


def process_model_calls(recorder: Recorder) -> ModelCalls:
    """The model calls of this process, priced as its settings say; the same for every caller.

    Whoever calls first decides on the recorder.
    """
    global _process_calls
    with _process_lock:
        if _process_calls is None or _process_calls.recorder is not recorder:
            _process_calls = ModelCalls(recorder, PriceTable.from_file(load_settings().prices_file))
        return _process_calls


_process_lock = threading.Lock()
_process_calls: ModelCalls | None = None


class ModelCallSpans(SpanProcessor):
    """Names the agent on spans of model calls, and records those that nobody else recorded.

    A span that is sampled out never gets here. That costs no model call of LangChain or of an
    official instrumentation, only those of spans made by hand; and the cost of those is in metrics
    and events, not on the span, which takes no attribute after its end.
    """

    def __init__(self, calls: ModelCalls) -> None:
        self._calls = calls
        calls.watch()

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """Put the acting agent on the span of a model call."""
        around = present_context() if parent_context is None else parent_context
        if WATCHED_CALL in around and isinstance(around[WATCHED_CALL], WatchedCall):
            # Whatever span of the call this is; some learn their operation only later.
            self._calls.mark(span)
        # Not by the property, which makes another object of them each time.
        attributes = span._attributes or {}
        if attributes.get(OPERATION) not in MODEL_OPERATIONS:
            return
        if isinstance(around.get(CLIENT_INFERENCE_CONTEXT_KEY), InferenceData):
            # Another's span of a call that is being recorded already.
            self._calls.mark(span)
            return
        agent = current_agent(around)
        if agent and SPAN_AGENT.name not in attributes:
            span.set_attribute(SPAN_AGENT.name, agent)

    def on_end(self, span: ReadableSpan) -> None:
        """Record the model call that a span by the conventions tells of."""
        marked = self._calls.take_mark(span)
        if marked or (span._attributes or {}).get(OPERATION) not in MODEL_OPERATIONS:
            return
        context = span.get_span_context()
        if context is None:
            return
        scope = span.instrumentation_scope
        if scope is not None and self._calls.ignores(scope.name):
            return
        try:
            ended = NonRecordingSpan(context)
            call, cost = self._call_of(span)
            call = with_prompt(call, span)
            self._calls.finished(ended, call, cost, set_span_in_context(ended))
        except Exception as error:
            FAILURES.note("model_calls", error)

    def _call_of(self, span: ReadableSpan) -> tuple[ModelCall, Cost | None]:
        read = _Attributes(span.attributes or {})
        usage = TokenUsage(
            read.count("gen_ai.usage.input_tokens"),
            read.count("gen_ai.usage.output_tokens"),
            read.count("gen_ai.usage.cache_read.input_tokens"),
            read.count("gen_ai.usage.cache_write.input_tokens")
            or read.count("gen_ai.usage.cache_creation.input_tokens"),
            read.count("gen_ai.usage.reasoning.output_tokens"),
            read.count(CACHE_WRITE_1H_TOKENS.name),
        )
        provider = read.text("gen_ai.provider.name") or read.text("gen_ai.system") or UNKNOWN
        model = read.text("gen_ai.response.model") or read.text("gen_ai.request.model") or UNKNOWN
        cost = self._calls.cost(provider, model, usage, tier_in(span.attributes or {}))
        failed = span.status.status_code is StatusCode.ERROR
        ended = span.end_time or 0
        call = ModelCall(
            agent=read.text(SPAN_AGENT.name) or UNKNOWN,
            provider=provider,
            model=model,
            seconds=(ended - (span.start_time or ended)) / 1e9,
            status="error" if failed else "ok",
            error_type=error_kind_of_name(read.text("error.type")) if failed else "none",
            error=read.text("error.type") if failed else "",
            time_to_first_token=read.number("gen_ai.response.time_to_first_chunk"),
            input_tokens=usage.input,
            output_tokens=usage.output,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write,
            reasoning_tokens=usage.reasoning,
            cost_usd=None if cost is None else cost.usd,
            ended_at=datetime.fromtimestamp(ended / 1e9, UTC),
        )
        return call, cost


class _Attributes:
    """Reads attributes by the types they should have."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given

    def text(self, name: str) -> str:
        value = self._given.get(name)
        return value if isinstance(value, str) else ""

    def count(self, name: str) -> int:
        value = self._given.get(name)
        return value if isinstance(value, int) else 0

    def number(self, name: str) -> float | None:
        value = self._given.get(name)
        return value if isinstance(value, float) else None
