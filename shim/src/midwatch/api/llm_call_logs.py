"""One logged call of a model, as S4 (execution logs) has it.

A call that an instrumented client or framework makes inside is one call: it is counted once, and
what the client knows of its tokens is taken over. The ledger makes of it a row of `llm_call_logs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Self

from opentelemetry.context import Context, get_current, get_value, set_value
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.trace import SpanKind, set_span_in_context
from opentelemetry.util.genai._inference_invocation import (
    CLIENT_INFERENCE_CONTEXT_KEY,
    InferenceData,
)

from midwatch.api import arguments
from midwatch.api.logged import CANCELLED, FAILED, Logged
from midwatch.api.spans import set_known, start_span
from midwatch.api.token_prices import as_cost, split_cost
from midwatch.instruments.agent_context import current_agent
from midwatch.instruments.facts import ModelCall
from midwatch.instruments.model_calls import (
    UNKNOWN,
    WATCHED_CALL,
    WatchedCall,
    process_model_calls,
    usage_of,
)
from midwatch.instruments.model_errors import error_kind, error_kind_of_name
from midwatch.instruments.prices import Cost
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.tokens import TokenUsage
from midwatch.pipeline.content_names import INPUT_MESSAGES, OUTPUT_MESSAGES
from midwatch.registry.span_attributes import (
    EXECUTION_LOG_ID,
    INPUT_COST_USD,
    OUTPUT_COST_USD,
    STREAM_CHUNKS,
)

INFERENCE, STREAM = "inference", "inference_stream"

_OPERATION = gen_ai.GenAiOperationNameValues.CHAT.value
_RECORDED_INSIDE = "chat_log"
_MOST_RESPONSE = 65_536


class LLMCallLog(Logged):
    """One call of a model, with the columns of S4's table as attributes.

    `response`, the tokens, `chunks_count`, `metadata`, `status` and `error_message` may be set
    while it runs; tokens that are not set are those that an instrumented client was told. Prompt
    and response leave the process by content policy only. Costs are in US dollars, None when they
    are not known.
    """

    def __init__(
        self,
        token_prices: Callable[[], object],
        provider: str,
        model_id: str,
        call_type: str = INFERENCE,
        prompt: object = None,
        is_streaming: bool = False,
        execution_log_id: object = None,
        report_id: object = None,
        completion_id: object = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._token_prices = token_prices
        self._given = (
            *(provider, model_id, call_type, prompt, is_streaming),
            *(execution_log_id, report_id, completion_id, metadata),
        )
        self.provider = arguments.name(provider, UNKNOWN)
        self.model_id = arguments.name(model_id, UNKNOWN)
        self.is_streaming = arguments.flag(is_streaming) or arguments.name(call_type) == STREAM
        self.call_type = STREAM if self.is_streaming else INFERENCE
        self.prompt = prompt
        self.response: object = None
        self.execution_log_id = execution_log_id
        self.report_id, self.completion_id = report_id, completion_id
        self.metadata = metadata
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.cache_read_tokens: int | None = None
        self.cache_write_tokens: int | None = None
        self.reasoning_tokens: int | None = None
        self.input_cost: Decimal | None = None
        self.output_cost: Decimal | None = None
        self.total_cost: Decimal | None = None
        self.chunks_count: int | None = 0 if self.is_streaming else None
        self._first_chunk_seconds: float | None = None
        self._data = InferenceData()
        self._watched = WatchedCall()
        self._outer: Context = Context()
        self._within: InferenceData | None = None

    def again(self) -> Self:
        """A fresh call of the same model."""
        return type(self)(self._token_prices, *self._given)

    @property
    def total_tokens(self) -> int | None:
        """Input and output tokens; None while both are not known."""
        known = arguments.count(self.input_tokens), arguments.count(self.output_tokens)
        return None if known[0] is None or known[1] is None else known[0] + known[1]

    def chunk(self, text: object = None) -> None:
        """A chunk of a streamed answer arrived; its text is kept by content policy only."""
        if self._first_chunk_seconds is None:
            self._first_chunk_seconds = self.seconds()
        self.chunks_count = (arguments.count(self.chunks_count) or 0) + 1
        if isinstance(text, str) and get_recorder().captures_content:
            before = self.response if isinstance(self.response, str) else ""
            if len(before) < _MOST_RESPONSE:
                self.response = before + text[:_MOST_RESPONSE]

    def _open(self) -> None:
        self._outer = get_current()
        within = get_value(CLIENT_INFERENCE_CONTEXT_KEY)
        self._within = within if isinstance(within, InferenceData) else None
        self._data, self._watched = InferenceData(), WatchedCall()
        attributes: dict[str, str | bool] = {
            gen_ai.GEN_AI_OPERATION_NAME: _OPERATION,
            gen_ai.GEN_AI_PROVIDER_NAME: self.provider,
            gen_ai.GEN_AI_REQUEST_MODEL: self.model_id,
        }
        if self.is_streaming:
            attributes["gen_ai.request.stream"] = True
        self.span = start_span(f"{_OPERATION} {self.model_id}", attributes, kind=SpanKind.CLIENT)
        log_id = arguments.name(self.execution_log_id)
        set_known(self.span, {EXECUTION_LOG_ID.name: log_id})

    def _context(self) -> Context:
        # Tells a provider's own instrumentation that the call has its span: it adds what it knows
        # to the data here, and counts nothing.
        inside = set_value(CLIENT_INFERENCE_CONTEXT_KEY, self._data, super()._context())
        return set_value(WATCHED_CALL, self._watched, inside)

    def _returned(self, result: object) -> None:
        if self.response is None:
            self.response = result

    def _close(self, error: BaseException | None) -> None:
        usage = self._usage()
        self._tell_tokens(usage)
        cost = self._cost(usage)
        self.holds(INPUT_MESSAGES, self.prompt)
        self.holds(OUTPUT_MESSAGES, self.response)
        if self._within is not None or self._watched.seen:
            # It is recorded already, by what is around it or by what it called.
            self.span.set_attribute(gen_ai.GEN_AI_OPERATION_NAME, _RECORDED_INSIDE)
            self._pass_on(usage)
            self._outer = Context()
            return
        calls = process_model_calls(get_recorder())
        within = set_span_in_context(self.span, self._outer)
        calls.finished(self.span, self._call(usage, cost, error), cost, within)
        self._outer = Context()

    def _usage(self) -> TokenUsage:
        seen = usage_of(self._data) or TokenUsage()
        return TokenUsage(
            _known(self.input_tokens, seen.input),
            _known(self.output_tokens, seen.output),
            _known(self.cache_read_tokens, seen.cache_read),
            _known(self.cache_write_tokens, seen.cache_write),
            _known(self.reasoning_tokens, seen.reasoning),
        )

    def _tell_tokens(self, usage: TokenUsage) -> None:
        if usage.total:
            self.input_tokens, self.output_tokens = usage.input, usage.output
        model = self._data.response_model
        set_known(
            self.span,
            {
                gen_ai.GEN_AI_RESPONSE_MODEL: model,
                gen_ai.GEN_AI_USAGE_INPUT_TOKENS: usage.input or None,
                gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: usage.output or None,
                "gen_ai.usage.cache_read.input_tokens": usage.cache_read or None,
                "gen_ai.usage.cache_write.input_tokens": usage.cache_write or None,
                "gen_ai.usage.reasoning.output_tokens": usage.reasoning or None,
                "gen_ai.response.time_to_first_chunk": self._first_chunk_seconds,
                STREAM_CHUNKS.name: self.chunks_count or None,
            },
        )

    def _cost(self, usage: TokenUsage) -> Cost | None:
        """Of the application's own prices, else of the price table; nothing is guessed."""
        if not usage.total:
            return None
        model = self._data.response_model or self.model_id
        parts = split_cost(self._token_prices(), model, usage)
        if parts is not None:
            cost: Cost | None = as_cost(parts)
        else:
            calls = process_model_calls(get_recorder())
            cost = calls.cost(self.provider, model, usage)
            into = calls.cost(self.provider, model, usage._replace(output=0, reasoning=0))
            if cost is not None:
                part = into.usd if into is not None else Decimal(0)
                parts = (part, cost.usd - part)
        if cost is None or parts is None:
            return None
        self.input_cost, self.output_cost = parts
        self.total_cost = cost.usd
        known = {INPUT_COST_USD.name: float(parts[0]), OUTPUT_COST_USD.name: float(parts[1])}
        set_known(self.span, known)
        return cost

    def _call(self, usage: TokenUsage, cost: Cost | None, error: BaseException | None) -> ModelCall:
        streaming = bool(self.chunks_count)
        failed, kind = self.status == FAILED, "none"
        message = arguments.name(self.error_message)
        if failed and error is not None:
            kind = error_kind(error, streaming=streaming)
        elif failed:
            kind = error_kind_of_name(message, streaming=streaming)
        return ModelCall(
            agent=current_agent(self._outer) or UNKNOWN,
            provider=self.provider,
            model=self._data.response_model or self.model_id,
            seconds=self.seconds(),
            status="error" if failed else "cancelled" if self.status == CANCELLED else "ok",
            error_type=kind,
            error=(type(error).__qualname__ if error is not None else message) if failed else "",
            time_to_first_token=self._first_chunk_seconds,
            input_tokens=usage.input,
            output_tokens=usage.output,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write,
            reasoning_tokens=usage.reasoning,
            cost_usd=None if cost is None else cost.usd,
            chunks=arguments.count(self.chunks_count) or 0,
            prompt_text=None if self.prompt is None else arguments.as_json(self.prompt),
            response_text=None if self.response is None else arguments.as_json(self.response),
        )

    def _pass_on(self, usage: TokenUsage) -> None:
        """Tell what is around the call of its tokens, if it does not know them."""
        data = self._within
        if data is not None and usage.total and usage_of(data) is None:
            data.usage_input_tokens, data.usage_output_tokens = usage.input, usage.output


def _known(given: object, seen: int) -> int:
    count = arguments.count(given)
    return seen if count is None else count
