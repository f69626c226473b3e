"""Reads a model call off what LangChain tells a callback handler about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from time import perf_counter
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult
from opentelemetry.util.genai._inference_invocation import InferenceData
from opentelemetry.util.types import AttributeValue

from midwatch.instruments.facts import ModelCall
from midwatch.instruments.model_calls import UNKNOWN, ModelCalls, usage_of
from midwatch.instruments.model_errors import error_kind, is_cancellation
from midwatch.instruments.prices import Cost
from midwatch.instruments.tokens import TokenUsage
from midwatch.registry.span_attributes import CACHE_WRITE_1H_TOKENS, SERVED_BY_TIER

# LangChain's names of providers where the conventions have another.
_PROVIDERS: Mapping[str, str] = {
    "amazon_bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "bedrock_converse": "aws.bedrock",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}
_PARAMETERS: Mapping[str, str] = {
    "temperature": "gen_ai.request.temperature",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
    "reasoning_effort": "gen_ai.request.reasoning.level",
}
_PLAIN = (str, int, float)
_WRITTEN_FOR_AN_HOUR = "ephemeral_1h_input_tokens"
_WRITTEN = ("ephemeral_5m_input_tokens", _WRITTEN_FOR_AN_HOUR)


@dataclass(eq=False, slots=True)
class CallProgress:
    """A model call while it runs; `data` is what a nested provider instrumentation adds to it."""

    provider: str
    model: str
    parameters: dict[str, AttributeValue]
    data: InferenceData = field(default_factory=lambda: _no_data())
    prompt_text: str | None = None
    chunks: int = 0
    first_chunk_seconds: float | None = None
    started: float = field(default_factory=perf_counter)

    def chunk(self) -> None:
        """Count one chunk of a streamed answer."""
        if self.first_chunk_seconds is None:
            self.first_chunk_seconds = perf_counter() - self.started
        self.chunks += 1

    def request_attributes(self) -> dict[str, AttributeValue]:
        """What the span has from its start."""
        return {
            "gen_ai.provider.name": self.provider,
            "gen_ai.request.model": self.model,
            **{
                _PARAMETERS[name]: value
                for name, value in self.parameters.items()
                if name in _PARAMETERS
            },
        }


class Answer(NamedTuple):
    """What a model answered."""

    model: str = ""
    response_id: str = ""
    finish_reasons: tuple[str, ...] = ()
    usage: TokenUsage | None = None
    text: str = ""
    cached: bool = False
    service_tier: str = ""


def _no_data() -> InferenceData:
    """What the class makes when it is called, ten times as fast: its fields' defaults are its own.

    It has some fifty of them, for a provider's instrumentation that is hardly ever there.
    """
    data = InferenceData.__new__(InferenceData)
    for name, make in _MADE:
        setattr(data, name, make())
    return data


_MADE = tuple(
    (one.name, one.default_factory)
    for one in fields(InferenceData)
    if one.default_factory is not MISSING
)


def begin_call(metadata: Mapping[str, Any], invocation_params: Mapping[str, Any]) -> CallProgress:
    """A call that begins, with its provider, its model and the parameters worth keeping."""
    provider = str(metadata.get("ls_provider") or UNKNOWN)
    model = (
        metadata.get("ls_model_name")
        or invocation_params.get("model")
        or invocation_params.get("model_name")
        or UNKNOWN
    )
    parameters: dict[str, AttributeValue] = {
        key: value
        for key in _PARAMETERS
        if key in invocation_params and isinstance(value := invocation_params[key], _PLAIN)
    }
    return CallProgress(_PROVIDERS.get(provider, provider), str(model), parameters)


def read_answer(result: LLMResult, *, with_text: bool) -> Answer:
    """The answer in a result; of several candidates the tokens add up and the first one speaks."""
    messages = [
        message
        for candidates in result.generations
        for candidate in candidates
        if isinstance(message := getattr(candidate, "message", None), BaseMessage)
    ]
    told = dict(result.llm_output or {})
    if messages:
        told.update(messages[0].response_metadata)
    reasons = [
        str(reason)
        for message in messages
        if (reason := message.response_metadata.get("finish_reason"))
    ]
    reported = [
        usage
        for message in messages
        if isinstance(usage := getattr(message, "usage_metadata", None), Mapping)
    ]
    return Answer(
        model=str(told.get("model_name") or told.get("model") or ""),
        response_id=str(told.get("id") or ""),
        finish_reasons=tuple(reasons),
        usage=_usage(reported, told),
        text="\n".join(str(message.text) for message in messages) if with_text else "",
        service_tier=_service_tier(told),
        cached=bool(reported) and all(usage.get("total_cost") == 0 for usage in reported),
    )


def _usage(reported: Sequence[Mapping[str, Any]], told: Mapping[str, Any]) -> TokenUsage | None:
    # Each candidate of one answer repeats the usage of the whole answer.
    for usage in reported:
        if "input_tokens" not in usage:
            continue
        into = usage.get("input_token_details") or {}
        out = usage.get("output_token_details") or {}
        if not into and not out:
            return TokenUsage(_count(usage, "input_tokens"), _count(usage, "output_tokens"))
        return TokenUsage(
            _count(usage, "input_tokens"),
            _count(usage, "output_tokens"),
            _count(into, "cache_read"),
            # Anthropic's are told by how long they are kept, and then not in sum.
            _count(into, "cache_creation") or sum(_count(into, name) for name in _WRITTEN),
            _count(out, "reasoning"),
            _count(into, _WRITTEN_FOR_AN_HOUR),
        )
    tokens = told.get("token_usage")
    if isinstance(tokens, Mapping) and "prompt_tokens" in tokens:
        return TokenUsage(_count(tokens, "prompt_tokens"), _count(tokens, "completion_tokens"))
    return None


def finish_call(
    progress: CallProgress,
    agent: str,
    seconds: float,
    answer: Answer,
    error: BaseException | None,
    calls: ModelCalls,
) -> tuple[ModelCall, Cost | None]:
    """The call as a fact, after its answer or its error, and where its cost comes from."""
    usage = answer.usage or usage_of(progress.data) or TokenUsage()
    model = answer.model or progress.data.response_model or progress.model
    cost = calls.cost(progress.provider, model, usage, answer.service_tier)
    cancelled = error is not None and is_cancellation(error)
    failed = error is not None and not cancelled
    streaming = progress.chunks > 0
    call = ModelCall(
        agent=agent or UNKNOWN,
        provider=progress.provider,
        model=model,
        seconds=seconds,
        status="cancelled" if cancelled else "error" if failed else "ok",
        error_type=error_kind(error, streaming=streaming) if error and failed else "none",
        error=type(error).__qualname__ if failed else "",
        time_to_first_token=progress.first_chunk_seconds,
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        reasoning_tokens=usage.reasoning,
        cost_usd=None if cost is None else cost.usd,
        chunks=progress.chunks,
        parameters=progress.parameters,
        prompt_text=progress.prompt_text,
        response_text=answer.text or None,
    )
    return call, cost


def response_attributes(
    progress: CallProgress, call: ModelCall, answer: Answer
) -> dict[str, AttributeValue]:
    """What the span learns at its end."""
    data = progress.data
    given: dict[str, AttributeValue | None] = {
        "gen_ai.response.model": answer.model or data.response_model,
        "gen_ai.response.id": answer.response_id or data.response_id,
        "gen_ai.response.finish_reasons": answer.finish_reasons or data.response_finish_reasons,
        "gen_ai.response.time_to_first_chunk": call.time_to_first_token,
        "gen_ai.request.stream": progress.chunks > 0 or None,
        "server.address": data.server_address,
        "server.port": data.server_port,
        "gen_ai.usage.input_tokens": call.input_tokens or None,
        "gen_ai.usage.output_tokens": call.output_tokens or None,
        "gen_ai.usage.cache_read.input_tokens": call.cache_read_tokens or None,
        "gen_ai.usage.cache_write.input_tokens": call.cache_write_tokens or None,
        "gen_ai.usage.reasoning.output_tokens": call.reasoning_tokens or None,
        SERVED_BY_TIER.name: answer.service_tier,
        CACHE_WRITE_1H_TOKENS.name: answer.usage.cache_write_1h if answer.usage else None,
    }
    return {name: value for name, value in given.items() if value}


def _service_tier(told: Mapping[str, Any]) -> str:
    """The tier that served the call: OpenAI tells it of the answer, Anthropic of its usage."""
    usage = told.get("usage")
    within = usage.get("service_tier") if isinstance(usage, Mapping) else None
    return str(told.get("service_tier") or within or "")


def _count(mapping: Mapping[str, Any], key: str) -> int:
    value = mapping.get(key)
    return value if isinstance(value, int) else 0
