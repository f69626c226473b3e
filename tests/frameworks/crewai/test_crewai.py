"""CrewAI: crews, agents, tools, delegation, guardrails, flows, by its own events."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

import pytest
from crewai import LLM, Agent, Crew, Task
from crewai.flow.flow import Flow, listen, start
from crewai.llms.base_llm import BaseLLM, llm_call_context
from crewai.tools import tool
from opentelemetry import trace
from opentelemetry.trace import StatusCode

MODEL = "gpt-4o-mini"
COST = (600 * 0.15 + 400 * 0.075 + 500 * 0.60) / 1e6


@tool("lookup_invoice")
def lookup_invoice(number: str) -> str:
    """Find an invoice."""
    return f"invoice {number}: 12 EUR"


@tool("broken_tool")
def broken_tool(number: str) -> str:
    """Fails."""
    raise ValueError("no such table")


def completion(text: str = "12 EUR", *, call: tuple[str, Any] | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if call is not None:
        name, arguments = call
        function = {"name": name, "arguments": json.dumps(arguments)}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        }
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{MODEL}-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if call else "stop",
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


def llm(server: Any) -> LLM:
    return LLM(model=f"openai/{MODEL}", base_url=server.url, api_key="k", max_retries=0)


def agent(model: Any, role: str = "billing", **more: Any) -> Agent:
    return Agent(
        role=role, goal="help", backstory="none", llm=model, max_iter=3, max_retry_limit=0, **more
    )


def task(worker: Agent, **more: Any) -> Task:
    return Task(description="Where is it?", expected_output="An answer", agent=worker, **more)


def crew(*tasks: Task, **more: Any) -> Crew:
    return Crew(name="support", agents=[each.agent for each in tasks], tasks=list(tasks), **more)


def test_the_framework_is_instrumented_on_its_import(states):
    assert states["crewai"] == "active"


def test_a_kickoff_is_a_turn_with_its_agent_its_tool_and_its_model_calls(seen, server):
    server.will_answer(completion(call=("lookup_invoice", {"number": "7"})))
    server.will_answer(completion())
    crew(task(agent(llm(server), tools=[lookup_invoice]))).kickoff()
    assert seen.tree() == [
        "invoke_workflow support",
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


def test_two_agents_in_a_crew_are_one_turn(seen, server):
    server.will_answer(completion())
    server.will_answer(completion())
    model = llm(server)
    crew(task(agent(model, "first")), task(agent(model, "second"))).kickoff()
    assert seen.count("agent.turns") == 1
    assert seen.count("agent.invocations", agent="first", status="ok") == 1
    assert seen.count("agent.invocations", agent="second", status="ok") == 1
    assert seen.count("agent.llm.requests", agent="second") == 1


def test_a_tool_that_raises_is_an_error_of_the_tool(seen, server):
    server.will_answer(completion(call=("broken_tool", {"number": "7"})))
    server.will_answer(completion())
    crew(task(agent(llm(server), tools=[broken_tool]))).kickoff()
    assert seen.count("agent.tool.calls", tool="broken_tool", status="error") >= 1
    assert seen.spans("execute_tool broken_tool")[0].status.status_code is StatusCode.ERROR
    assert seen.count("agent.turns", outcome="ok") == 1


def test_a_model_that_refuses_is_an_error_of_call_agent_and_turn(seen, server):
    server.will_answer({"error": {"message": "slow down"}}, 401)
    with pytest.raises(Exception, match="slow down"):
        crew(task(agent(llm(server)))).kickoff()
    assert seen.count("agent.llm.requests", agent="billing", error_type="authentication") == 1
    assert seen.count("agent.invocations", agent="billing", status="error") == 1
    assert seen.count("agent.turns", outcome="error") == 1


class HouseModel(BaseLLM):
    """A model that no instrumented client calls."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        from crewai.events.types.llm_events import LLMCallType

        with llm_call_context():
            self._emit_call_started_event(messages)
            usage = {"prompt_tokens": 1000, "completion_tokens": 500, "cached_prompt_tokens": 400}
            self._emit_call_completed_event(
                "12 EUR", LLMCallType.LLM_CALL, messages=messages, usage=usage
            )
        return "12 EUR"


def test_a_model_without_an_instrumented_client_is_recorded_by_what_the_framework_tells(seen):
    crew(task(agent(HouseModel(model=f"openai/{MODEL}")))).kickoff()
    assert seen.count("agent.llm.requests", agent="billing", status="ok") == 1
    assert seen.count("agent.llm.tokens", agent="billing", token_type="cache_read") == 400
    assert seen.count("agent.llm.cost_usd", agent="billing", provider="openai") == pytest.approx(
        COST
    )


def test_work_that_is_delegated_is_a_handoff(seen, server):
    arguments = {"task": "find it", "context": "invoice 7", "coworker": "researcher"}
    server.will_answer(completion(call=("delegate_work_to_coworker", arguments)))
    server.will_answer(completion())
    server.will_answer(completion())
    model = llm(server)
    lead = agent(model, "lead", allow_delegation=True)
    helper = agent(model, "researcher")
    Crew(name="support", agents=[lead, helper], tasks=[task(lead)]).kickoff()
    assert seen.count("agent.handoff", from_agent="lead", to_agent="researcher") == 1
    assert seen.count("agent.invocations", agent="researcher", status="ok") == 1
    assert seen.count("agent.turns") == 1


def test_a_guardrail_decides(seen, server):
    server.will_answer(completion("bad"))
    server.will_answer(completion("good"))

    def politeness(output):
        return (output.raw == "good", output.raw)

    crew(task(agent(llm(server)), guardrail=politeness)).kickoff()
    assert seen.count("agent.guardrail", gate="politeness", decision="deny") == 1
    assert seen.count("agent.guardrail", gate="politeness", decision="allow") == 1


class Support(Flow[Any]):
    """A flow around a crew."""

    # A flow's memory loads a database, which takes long and is not used here.
    _skip_auto_memory: ClassVar[bool] = True
    model: Any = None

    @start()
    def begin(self) -> str:
        return "x"

    @listen(begin)
    def answer(self, given: str) -> str:
        return str(crew(task(agent(self.model))).kickoff())


def test_a_flow_is_one_turn_with_what_it_runs(seen, server):
    server.will_answer(completion())
    flow = Support()
    flow.model = llm(server)
    flow.kickoff()
    assert seen.count("agent.turns", outcome="ok") == 1
    assert seen.count("agent.invocations", agent="billing", status="ok") == 1
    assert seen.tree()[0].startswith("invoke_workflow ")
    assert len({span.context.trace_id for span in seen.spans()}) == 1


def test_parallel_kickoffs_keep_their_turns_apart_and_leave_no_context_behind(seen):
    async def all_at_once() -> None:
        crews = [
            crew(task(agent(HouseModel(model=f"openai/{MODEL}"), name)))
            for name in ("first", "second", "third")
        ]
        await asyncio.gather(*(each.kickoff_async() for each in crews))

    asyncio.run(all_at_once())
    for name in ("first", "second", "third"):
        assert seen.count("agent.turns", entry_agent=name, outcome="ok") == 1
        assert seen.count("agent.llm.requests", agent=name) == 1
    assert len({span.context.trace_id for span in seen.spans()}) == 3
    assert not trace.get_current_span().get_span_context().is_valid
