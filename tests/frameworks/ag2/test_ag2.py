"""AG2: agents, tools, sub-agents, handoffs, and models by whatever way they are called."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ag2 import Agent, tool
from ag2.config import OpenAIConfig
from ag2.events import ModelMessage, ModelResponse, ToolCallEvent, Usage
from ag2.middleware import TelemetryMiddleware
from ag2.network import Handoff
from ag2.testing import TestConfig
from openai import DefaultAsyncHttpxClient
from opentelemetry.trace import StatusCode

MODEL = "gpt-4o-mini"
COST = (600 * 0.15 + 400 * 0.075 + 500 * 0.60) / 1e6


@tool
def lookup_invoice(number: str) -> str:
    """Find an invoice."""
    return f"invoice {number}: 12 EUR"


@tool
def broken_tool() -> str:
    """Fails."""
    raise ValueError("no such table")


@tool
def to_refunds() -> Handoff:
    """Hand over."""
    return Handoff(target="refunds", reason="money back")


def said(text: str = "hello") -> ModelResponse:
    usage = Usage(prompt_tokens=1000, completion_tokens=500, cache_read_input_tokens=400)
    return ModelResponse(ModelMessage(text), usage=usage, model=MODEL, provider="openai")


def ask(agent: Agent, text: str = "where is my invoice?") -> Any:
    return asyncio.run(agent.ask(text))


def test_the_framework_is_instrumented_on_its_import(states):
    assert states["ag2"] == "active"


def test_a_question_is_a_turn_with_its_agent_its_tool_and_its_model_calls(seen):
    call = ToolCallEvent(name="lookup_invoice", arguments='{"number": "7"}')
    ask(Agent("billing", config=TestConfig(call, said()), tools=[lookup_invoice]))
    assert seen.tree() == [
        "invoke_agent billing",
        "  chat unknown",
        "  execute_tool lookup_invoice",
        f"  chat {MODEL}",
    ]
    assert seen.count("agent.turns", entry_agent="billing", outcome="ok") == 1
    assert seen.count("agent.invocations", agent="billing", status="ok") == 1
    assert seen.count("agent.tool.calls", agent="billing", tool="lookup_invoice", status="ok") == 1
    assert seen.count("agent.llm.requests", agent="billing", status="ok") == 2
    assert seen.count("agent.llm.cost_usd", agent="billing", provider="openai") == pytest.approx(
        COST
    )
    assert seen.span("invoke_agent billing").attributes["gen_ai.conversation.id"]


def completion() -> dict[str, Any]:
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{MODEL}-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello"},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": 500,
            "total_tokens": 1500,
            "prompt_tokens_details": {"cached_tokens": 400},
            "completion_tokens_details": {"reasoning_tokens": 100},
        },
    }


def openai_config(server: Any, http: Any) -> OpenAIConfig:
    return OpenAIConfig(MODEL, base_url=server.url, api_key="k", max_retries=0, http_client=http)


def ask_openai(server: Any, **options: Any) -> None:
    async def asking() -> None:
        async with DefaultAsyncHttpxClient() as http:
            await Agent("billing", config=openai_config(server, http), **options).ask("hi")

    asyncio.run(asking())


def test_a_model_that_an_instrumented_client_calls_is_recorded_there_and_once(seen, server):
    server.will_answer(completion())
    ask_openai(server)
    assert seen.tree() == ["invoke_agent billing", f"  chat {MODEL}"]
    assert seen.count("agent.llm.requests") == 1
    assert seen.count("agent.llm.tokens", agent="billing", token_type="reasoning") == 100
    assert seen.count("agent.llm.cost_usd", agent="billing") == pytest.approx(COST)


def test_with_the_frameworks_own_telemetry_nothing_is_counted_twice(seen, server):
    server.will_answer(completion())
    ask_openai(server, middleware=[TelemetryMiddleware(agent_name="billing")])
    assert seen.count("agent.llm.requests") == 1
    assert seen.count("agent.llm.cost_usd") == pytest.approx(COST)
    assert seen.count("agent.invocations") == 1


def test_a_model_that_refuses_is_an_error_of_its_kind(seen, server):
    server.will_answer({"error": {"message": "slow down"}}, 429)
    with pytest.raises(Exception, match="slow down"):
        ask_openai(server)
    assert seen.count("agent.llm.requests", agent="billing", error_type="rate_limit") == 1
    assert seen.count("agent.invocations", agent="billing", status="error") == 1
    assert seen.count("agent.turns", outcome="error") == 1


def test_a_model_without_an_instrumented_client_that_fails_is_an_error(seen):
    with pytest.raises(TimeoutError):
        ask(Agent("billing", config=TestConfig(TimeoutError("too slow"))))
    assert seen.count("agent.llm.requests", status="error", error_type="timeout") == 1
    assert seen.count("agent.turns", outcome="error") == 1


def test_a_tool_that_raises_is_an_error_of_the_tool(seen):
    call = ToolCallEvent(name="broken_tool", arguments="{}")
    config = TestConfig(call, said(), raise_tool_errors=False)
    ask(Agent("billing", config=config, tools=[broken_tool]))
    assert seen.count("agent.tool.calls", tool="broken_tool", status="error") == 1
    assert seen.span("execute_tool broken_tool").status.status_code is StatusCode.ERROR
    assert seen.count("agent.turns", outcome="ok") == 1


def test_a_handoff_that_a_tool_returns_is_counted(seen):
    call = ToolCallEvent(name="to_refunds", arguments="{}")
    ask(Agent("triage", config=TestConfig(call, said()), tools=[to_refunds]))
    assert seen.count("agent.handoff", from_agent="triage", to_agent="refunds") == 1


def test_an_agent_that_a_tool_asks_is_below_that_tool(seen):
    helper = Agent("helper", config=TestConfig(said("12 EUR")))

    @tool
    async def ask_helper() -> str:
        """Ask a colleague."""
        await helper.ask("?")
        return "12 EUR"

    call = ToolCallEvent(name="ask_helper", arguments="{}")
    ask(Agent("lead", config=TestConfig(call, said()), tools=[ask_helper]))
    assert seen.tree()[:4] == [
        "invoke_agent lead",
        "  chat unknown",
        "  execute_tool ask_helper",
        "    invoke_agent helper",
    ]
    assert seen.count("agent.turns") == 1
    assert seen.count("agent.turns", entry_agent="lead") == 1
    assert seen.count("agent.invocations", status="ok") == 2


def test_parallel_questions_keep_their_turns_apart(seen):
    async def all_at_once() -> None:
        agents = [
            Agent(
                name,
                config=TestConfig(
                    ToolCallEvent(name="lookup_invoice", arguments='{"number": "7"}'), said()
                ),
                tools=[lookup_invoice],
            )
            for name in ("first", "second", "third")
        ]
        await asyncio.gather(*(agent.ask("hi") for agent in agents))

    asyncio.run(all_at_once())
    for name in ("first", "second", "third"):
        assert seen.count("agent.turns", entry_agent=name, outcome="ok") == 1
        assert seen.count("agent.tool.calls", agent=name, tool="lookup_invoice") == 1
    assert len({span.context.trace_id for span in seen.spans()}) == 3


def test_a_question_that_is_given_up_is_no_error(seen, server):
    server.will_hang()

    async def give_up() -> None:
        async with DefaultAsyncHttpxClient() as http:
            agent = Agent("billing", config=openai_config(server, http))
            asking = asyncio.ensure_future(agent.ask("hi"))
            async with asyncio.timeout(10):
                while not server.requests:
                    await asyncio.sleep(0.01)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    asyncio.run(give_up())
    assert seen.count("agent.invocations", agent="billing", status="cancelled") == 1
    assert seen.count("agent.turns", outcome="cancelled") == 1
    assert not [span for span in seen.spans() if span.status.status_code is StatusCode.ERROR]
