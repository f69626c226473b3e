"""The OpenAI Agents SDK, followed by its own interface for tracing.

The SDK's own exporter is left as it is: Midwatch neither adds nor starts one that sends anything to
the SDK's vendor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any

import wrapt
from agents.run import AgentRunner
from agents.tracing import Span, Trace, TracingProcessor, get_trace_provider
from agents.tracing.span_data import (
    AgentSpanData,
    FunctionSpanData,
    GenerationSpanData,
    GuardrailSpanData,
    HandoffSpanData,
    ResponseSpanData,
)
from opentelemetry.context import Context, attach
from opentelemetry.trace import get_tracer

from midwatch.instrumentors.framework_models import ToldCall, begin_call, end_call
from midwatch.instrumentors.framework_work import (
    NO_WORK,
    UNKNOWN,
    FrameworkWork,
    Work,
    context_below,
)
from midwatch.instruments.model_calls import ModelCalls, process_model_calls, watch_spans
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.recording import SCOPE
from midwatch.instruments.tokens import TokenUsage
from midwatch.instruments.turns import quiet_detach

_TRIPWIRE = "Guardrail tripwire triggered"
_PROVIDER = "openai"
_SESSION: ContextVar[str] = ContextVar("midwatch_agents_session", default="")


class OpenAIAgentsInstrumentation:
    """Instruments the SDK."""

    def instrument(self) -> None:
        """Add a processor to those that the SDK tells of its traces."""
        recorder = get_recorder()
        tracer = get_tracer(SCOPE)
        calls = process_model_calls(recorder)
        watch_spans(calls)
        processor = AgentsProcessor(FrameworkWork(tracer, recorder, "openai_agents"), calls)
        provider = get_trace_provider()
        if os.environ.get("OPENAI_AGENTS_DISABLE_TRACING", "").lower() in {"true", "1"}:
            # Said so that nothing is sent to the vendor: without its exporter nothing can be.
            provider.set_processors([processor])
            provider.set_disabled(False)
        else:
            provider.register_processor(processor)
        wrapt.wrap_function_wrapper(AgentRunner, "run", _with_session_async)
        wrapt.wrap_function_wrapper(AgentRunner, "run_streamed", _with_session)
        calls.prices.load()


class _Open:
    """What an open span of the SDK is to us."""

    __slots__ = ("before", "call", "token", "work")

    def __init__(self, work: Work, context: Context, call: ToldCall | None = None) -> None:
        self.work = work
        self.call = call
        self.before = sys.exc_info()[1]
        self.token: Token[Context] = attach(context)


class AgentsProcessor(TracingProcessor):  # type: ignore[misc]
    """Turns what the SDK tells of its traces into spans, metrics and events; never raises.

    Args:
        work: records agents and tools.
        calls: records model calls that no instrumented client makes.
    """

    def __init__(self, work: FrameworkWork, calls: ModelCalls) -> None:
        self._work = work
        self._calls = calls
        self._tracer = get_tracer(SCOPE)
        self._traces: dict[str, Work] = {}
        self._open: dict[str, _Open] = {}
        self._works: dict[str, Work] = {}

    def on_trace_start(self, trace: Trace) -> None:
        """A run begins."""
        with self._work.safely():
            session = str(getattr(trace, "group_id", None) or "") or _SESSION.get()
            self._traces[trace.trace_id] = self._work.begin_workflow(trace.name, session)

    def on_trace_end(self, trace: Trace) -> None:
        """A run has ended; an exception on its way through here is its error."""
        with self._work.safely():
            work = self._traces.pop(trace.trace_id, NO_WORK)
            error = sys.exc_info()[1]
            stopped = error is not None and "Tripwire" in type(error).__name__
            if stopped and work.scope is not None and not work.scope.joined:
                # A guardrail that stops a run does what it is for.
                work.scope.turn.outcome = work.scope.turn.outcome or "interrupted"
            self._work.end_workflow(work, None if stopped else error)

    def on_span_start(self, span: Span[Any]) -> None:
        """A part of a run begins."""
        with self._work.safely():
            parent, data = self._parent_of(span), span.span_data
            work = parent
            if isinstance(data, AgentSpanData):
                work = self._work.begin_agent(data.name, parent=parent)
                self._open[span.span_id] = _Open(work, work.context)
            elif isinstance(data, FunctionSpanData):
                work = self._work.begin_tool(data.name, parent)
                self._open[span.span_id] = _Open(work, work.context)
            elif isinstance(data, GenerationSpanData | ResponseSpanData):
                call = begin_call(context_below(parent))
                self._open[span.span_id] = _Open(parent, call.context, call)
            self._works[span.span_id] = work

    def on_span_end(self, span: Span[Any]) -> None:
        """A part of a run has ended."""
        with self._work.safely():
            was, data = self._open.pop(span.span_id, None), span.span_data
            around = self._parent_of(span)
            self._works.pop(span.span_id, None)
            if isinstance(data, HandoffSpanData):
                with around.current():
                    self._work.recorder.handoff(
                        data.from_agent or UNKNOWN, data.to_agent or UNKNOWN
                    )
            elif isinstance(data, GuardrailSpanData):
                decision = "deny" if data.triggered else "allow"
                reason = "tripwire" if data.triggered else "none"
                with around.current():
                    self._work.recorder.guardrail(data.name, decision, reason)
            elif was is not None:
                quiet_detach(was.token)
                error = sys.exc_info()[1]
                self._end(span, was, None if error is was.before else error)

    def shutdown(self) -> None:
        """Nothing is kept beyond a span's end."""

    def force_flush(self) -> None:
        """Nothing is queued."""

    def _end(self, span: Span[Any], was: _Open, error: BaseException | None) -> None:
        data, told = span.span_data, _words(span.error)
        if was.call is not None:
            was.call.told = told if error is None else ""
            _read(data, was.call)
            end_call(was.call, self._tracer, self._calls, error)
        elif isinstance(data, AgentSpanData):
            stopped = told == _TRIPWIRE or "Tripwire" in type(error).__name__
            if not stopped:
                was.work.told = told
            self._work.end_agent(
                was.work, None if stopped else error, "interrupted" if stopped else ""
            )
        else:
            was.work.told = told
            self._work.end_tool(was.work, error)

    def _parent_of(self, span: Span[Any]) -> Work:
        """The work around a span; spans that mean nothing to us pass theirs on."""
        return self._works.get(span.parent_id or "") or self._traces.get(span.trace_id, NO_WORK)


