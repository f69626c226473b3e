"""The OpenAI Agents SDK: agents, handoffs, guardrails, tools, sessions, and nothing sent home."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import agents
import openai
import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    SQLiteSession,
    function_tool,
    input_guardrail,
)
from agents.testing import ScriptedModel, assistant_message, function_call
from agents.tracing import generation_span, get_trace_provider
from opentelemetry.trace import StatusCode

MODEL = "gpt-4o-mini"
COST = (600 * 0.15 + 400 * 0.075 + 500 * 0.60) / 1e6


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@function_tool
def lookup_invoice(number: str) -> str:
    """Find an invoice."""
    return f"invoice {number}: 12 EUR"


@function_tool(failure_error_function=None)
def broken_tool() -> str:
    """Fails."""
    raise ValueError("no such table")


def response(text: str = "hello", *, call: tuple[str, str] | None = None) -> dict[str, Any]:
    said: dict[str, Any] = {
        "type": "message",
        "id": "m1",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    if call is not None:
        name, arguments = call
        said = {
            "type": "function_call",
            "id": "f1",
            "call_id": "call_1",
            "name": name,
            "arguments": arguments,
            "status": "completed",
        }
    return {
        "id": "r1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": f"{MODEL}-2024-07-18",
        "output": [said],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 1000,
            "output_tokens": 500,
            "total_tokens": 1500,
            "input_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 100},
        },
    }


def model_of(server: Any) -> OpenAIResponsesModel:
    client = openai.AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0)
    return OpenAIResponsesModel(MODEL, client)


async def closing(model: OpenAIResponsesModel, work: Any) -> Any:
    try:
        return await work
    finally:
        await model._client.close()


def run(server: Any, agent: Agent[Any], model: Any, **given: Any) -> Any:
    return asyncio.run(closing(model, Runner.run(agent, "where is my invoice?", **given)))


def test_the_sdk_is_instrumented_on_its_import(states):
    assert states["openai-agents"] == "active"
    assert "openai-agents" not in [name for name, state in states.items() if state == "rival"]


def test_a_run_is_a_turn_with_its_agent_its_tool_and_its_model_calls(seen, server):
    model = model_of(server)
    server.will_answer(response(call=("lookup_invoice", '{"number": "7"}')))
    server.will_answer(response("12 EUR"))
    billing = Agent(name="billing", model=model, tools=[lookup_invoice])
    run(server, billing, model)
    assert seen.tree() == [
        "invoke_workflow Agent workflow",
        "  invoke_agent billing",
        f"    chat {MODEL}",
        "    execute_tool lookup_invoice",
        f"    chat {MODEL}",
    ]
    assert seen.count("agent.turns", entry_agent="billing", outcome="ok") == 1
    assert seen.count("agent.invocations", agent="billing", status="ok") == 1
    assert seen.count("agent.tool.calls", agent="billing", tool="lookup_invoice", status="ok") == 1
    assert seen.count("agent.llm.requests", agent="billing", provider="openai") == 2
    assert seen.count("agent.llm.cost_usd", agent="billing") == pytest.approx(2 * COST)
    assert seen.count("agent.turn.llm_calls") == 1


def test_a_handoff_is_counted_and_is_no_error(seen, server):
    model = model_of(server)
    refunds = Agent(name="refunds", model=model)
    triage = Agent(name="triage", model=model, handoffs=[refunds])
    server.will_answer(response(call=("transfer_to_refunds", "{}")))
    server.will_answer(response("done"))
    run(server, triage, model)
    assert seen.count("agent.handoff", from_agent="triage", to_agent="refunds") == 1
    assert seen.count("agent.invocations", status="ok") == 2
    assert seen.count("agent.llm.requests", agent="triage") == 1
    assert seen.count("agent.llm.requests", agent="refunds") == 1
    assert seen.count("agent.turns", entry_agent="triage", outcome="ok") == 1
    assert not [span for span in seen.spans() if span.status.status_code is StatusCode.ERROR]


@pytest.mark.parametrize("triggered", [True, False])
def test_a_guardrail_decides_and_a_tripwire_is_no_error(seen, triggered):
    @input_guardrail(name="politeness")
    def check(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=triggered)

    model = ScriptedModel([[assistant_message("hello")]])
    clerk = Agent(name="clerk", model=model, input_guardrails=[check])
    try:
        asyncio.run(Runner.run(clerk, "you fool"))
    except InputGuardrailTripwireTriggered:
        assert triggered
    decision = "deny" if triggered else "allow"
    assert seen.count("agent.guardrail", gate="politeness", decision=decision) == 1
    status = "interrupted" if triggered else "ok"
    assert seen.count("agent.invocations", agent="clerk", status=status) == 1
    assert seen.count("agent.turns", outcome=status) == 1
    assert seen.span("invoke_agent clerk").status.status_code is not StatusCode.ERROR


def test_a_tool_that_raises_is_an_error_of_tool_agent_and_turn(seen, server):
    model = model_of(server)
    server.will_answer(response(call=("broken_tool", "{}")))
    with pytest.raises(agents.exceptions.UserError):
        run(server, Agent(name="clerk", model=model, tools=[broken_tool]), model)
    assert seen.count("agent.tool.calls", tool="broken_tool", status="error") == 1
    assert seen.count("agent.invocations", agent="clerk", status="error") == 1
    assert seen.count("agent.turns", outcome="error") == 1
    assert seen.span("execute_tool broken_tool").status.status_code is StatusCode.ERROR


def test_a_model_that_refuses_is_an_error_of_its_kind(seen, server):
    model = model_of(server)
    server.will_answer({"error": {"message": "slow down"}}, 429)
    with pytest.raises(openai.RateLimitError):
        run(server, Agent(name="clerk", model=model), model)
    assert seen.count("agent.llm.requests", agent="clerk", error_type="rate_limit") == 1
    assert seen.count("agent.turns", outcome="error") == 1


def test_a_session_is_the_conversation(seen, server):
    model = model_of(server)
    server.will_answer(response())
    session = SQLiteSession("conversation-7")
    try:
        run(server, Agent(name="clerk", model=model), model, session=session)
    finally:
        session.close()
    span = seen.span("invoke_workflow Agent workflow")
    assert span.attributes["gen_ai.conversation.id"] == "conversation-7"
    assert seen.span("invoke_agent clerk").attributes["gen_ai.conversation.id"] == "conversation-7"


def test_a_group_of_traces_is_the_conversation_too(seen, server):
    model = model_of(server)
    server.will_answer(response())
    config = RunConfig(workflow_name="support", group_id="thread-1")
    run(server, Agent(name="clerk", model=model), model, run_config=config)
    span = seen.span("invoke_workflow support")
    assert span.attributes["gen_ai.conversation.id"] == "thread-1"


def streamed_events() -> list[tuple[str, dict[str, Any]]]:
    begun = {**response(), "status": "in_progress", "output": [], "usage": None}
    return [
        ("response.created", {"type": "response.created", "sequence_number": 0, "response": begun}),
        (
            "response.completed",
            {"type": "response.completed", "sequence_number": 1, "response": response()},
        ),
    ]


def test_a_streamed_run_is_a_turn_and_leaves_the_callers_context_alone(seen, server):
    from opentelemetry import trace

    model = model_of(server)
    server.will_stream(streamed_events())

    async def listen() -> None:
        result = Runner.run_streamed(Agent(name="clerk", model=model), "hi")
        async for _ in result.stream_events():
            assert not trace.get_current_span().get_span_context().is_valid
        await model._client.close()

    asyncio.run(listen())
    assert seen.tree() == [
        "invoke_workflow Agent workflow",
        "  invoke_agent clerk",
        f"    chat {MODEL}",
    ]
    assert seen.count("agent.turns", outcome="ok") == 1


class HouseModel(ScriptedModel):
    """A model that no instrumented client calls, as the SDK's adapters for other ones do."""

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        with generation_span(model="gpt-4o-mini") as span:
            answer = await super().get_response(*args, **kwargs)
            span.span_data.usage = {
                "input_tokens": 1000,
                "output_tokens": 500,
                "input_tokens_details": {"cached_tokens": 400},
                "output_tokens_details": {"reasoning_tokens": 100},
            }
            return answer


