"""S4 (execution logs): calls of models as the document has them, and all it promises."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import midwatch
import pytest
from midwatch.instruments.model_calls import process_model_calls
from midwatch.instruments.recorder import get_recorder
from opentelemetry import trace
from opentelemetry.util.genai.handler import TelemetryHandler

DB = object()


@pytest.fixture
def llm_call_logger():
    return midwatch.LLMCallLogger(DB)


async def letters():
    for letter in "abc":
        yield letter


class LLM:
    """The document's LLM class, with a logger."""

    def __init__(self, model: str, llm_call_logger: midwatch.LLMCallLogger) -> None:
        self.model, self.logger = model, llm_call_logger

    def inference(self, prompt: str, **ids: Any) -> str:
        with self.logger.log_llm_call("openai", self.model, prompt=prompt, **ids) as call:
            call.response = prompt.upper()
            call.input_tokens, call.output_tokens = 1500, 500
        return call.response

    async def inference_stream(self, prompt: str, **ids: Any):
        stream = self.logger.log_streaming_call("openai", self.model, prompt, letters(), **ids)
        async for chunk in stream:
            yield chunk


@pytest.mark.midwatch(content="full")
def test_the_documents_calls_of_a_model(telemetry, attributes_of, llm_call_logger):
    llm = LLM("gpt-4", llm_call_logger)
    assert llm.inference("hi", execution_log_id="exec_123", report_id="report_456") == "HI"
    found = attributes_of(telemetry.span("chat gpt-4"))
    assert found["gen_ai.provider.name"] == "openai"
    assert found["gen_ai.request.model"] == "gpt-4"
    assert found["midwatch.execution.log_id"] == "exec_123"
    assert found["midwatch.report.id"] == "report_456"
    assert found["gen_ai.input.messages"] == "hi"
    assert found["gen_ai.output.messages"] == "HI"
    assert found["gen_ai.usage.input_tokens"] == 1500
    assert telemetry.metric("agent_llm_requests_total", model="gpt-4", status="ok") == 1
    assert telemetry.metric("agent_llm_tokens_total", token_type="output") == 500
    assert telemetry.event("llm.called").metadata["prompt_text"] == "hi"


@pytest.mark.midwatch(content="full")
def test_the_documents_stream(telemetry, attributes_of, llm_call_logger):
    async def consume() -> list[str]:
        return [chunk async for chunk in LLM("gpt-4", llm_call_logger).inference_stream("Explain")]

    assert asyncio.run(consume()) == ["a", "b", "c"]
    found = attributes_of(telemetry.span("chat gpt-4"))
    assert found["gen_ai.request.stream"] is True
    assert found["midwatch.llm.stream_chunks"] == 3
    assert found["gen_ai.output.messages"] == "abc"
    assert found["midwatch.llm.usage_missing"] is True
    assert telemetry.metric("agent_llm_stream_chunks_total", model="gpt-4") == 3


def test_a_stream_that_is_given_up_is_cancelled_and_closed(telemetry, llm_call_logger):
    closed = []

    def source():
        try:
            yield from "abc"
        finally:
            closed.append("sync")

    async def asynchronous():
        try:
            for letter in "abc":
                yield letter
        finally:
            closed.append("async")

    stream = llm_call_logger.log_streaming_call("openai", "m", "p", source())
    assert next(stream) == "a"
    stream.close()

    async def consume() -> None:
        generator = llm_call_logger.log_streaming_call("openai", "m", "p", asynchronous())
        assert await anext(generator) == "a"
        await generator.aclose()

    asyncio.run(consume())
    assert closed == ["sync", "async"]
    assert telemetry.metric("agent_llm_requests_total", status="cancelled") == 2
    assert telemetry.metric("agent_llm_requests_total", status="error") == 0


def test_a_stream_that_fails_is_an_error(telemetry, llm_call_logger):
    def source():
        yield "a"
        raise ConnectionError("cut")

    stream = llm_call_logger.log_streaming_call("openai", "m", "p", source())
    with pytest.raises(ConnectionError, match="cut"):
        list(stream)
    assert telemetry.metric("agent_llm_requests_total", error_type="stream_cut") == 1


def test_the_documents_token_prices(telemetry, attributes_of):
    class Priced(midwatch.LLMCallLogger):
        def __init__(self) -> None:
            super().__init__()
            self.token_prices = {
                "gpt-4": {"input": 0.03, "output": 0.06},
                "custom-model": {"input": 0.001, "output": 0.002},
            }

    logger = Priced()
    with logger.log_llm_call("openai", "gpt-4") as call:
        call.input_tokens, call.output_tokens = 1500, 500
    assert (call.input_cost, call.output_cost) == (Decimal("0.045"), Decimal("0.03"))
    assert call.total_cost == Decimal("0.075")
    assert call.total_tokens == 2000
    found = attributes_of(telemetry.span("chat gpt-4"))
    assert found["midwatch.llm.cost_usd"] == 0.075
    assert found["midwatch.llm.input_cost_usd"] == 0.045
    assert found["midwatch.llm.price.table"] == "token_prices"
    assert telemetry.metric("agent_llm_cost_usd_total", model="gpt-4") == 0.075


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("custom", "0.001"),
        ("CUSTOM-2024-05-13", "0.001"),
        ("custom@v2", "0.001"),
        ("custom-mini", "0.5"),
        ("custom-mini-2024", "0.5"),
        ("custom-turbo", None),
        ("my-custom", None),
        ("broken", None),
    ],
)
def test_a_price_is_of_its_model_and_of_no_other(telemetry, llm_call_logger, model, cost):
    llm_call_logger.token_prices.update(
        {
            "custom": {"input": 0.001, "output": 0},
            "custom-mini": {"input": 0.5, "output": 0.5},
            "broken": {"input": "cheap"},
        }
    )
    with llm_call_logger.log_llm_call("own", model) as call:
        call.input_tokens, call.output_tokens = 1000, 0
    assert call.total_cost == (None if cost is None else Decimal(cost))
    unpriced = telemetry.metric("agent_llm_unpriced_tokens_total", model=model)
    assert unpriced == (1000 if cost is None else 0)