def _words(error: object) -> str:
    return str(error.get("message") or "_OTHER") if isinstance(error, Mapping) else ""


def _read(data: object, call: ToldCall) -> None:
    """What a span of the SDK says about a model call."""
    usage: object = None
    if isinstance(data, GenerationSpanData):
        call.model, usage = str(data.model or ""), data.usage
        config = data.model_config or {}
        call.provider = str(config.get("provider") or _PROVIDER)
    elif isinstance(data, ResponseSpanData):
        call.model, usage = str(getattr(data.response, "model", "") or ""), data.usage
        call.provider = _PROVIDER
    if isinstance(usage, Mapping):
        call.usage = _usage(usage)


def _usage(told: Mapping[str, Any]) -> TokenUsage:
    into = told.get("input_tokens_details") or {}
    out = told.get("output_tokens_details") or {}
    return TokenUsage(
        _count(told, "input_tokens"),
        _count(told, "output_tokens"),
        _count(into, "cached_tokens"),
        0,
        _count(out, "reasoning_tokens"),
    )


def _count(told: object, key: str) -> int:
    value = told.get(key) if isinstance(told, Mapping) else None
    return value if isinstance(value, int) else 0


_Call = Callable[..., Any]


def _session_of(kwargs: Mapping[str, Any]) -> str:
    return str(getattr(kwargs.get("session"), "session_id", "") or "")


async def _with_session_async(
    wrapped: _Call, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    token = _SESSION.set(_session_of(kwargs))
    try:
        return await wrapped(*args, **kwargs)
    finally:
        _SESSION.reset(token)


def _with_session(wrapped: _Call, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    token = _SESSION.set(_session_of(kwargs))
    try:
        return wrapped(*args, **kwargs)
    finally:
        _SESSION.reset(token)
