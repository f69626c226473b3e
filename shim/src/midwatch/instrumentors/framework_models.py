"""Model calls that a framework tells of, recorded where no instrumented client made them.

Most frameworks call models through the providers' own clients, whose calls are recorded there with
more than the framework knows. For other ways (a client of the framework's own, a local model) the
framework's word is all there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, time_ns

from opentelemetry.context import Context, attach, get_current, set_value
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context

from midwatch.instruments.agent_context import current_agent
from midwatch.instruments.facts import ModelCall
from midwatch.instruments.model_calls import UNKNOWN, WATCHED_CALL, ModelCalls, WatchedCall
from midwatch.instruments.model_errors import error_kind, error_kind_of_name, is_cancellation
from midwatch.instruments.prices import Cost
from midwatch.instruments.tokens import TokenUsage
from midwatch.instruments.turns import quiet_detach


@dataclass
class ToldCall:
    """A model call as a framework tells of it.

    `told` is an error that the framework gives as words and not as an exception.
    """

    watched: WatchedCall
    context: Context
    started: float
    started_ns: int
    provider: str = ""
    model: str = ""
    usage: TokenUsage | None = None
    told: str = ""
    chunks: int = 0

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make its context the current one for the code that makes the call."""
        token = attach(self.context)
        try:
            yield
        finally:
            quiet_detach(token)


def begin_call(context: Context | None = None) -> ToldCall:
    """A model call begins; its `context` is for the code that makes it."""
    watched = WatchedCall()
    given = get_current() if context is None else context
    return ToldCall(watched, set_value(WATCHED_CALL, watched, given), perf_counter(), time_ns())


def end_call(
    told: ToldCall, tracer: Tracer, calls: ModelCalls, error: BaseException | None = None
) -> None:
    """The call has ended; records it, with a span from its start on, unless a client did."""
    if told.watched.seen:
        return
    call, cost = _call_of(told, calls, error)
    span = tracer.start_span(
        f"chat {call.model}",
        told.context,
        SpanKind.CLIENT,
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": call.provider,
            "gen_ai.request.model": call.model,
            "gen_ai.usage.input_tokens": call.input_tokens,
            "gen_ai.usage.output_tokens": call.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": call.cache_read_tokens,
            "gen_ai.usage.cache_write.input_tokens": call.cache_write_tokens,
            "gen_ai.usage.reasoning.output_tokens": call.reasoning_tokens,
        },
        start_time=told.started_ns,
    )
    if call.status == "error":
        span.set_attribute("error.type", call.error or "_OTHER")
        span.set_status(Status(StatusCode.ERROR, told.told or str(error)[:500]))
    calls.finished(span, call, cost, set_span_in_context(span, told.context))
    span.end()


def _call_of(
    told: ToldCall, calls: ModelCalls, error: BaseException | None
) -> tuple[ModelCall, Cost | None]:
    provider, model = told.provider or UNKNOWN, told.model or UNKNOWN
    usage = told.usage or TokenUsage()
    cost = calls.cost(provider, model, usage)
    status, kind, name = "ok", "none", ""
    if error is not None and is_cancellation(error):
        status = "cancelled"
    elif error is not None:
        status, kind, name = "error", error_kind(error), type(error).__qualname__
    elif told.told:
        status, kind, name = "error", error_kind_of_name(told.told), told.told
    call = ModelCall(
        agent=current_agent(told.context) or UNKNOWN,
        provider=provider,
        model=model,
        seconds=perf_counter() - told.started,
        status=status,
        error_type=kind,
        error=name,
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        reasoning_tokens=usage.reasoning,
        cost_usd=None if cost is None else cost.usd,
        chunks=told.chunks,
    )
    return call, cost