def test_models_without_a_price_of_ones_own_are_priced_by_the_table(
    telemetry, attributes_of, llm_call_logger
):
    with llm_call_logger.log_llm_call("openai", "gpt-4o-mini") as call:
        call.input_tokens, call.output_tokens = 1_000_000, 1_000_000
    assert call.total_cost == call.input_cost + call.output_cost
    assert call.total_cost > 0
    found = attributes_of(telemetry.span("chat gpt-4o-mini"))
    assert found["midwatch.llm.price.table"] != "token_prices"
    assert found["midwatch.llm.price.version"]


def test_a_call_belongs_to_the_agent_around_it_and_its_error_is_told(telemetry, llm_call_logger):
    call = llm_call_logger.log_llm_call("openai", "gpt-4")
    with pytest.raises(TimeoutError), midwatch.agent("planner"), call:
        raise TimeoutError("slow")
    assert telemetry.labels("agent_llm_requests_total") == [
        {
            "agent": "planner",
            "provider": "openai",
            "model": "gpt-4",
            "status": "error",
            "error_type": "timeout",
        }
    ]


def test_a_call_by_hand_from_start_to_end(telemetry, attributes_of, llm_call_logger):
    async def run() -> Any:
        call = await llm_call_logger.start_llm_call("openai", "gpt-4", prompt="hi")
        telemetry.clock.advance(2)
        return await llm_call_logger.end_llm_call(
            call, response="ho", input_tokens=3, output_tokens=4, metadata={"a": 1}
        )

    call = asyncio.run(run())
    assert (call.status, call.duration_ms, call.total_tokens) == ("completed", 2000, 7)
    assert telemetry.metric_sum("agent_llm_latency_seconds", model="gpt-4") == 2
    failed = llm_call_logger.start_llm_call("openai", "gpt-4")
    llm_call_logger.end_llm_call(failed, status="failed", error_message="RateLimitError")
    assert telemetry.metric("agent_llm_requests_total", error_type="rate_limit") == 1


def test_the_time_to_the_first_chunk_is_told(telemetry, attributes_of, llm_call_logger):
    with llm_call_logger.log_llm_call("openai", "m", is_streaming=True) as call:
        telemetry.clock.advance(0.5)
        call.chunk("a")
        telemetry.clock.advance(0.5)
        call.chunk("b")
    assert call.chunks_count == 2
    assert call.call_type == "inference_stream"
    assert telemetry.metric_sum("agent_llm_time_to_first_token_seconds", model="m") == 0.5


class TestInstrumentedInside:
    """What a client's own instrumentation sees of the call is the same call."""

    @pytest.fixture
    def client(self, telemetry):
        return TelemetryHandler(tracer_provider=trace.get_tracer_provider())

    def test_a_client_inside_adds_its_tokens_and_counts_nothing(
        self, telemetry, attributes_of, llm_call_logger, client
    ):
        with (
            llm_call_logger.log_llm_call("openai", "gpt-4o-mini") as call,
            client.inference("openai", request_model="gpt-4o-mini") as invocation,
        ):
            invocation.input_tokens, invocation.output_tokens = 10, 5
        assert (call.input_tokens, call.output_tokens) == (10, 5)
        assert telemetry.metric("agent_llm_requests_total") == 1
        chats = [
            span.name
            for span in telemetry.spans
            if attributes_of(span).get("gen_ai.operation.name") == "chat"
        ]
        assert chats == ["chat gpt-4o-mini"]

    def test_a_call_that_was_recorded_inside_is_not_recorded_again(
        self, telemetry, attributes_of, llm_call_logger
    ):
        from midwatch.instruments.facts import ModelCall

        with llm_call_logger.log_llm_call("openai", "gpt-4o-mini", report_id="r") as call:
            call.input_tokens = 10
            inner = ModelCall(agent="a", provider="openai", model="gpt-4o-mini", seconds=1.0)
            process_model_calls(get_recorder()).finished(trace.get_current_span(), inner, None)
        assert telemetry.metric("agent_llm_requests_total") == 1
        found = attributes_of(telemetry.span("chat gpt-4o-mini"))
        assert found["gen_ai.operation.name"] == "chat_log"
        assert found["midwatch.report.id"] == "r"

    def test_a_call_within_an_instrumented_one_counts_nothing_and_passes_its_tokens_on(
        self, telemetry, attributes_of, llm_call_logger, client
    ):
        with (
            client.inference("openai", request_model="gpt-4o-mini"),
            llm_call_logger.log_llm_call("openai", "gpt-4o-mini") as call,
        ):
            call.input_tokens, call.output_tokens = 10, 5
        assert telemetry.metric("agent_llm_requests_total") == 0, "the client records its own"
        outer, inner = telemetry.spans
        assert attributes_of(outer)["gen_ai.usage.input_tokens"] == 10
        assert attributes_of(inner)["gen_ai.operation.name"] == "chat_log"