def test_a_model_without_an_instrumented_client_is_recorded_by_what_the_sdk_tells(seen):
    model = HouseModel([[assistant_message("hello")]])
    asyncio.run(Runner.run(Agent(name="clerk", model=model), "hi"))
    assert seen.count("agent.llm.requests", agent="clerk", status="ok") == 1
    assert seen.count("agent.llm.tokens", agent="clerk", token_type="input") == 1000
    assert seen.count("agent.llm.cost_usd", agent="clerk") == pytest.approx(COST)
    assert seen.span("chat gpt-4o-mini").attributes["midwatch.llm.cost_usd"] == pytest.approx(COST)


def test_such_a_model_that_fails_is_an_error(seen):
    model = HouseModel([TimeoutError("too slow")])
    with pytest.raises(TimeoutError):
        asyncio.run(Runner.run(Agent(name="clerk", model=model), "hi"))
    assert seen.count("agent.llm.requests", status="error", error_type="timeout") == 1


def test_parallel_runs_keep_their_turns_apart(seen):
    async def one(name: str) -> None:
        model = ScriptedModel(
            [
                [function_call("lookup_invoice", {"number": "7"}, call_id="c1")],
                [assistant_message("hello")],
            ]
        )
        await Runner.run(Agent(name=name, model=model, tools=[lookup_invoice]), "hi")

    async def all_at_once() -> None:
        await asyncio.gather(one("first"), one("second"), one("third"))

    asyncio.run(all_at_once())
    for name in ("first", "second", "third"):
        assert seen.count("agent.turns", entry_agent=name, outcome="ok") == 1
        assert seen.count("agent.tool.calls", agent=name, tool="lookup_invoice") == 1
    assert len(seen.tree()) == 9
    assert len({span.context.trace_id for span in seen.spans()}) == 3


