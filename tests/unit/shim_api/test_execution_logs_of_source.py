"""S4 (execution logs): the document's own usage, and all it promises."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import midwatch
import pytest
from midwatch.instruments.agent_context import current_agent
from midwatch.instruments.recorder import get_recorder
from midwatch.pipeline.otlp_json import encode_spans
from midwatch_ledger.services import mapping, otlp
from opentelemetry import trace

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
    (record,) = otlp.decode_traces(encode_spans(telemetry.spans).body, is_json=True).records
    assert (
        log.id == mapping.execution_row(record, mapping.span_row(record), datetime.now(UTC))["id"]
    )


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


@pytest.mark.midwatch(content="full")
def test_the_ledger_makes_of_the_span_the_row_that_the_document_has(telemetry, execution_logger):
    report_id = uuid.uuid4()
    with execution_logger.log_execution(
        "designer",
        "execute",
        "create_widget",
        input_data={"a": 1},
        report_id=report_id,
        external_platform="slack",
        external_user_id="U1",
    ) as log:
        telemetry.clock.advance(5)
        log.output_data = {"b": 2}
    payload = encode_spans(telemetry.spans)
    (record,) = otlp.decode_traces(payload.body, is_json=True).records
    row = mapping.execution_row(record, mapping.span_row(record), datetime.now(UTC))
    expected = {
        "id": log.id,
        "agent_type": "designer",
        "execution_step": "execute",
        "action_type": "create_widget",
        "status": "completed",
        "start_time": log.start_time,
        "end_time": log.end_time,
        "duration_ms": 5000,
        "input_data": {"a": 1},
        "output_data": {"b": 2},
        "error_message": None,
        "report_id": report_id,
        "external_platform": "slack",
        "external_user_id": "U1",
    }
    assert {name: row[name] for name in expected} == expected
