"""The fact that a model was called: requests, tokens, cost and time."""

from __future__ import annotations

from datetime import UTC, datetime

from opentelemetry.trace import Span

from midwatch.instruments.facts import ModelCall
from midwatch.instruments.reconcile import By
from midwatch.instruments.recording import fact
from midwatch.instruments.turn_recording import TurnRecording
from midwatch.pipeline.present import span_in
from midwatch.registry import attributes, events, llm_metrics


class ModelRecording(TurnRecording):
    """Records calls of models."""

    @fact
    def model_call(
        self, call: ModelCall, *, span: Span | None = None, by: By = "instrumentation"
    ) -> None:
        """A model was called; `span` is one that tells the cost already."""
        labels = (call.agent, call.provider, call.model)
        requests = (*labels, call.status, call.error_type)
        turn = self._turn()
        if not self._count_in(turn, by, llm_metrics.AGENT_LLM_REQUESTS, requests):
            return
        put = self._instruments.put
        put(llm_metrics.AGENT_LLM_LATENCY, call.seconds, labels)
        if call.time_to_first_token is not None:
            put(llm_metrics.AGENT_LLM_TIME_TO_FIRST_TOKEN, call.time_to_first_token, labels)
        if call.chunks:
            put(llm_metrics.AGENT_LLM_STREAM_CHUNKS, call.chunks, labels)
        for token_type, count in call.tokens:
            if count:
                put(llm_metrics.AGENT_LLM_TOKENS, count, (*labels, token_type))
        self._record_cost(call, labels, span)
        if turn is not None:
            turn.called_model(call.cost_usd)
        self._emit(by, events.LLM_CALLED, self._metadata(call), on_span=False)

    def _record_cost(
        self, call: ModelCall, labels: tuple[str, str, str], telling: Span | None
    ) -> None:
        if call.cost_usd is not None:
            self._instruments.put(llm_metrics.AGENT_LLM_COST_USD, float(call.cost_usd), labels)
            span = span_in()
            if span is not telling and span.is_recording():
                span.set_attribute(attributes.COST_USD.name, float(call.cost_usd))
            return
        if call.usage_missing:
            self._instruments.add(llm_metrics.LLM_USAGE_MISSING, 1, call.provider, call.model)
        unpriced = call.input_tokens + call.output_tokens
        if unpriced:
            self._instruments.add(
                llm_metrics.AGENT_LLM_UNPRICED_TOKENS, unpriced, call.provider, call.model
            )

    def _metadata(self, call: ModelCall) -> dict[str, object]:
        return {
            "agent_id": call.agent,
            "task_id": call.task_id or None,
            "timestamp_prompt": _in_utc(call.started_at),
            "timestamp_response": _in_utc(call.ended_at),
            "llm_model_name": call.model,
            "llm_parameters": call.parameters or None,
            "prompt_text": call.prompt_text,
            "response_text": call.response_text,
            "prompt_tokens": call.input_tokens,
            "completion_tokens": call.output_tokens,
            "total_tokens": call.input_tokens + call.output_tokens,
            "cost": call.cost_usd,
            "error": call.error or None,
            "provider": call.provider,
            "status": call.status,
            "error_type": call.error_type,
            "seconds": round(call.seconds, 6),
            "time_to_first_token": call.time_to_first_token,
            "cache_read_tokens": call.cache_read_tokens,
            "cache_write_tokens": call.cache_write_tokens,
            "reasoning_tokens": call.reasoning_tokens,
            "prompt": call.prompt or None,
            "prompt_version": call.prompt_version or None,
            "prompt_variant": call.prompt_variant or None,
            "prompt_label": call.prompt_label or None,
        }


def _in_utc(at: datetime) -> datetime:
    return at if at.tzinfo is UTC else at.astimezone(UTC)