def test_a_cancelled_run_is_no_error(seen, server):
    model = model_of(server)
    server.will_hang()

    async def give_up() -> None:
        running = asyncio.ensure_future(Runner.run(Agent(name="clerk", model=model), "hi"))
        async with asyncio.timeout(10):
            while not server.requests:
                await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await model._client.close()

    asyncio.run(give_up())
    assert seen.count("agent.invocations", agent="clerk", status="cancelled") == 1
    assert seen.count("agent.turns", outcome="cancelled") == 1
    assert not [span for span in seen.spans() if span.status.status_code is StatusCode.ERROR]


def test_the_exporter_of_the_sdks_vendor_is_neither_added_nor_configured_by_us():
    processors = get_trace_provider()._multi_processor._processors
    names = [type(processor).__module__.partition(".")[0] for processor in processors]
    assert names == ["agents", "midwatch"]
    exporter = processors[0]._exporter
    assert not exporter.api_key


def test_with_the_sdks_tracing_off_it_is_still_seen_and_its_exporter_is_gone():
    program = """
import asyncio
import midwatch
midwatch.init()
from agents import Agent, Runner
from agents.testing import ScriptedModel, assistant_message
from agents.tracing import get_trace_provider
model = ScriptedModel([[assistant_message("hello")]])
asyncio.run(Runner.run(Agent(name="clerk", model=model), "hi"))
names = [type(each).__module__ for each in get_trace_provider()._multi_processor._processors]
print(names, midwatch.get_agent_telemetry().render_prometheus())
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "OPENAI_AGENTS_DISABLE_TRACING": "1", "OTEL_METRICS_EXPORTER": "none"},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert ran.returncode == 0, ran.stderr
    assert "['midwatch.instrumentors.openai_agents']" in ran.stdout
    assert 'agent_invocations_total{agent="clerk",status="ok"} 1' in ran.stdout
