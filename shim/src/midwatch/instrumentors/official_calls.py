"""Reads model calls off the invocations of the official GenAI instrumentations.

An invocation knows everything about its call whether or not its span is sampled, and it is finished
before its span ends. Only an invocation that is not nested in another one is read: the nested ones
are about the same call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from timeit import default_timer
from typing import Any

import wrapt
from opentelemetry.util.genai._embedding_invocation import (
    EmbeddingInvocation,
    SuppressedEmbeddingInvocation,
)
from opentelemetry.util.genai._inference_invocation import (
    InferenceData,
    InferenceInvocation,
    SuppressedInferenceInvocation,
)
from opentelemetry.util.genai._invocation import GenAIInvocation
from opentelemetry.util.genai.types import Error, InputMessage, OutputMessage, TextPart

from midwatch.instruments.agent_context import current_agent
from midwatch.instruments.call_attributes import tier_in
from midwatch.instruments.facts import ModelCall
from midwatch.instruments.model_calls import UNKNOWN, ModelCalls, usage_of
from midwatch.instruments.model_errors import error_kind, error_kind_of_name, is_cancellation
from midwatch.instruments.prices import Cost
from midwatch.instruments.tokens import TokenUsage
from midwatch.pipeline.failures import FAILURES
from midwatch.registry.span_attributes import CACHE_WRITE_1H_TOKENS, RUN_OUTCOME

_CHUNKS = "_midwatch_chunks"
_BESIDE_INPUT = "aws.bedrock"
_NESTED = (SuppressedInferenceInvocation, SuppressedEmbeddingInvocation)
_Wrapped = Callable[..., None]


class _Active:
    """Who records, if anyone; what is wrapped stays wrapped."""

    def __init__(self) -> None:
        self.calls: ModelCalls | None = None
        self.clients: set[str] = set()
        self.wrapped = False
        self.lock = threading.Lock()


_active = _Active()


def record_with(calls: ModelCalls, client: str) -> None:
    """Record every call of an official instrumentation from now on, for one more client."""
    with _active.lock:
        _active.calls = calls
        _active.clients.add(client)
        if _active.wrapped:
            return
        _active.wrapped = True
    for owner, method, wrapper in (
        (InferenceInvocation, "_apply_finish", _after_finish),
        (EmbeddingInvocation, "_apply_finish", _after_finish),
        (InferenceInvocation, "_on_stream_chunk", _on_chunk),
        (GenAIInvocation, "_apply_error_attributes", _on_error),
    ):
        wrapt.wrap_function_wrapper(owner, method, wrapper)


def stop(client: str) -> None:
    """Record no calls any more once no client is left."""
    with _active.lock:
        _active.clients.discard(client)
        if not _active.clients:
            _active.calls = None


def _after_finish(
    wrapped: _Wrapped, invocation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    calls = _active.calls
    if calls is not None and isinstance(invocation, InferenceInvocation):
        _count_cached_as_input(invocation.data)
    wrapped(*args, **kwargs)
    if calls is None or isinstance(invocation, _NESTED):
        return
    try:
        error: Error | None = args[0] if args else kwargs.get("error")
        read = _inference if isinstance(invocation, InferenceInvocation) else _embedding
        call, cost = read(invocation, error, calls)
        calls.finished(invocation.span, call, cost, invocation.context)
    except Exception as failure:
        FAILURES.note("model_client", failure)


def _count_cached_as_input(data: InferenceData) -> None:
    """Make cached tokens a part of the input, as the conventions have it.

    Bedrock tells them beside its input tokens, and its official instrumentation passes that on.
    """
    if data.provider_name == _BESIDE_INPUT and data.usage_input_tokens is not None:
        data.usage_input_tokens += data.usage_cache_read_input_tokens or 0
        data.usage_input_tokens += data.usage_cache_write_input_tokens or 0


def _on_chunk(
    wrapped: _Wrapped, invocation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    wrapped(*args, **kwargs)
    setattr(invocation, _CHUNKS, getattr(invocation, _CHUNKS, 0) + 1)


def _on_error(
    wrapped: _Wrapped, invocation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    error: Error | None = args[0] if args else kwargs.get("error")
    if _active.calls is not None and _gave_up(error):
        # Whoever stops to listen to a stream has not failed.
        invocation.attributes[RUN_OUTCOME.name] = "cancelled"
        return
    wrapped(*args, **kwargs)


def _inference(
    invocation: InferenceInvocation, error: Error | None, calls: ModelCalls
) -> tuple[ModelCall, Cost | None]:
    data = invocation.data
    chunks = getattr(invocation, _CHUNKS, 0)
    status, kind, name = _end_of(error, streaming=chunks > 0)
    provider = data.provider_name or UNKNOWN
    model = data.response_model or data.request_model or UNKNOWN
    usage = usage_of(data) or TokenUsage()
    for_an_hour = invocation.attributes.get(CACHE_WRITE_1H_TOKENS.name)
    if isinstance(for_an_hour, int):
        usage = usage._replace(cache_write_1h=min(for_an_hour, usage.cache_write))
    cost = calls.cost(provider, model, usage, tier_in(invocation.attributes))
    call = ModelCall(
        agent=current_agent(invocation.context) or UNKNOWN,
        provider=provider,
        model=model,
        seconds=_seconds(invocation),
        status=status,
        error_type=kind,
        error=name,
        time_to_first_token=invocation._ttfc_seconds,
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        reasoning_tokens=usage.reasoning,
        cost_usd=None if cost is None else cost.usd,
        chunks=chunks,
        parameters=_parameters(invocation),
        prompt_text=_text(data.input_messages) if calls.wants_content else None,
        response_text=_text(data.output_messages) if calls.wants_content else None,
    )
    return call, cost


def _embedding(
    invocation: EmbeddingInvocation, error: Error | None, calls: ModelCalls
) -> tuple[ModelCall, Cost | None]:
    status, kind, name = _end_of(error, streaming=False)
    provider = invocation.provider or UNKNOWN
    model = invocation.response_model_name or invocation.request_model or UNKNOWN
    usage = TokenUsage(invocation.input_tokens or 0)
    cost = calls.cost(provider, model, usage)
    call = ModelCall(
        agent=current_agent(invocation.context) or UNKNOWN,
        provider=provider,
        model=model,
        seconds=_seconds(invocation),
        status=status,
        error_type=kind,
        error=name,
        input_tokens=usage.input,
        cost_usd=None if cost is None else cost.usd,
    )
    return call, cost


def _end_of(error: Error | None, *, streaming: bool) -> tuple[str, str, str]:
    """Status, error type and error of a call."""
    if error is None:
        return "ok", "none", ""
    if _gave_up(error):
        return "cancelled", "none", ""
    if error.exception is None:
        return "error", error_kind_of_name(error.type, streaming=streaming), error.type
    return "error", error_kind(error.exception, streaming=streaming), error.type


def _gave_up(error: Error | None) -> bool:
    return error is not None and error.exception is not None and is_cancellation(error.exception)


def _parameters(invocation: InferenceInvocation) -> dict[str, object]:
    given = {
        "temperature": invocation.temperature,
        "max_tokens": invocation.max_tokens,
        "top_p": invocation.top_p,
        "seed": invocation.seed,
    }
    return {name: value for name, value in given.items() if value is not None}


def _text(messages: object) -> str | None:
    """The texts of messages, if the official instrumentation was told to keep them."""
    if not isinstance(messages, list | tuple) or not messages:
        return None
    return "\n".join(
        f"{message.role}: {part.content}"
        for message in messages
        if isinstance(message, InputMessage | OutputMessage)
        for part in message.parts
        if isinstance(part, TextPart)
    )


def _seconds(invocation: GenAIInvocation) -> float:
    return max(default_timer() - invocation._monotonic_start_s, 0.0)
