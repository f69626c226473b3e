"""S4 (execution logs): the document's own usage, and all it promises."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import midwatch
import pytest
from midwatch.instruments.agent_context import current_agent
from midwatch.instruments.model_calls import process_model_calls
from midwatch.instruments.recorder import get_recorder
from midwatch_ledger.services import mapping
from opentelemetry import trace
from opentelemetry.util.genai.handler import TelemetryHandler

DB = object()
COLUMNS = (
    *("id", "execution_id", "agent_type", "execution_step", "action_type", "status"),
    *("start_time", "end_time", "duration_ms", "input_data", "output_data", "error_message"),
    *("metadata", "report_id", "completion_id", "widget_id", "step_id"),
    *("external_platform", "external_user_id"),
)


async def perform_task() -> str:
    await asyncio.sleep(0)
    return "done"


@pytest.fixture
def execution_logger():
    return midwatch.ExecutionLogger(DB)


@pytest.fixture
def llm_call_logger():
    return midwatch.LLMCallLogger(DB)


@pytest.mark.midwatch(content="full")
def test_the_documents_context_manager(telemetry, attributes_of, execution_logger):
    async def run() -> None:
        async with execution_logger.log_execution(
            agent_type="custom_agent",
            execution_step="custom_task",
            input_data={"param": "value"},
        ) as log_context:
            result = await perform_task()
            assert current_agent() == "custom_agent"
            log_context.output_data = {"result": result}
            log_context.metadata = {"additional": "info"}

    asyncio.run(run())
    found = attributes_of(telemetry.span("invoke_agent custom_agent"))
    assert found["midwatch.execution.step"] == "custom_task"
    assert found["midwatch.execution.status"] == "completed"
    assert found["midwatch.input"] == '{"param":"value"}'
    assert found["midwatch.output"] == '{"result":"done"}'
    assert found["midwatch.execution.metadata"] == '{"additional":"info"}'
    assert telemetry.metric("agent_invocations_total", agent="custom_agent", status="ok") == 1


@pytest.mark.parametrize("fails", [False, True])
def test_the_documents_custom_execution_logging(telemetry, attributes_of, execution_logger, fails):
    report_id, completion_id = uuid.uuid4(), uuid.uuid4()

    async def generate_plan() -> list[str]:
        telemetry.clock.advance(5)
        if fails:
            raise RuntimeError("no plan")
        return ["create_widget"]

    async def run() -> Any:
        execution_log = await execution_logger.start_execution(
            agent_type="planner",
            execution_step="plan",
            action_type="generate_plan",
            input_data={"schemas": "s", "prompt": "p"},
            report_id=report_id,
            completion_id=completion_id,
        )
        assert execution_log.status == "started"
        try:
            plan = await generate_plan()
            await execution_logger.end_execution(
                execution_log, status="completed", output_data={"plan": plan}
            )
        except Exception as e:
            await execution_logger.end_execution(
                execution_log, status="failed", error_message=str(e)
            )
        return execution_log

    log = asyncio.run(run())
    found = attributes_of(telemetry.span("invoke_agent planner"))
    assert found["midwatch.execution.action_type"] == "generate_plan"
    assert found["midwatch.report.id"] == str(report_id)
    assert found["midwatch.completion.id"] == str(completion_id)
    assert log.status == found["midwatch.execution.status"] == ("failed" if fails else "completed")
    assert log.duration_ms == 5000
    assert log.start_time == datetime(2026, 1, 1, tzinfo=UTC)
    assert log.error_message == ("no plan" if fails else None)
    status = "error" if fails else "ok"
    assert telemetry.metric("agent_invocations_total", agent="planner", status=status) == 1
    assert (telemetry.tree() == "invoke_agent planner [error: unknown]") is fails


def test_every_column_of_the_documents_table_is_on_the_span_or_the_log(
    telemetry, attributes_of, execution_logger
):
    ids = {name: uuid.uuid4() for name in ("report_id", "completion_id", "widget_id", "step_id")}
    with execution_logger.log_execution(
        "designer",
        "execute",
        action_type="create_widget",
        external_platform="slack",
        external_user_id="U1",
        execution_id="exec_abc123_1704067200",
        **ids,
    ) as log:
        pass
    found = attributes_of(telemetry.span("invoke_agent designer"))
    assert found["midwatch.execution.id"] == log.execution_id == "exec_abc123_1704067200"
    assert found["midwatch.external.platform"] == "slack"
    assert found["midwatch.external.user_id"] == "U1"
    for name, value in ids.items():
        assert found[f"midwatch.{name.removesuffix('_id')}.id"] == str(value)
    for column in COLUMNS:
        assert hasattr(log, column), column


def test_an_error_is_recorded_and_raised_on(telemetry, execution_logger):
    async def run() -> None:
        async with execution_logger.log_execution("answer", "execute"):
            raise KeyError("missing")

    with pytest.raises(KeyError, match="missing"):
        asyncio.run(run())
    span = telemetry.span("invoke_agent answer")
    assert [event.name for event in span.events] == ["exception"]
    assert telemetry.tree() == "invoke_agent answer [error: KeyError]"


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt])
def test_what_is_given_up_is_cancelled(telemetry, attributes_of, execution_logger, error):
    log = execution_logger.log_execution("answer", "execute")
    with pytest.raises(error), log:
        raise error
    found = attributes_of(telemetry.span("invoke_agent answer"))
    assert log.status == found["midwatch.execution.status"] == "cancelled"
    assert found["midwatch.run.outcome"] == "cancelled"
    assert telemetry.metric("agent_invocations_total", status="cancelled") == 1


def test_executions_nest_and_share_their_id(telemetry, execution_logger):
    with execution_logger.log_execution("planner", "plan") as outer:
        inner = execution_logger.start_execution("designer", "execute")
        with execution_logger.log_execution("coder", "execute", execution_id="own") as own:
            pass
        execution_logger.end_execution(inner)
        after = execution_logger.start_execution("answer", "observe")
        execution_logger.end_execution(after, status="cancelled")
    assert telemetry.tree() == (
        "invoke_agent planner\n  invoke_agent designer\n    invoke_agent coder\n"
        "  invoke_agent answer"
    )
    assert outer.execution_id == inner.execution_id == after.execution_id
    assert outer.execution_id == "exec_000000000001_1767225600"
    assert own.execution_id == "own"


def test_executions_one_after_the_other_in_a_trace_share_their_id(telemetry, execution_logger):
    def steps() -> list[str]:
        found = []
        for step in ("plan", "execute", "observe"):
            with execution_logger.log_execution("planner", step) as log:
                found.append(log.execution_id)
        return found

    with midwatch.turn():
        first = steps()
    with midwatch.turn():
        second = steps()
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] != second[0]
    assert len(set(steps())) == 3


def test_ends_in_any_order_leave_nothing_in_force(telemetry, execution_logger):
    def starts_and_ends() -> None:
        one = execution_logger.start_execution("a", "x")
        two = execution_logger.start_execution("b", "x")
        execution_logger.end_execution(one)
        assert current_agent() == "b"
        execution_logger.end_execution(two)

    with midwatch.agent("around"):
        starts_and_ends()
        assert current_agent() == "around"
        execution_logger.end_execution(execution_logger.start_execution("c", "x"))
    assert current_agent() == ""
    assert not trace.get_current_span().is_recording()


def test_an_execution_may_end_in_another_task_or_twice_or_not_at_all(telemetry, execution_logger):
    async def end(log: Any) -> None:
        await execution_logger.end_execution(log)

    async def run() -> None:
        log = await execution_logger.start_execution("a", "x")
        await asyncio.create_task(end(log))
        await execution_logger.end_execution(log, status="failed")
        await asyncio.create_task(begin())
        assert current_agent() == "a", "in this task it has never been ended"

    async def begin() -> None:
        await execution_logger.start_execution("b", "x")

    asyncio.run(run())
    assert telemetry.labels("agent_invocations_total") == [{"agent": "a", "status": "ok"}]
    execution_logger.end_execution(None)
    execution_logger.end_execution("no log")


def test_a_decorated_function_is_an_execution_each_time(telemetry, execution_logger):
    @execution_logger.log_execution("planner", "plan")
    async def plan(number: int) -> int:
        return number

    async def run() -> list[int]:
        return await asyncio.gather(plan(1), plan(2))

    assert asyncio.run(run()) == [1, 2]
    assert telemetry.metric("agent_invocations_total", agent="planner") == 2


def test_the_id_of_a_log_is_that_of_its_row_in_the_ledger(telemetry, execution_logger):
    with execution_logger.log_execution("planner", "plan") as log:
        pass
    context = telemetry.spans[0].get_span_context()
    assert context is not None
    row = mapping.row_id(f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert log.id == row


def test_where_telemetry_is_off_the_loggers_only_work(
    monkeypatch, execution_logger, llm_call_logger
):
    monkeypatch.setattr(get_recorder(), "enabled", False)

    async def run() -> None:
        log = await execution_logger.start_execution("planner", "plan")
        call = await llm_call_logger.start_llm_call("openai", "gpt-4")
        await llm_call_logger.end_llm_call(call, input_tokens=1)
        await execution_logger.end_execution(log)
        async with execution_logger.log_execution("planner", "plan") as block:
            block.output_data = {}
        stream = llm_call_logger.log_streaming_call("openai", "m", "p", letters())
        assert [letter async for letter in stream] == ["a", "b", "c"]
        assert list(llm_call_logger.log_streaming_call("openai", "m", "p", "abc")) == [*"abc"]

    asyncio.run(run())


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
