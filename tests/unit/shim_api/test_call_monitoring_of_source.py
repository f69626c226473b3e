"""S2 (call monitoring): `trace_workflow` on an orchestrator and its agents."""

from __future__ import annotations

import asyncio

import midwatch
import pytest
from midwatch.instruments.recorder import get_recorder


class AgentOrchestrator:
    """As the document has one: a workflow that its agents pass on."""

    @midwatch.trace_workflow
    async def process_call(self, call_id: str, session_id: str, text: str) -> dict[str, str]:
        await self.qualify(text)
        await self.handle_objection()
        return {"outcome": "qualified"}

    @midwatch.agent("qualification")
    async def qualify(self, text: str) -> None:
        await asyncio.sleep(0)

    @midwatch.agent("objection_handler")
    async def handle_objection(self) -> None:
        await asyncio.sleep(0)


def test_each_execution_of_a_workflow_is_a_trace_and_a_turn(telemetry, attributes_of):
    asyncio.run(AgentOrchestrator().process_call("call-7", "s1", "hello"))
    assert telemetry.tree() == (
        "invoke_workflow process_call\n"
        "  invoke_agent qualification\n"
        "  invoke_agent objection_handler"
    )
    found = attributes_of(telemetry.span("invoke_workflow process_call"))
    assert found["gen_ai.workflow.name"] == "process_call"
    assert found["midwatch.call_id"] == "call-7"
    assert found["session.id"] == "s1"
    assert found["midwatch.turn.entry_agent"] == "qualification"
    assert found["midwatch.turn.steps"] == 2
    assert telemetry.metric("agent_turns_total", entry_agent="qualification", outcome="ok") == 1
    assert telemetry.event("turn.finished").session_id == "s1"


def test_transitions_between_agents_are_captured_with_their_times(telemetry):
    @midwatch.trace_workflow("call")
    def call() -> None:
        with midwatch.agent("greeter"):
            telemetry.clock.advance(1)
        with midwatch.agent("sales"):
            telemetry.clock.advance(2)
            with midwatch.agent("pricing"):
                pass
        with midwatch.agent("closer"):
            pass

    call()
    seen = [
        (event.metadata["from_agent"], event.metadata["to_agent"], event.ts.second)
        for event in telemetry.events("handoff")
    ]
    assert seen == [("greeter", "sales", 1), ("sales", "pricing", 3), ("sales", "closer", 3)]
    assert telemetry.metric("agent_handoff_total", from_agent="greeter", to_agent="sales") == 1
    assert telemetry.metric_sum("agent_invocation_latency_seconds", agent="sales") == 2


def test_a_transition_that_the_code_tells_of_too_counts_once(telemetry):
    with midwatch.trace_workflow("call"):
        with midwatch.agent("greeter"):
            midwatch.handoff("greeter", "sales")
        with midwatch.agent("sales"):
            pass
    assert telemetry.metric("agent_handoff_total") == 1
    assert len(telemetry.events("handoff")) == 1


def test_agents_side_by_side_take_over_from_nobody(telemetry):
    async def work(name: str) -> None:
        async with midwatch.agent(name):
            await asyncio.sleep(0)

    @midwatch.trace_workflow("call")
    async def call() -> None:
        await asyncio.gather(work("a"), work("b"))

    asyncio.run(call())
    assert telemetry.events("handoff") == []


def test_outside_a_workflow_nothing_is_a_transition(telemetry):
    with midwatch.turn():
        with midwatch.agent("a"):
            pass
        with midwatch.agent("b"):
            pass
    assert telemetry.events("handoff") == []


def test_changes_of_the_workflows_state_are_tracked(telemetry):
    with midwatch.trace_workflow("call") as workflow:
        workflow.state = "greeting"
        with midwatch.agent("sales"):
            workflow.state = "qualifying"
            workflow.state = "qualifying"
        assert workflow.state == "qualifying"
    changes = [event.metadata for event in telemetry.events("state.changed")]
    assert changes == [
        {"agent": "call", "from_state": "none", "to_state": "greeting"},
        {"agent": "sales", "from_state": "greeting", "to_state": "qualifying"},
    ]


@pytest.mark.midwatch(content="redacted")
def test_input_and_output_are_captured_by_content_policy(telemetry, attributes_of):
    asyncio.run(AgentOrchestrator().process_call("call-7", "s1", "I am ann@example.org"))
    found = attributes_of(telemetry.span("invoke_workflow process_call"))
    assert '"text":"I am [' in found["midwatch.input"]
    assert "ann@" not in found["midwatch.input"]
    assert found["midwatch.output"] == '{"outcome":"qualified"}'


@pytest.mark.midwatch(content="full")
def test_capturing_can_be_left_out(telemetry, attributes_of):
    @midwatch.trace_workflow(capture_input=False, capture_output=False, metadata={"tier": "gold"})
    def call(secret: str) -> str:
        return secret

    call("x")
    found = attributes_of(telemetry.span("invoke_workflow call"))
    assert "midwatch.input" not in found
    assert "midwatch.output" not in found
    assert found["midwatch.execution.metadata"] == '{"tier":"gold"}'


def test_a_workflow_that_fails_is_an_error_and_raises_what_it_raised(telemetry):
    @midwatch.trace_workflow(name="call", call_id="c1")
    def call() -> None:
        raise ConnectionError("down")

    with pytest.raises(ConnectionError, match="down"):
        call()
    assert telemetry.tree() == "invoke_workflow call [error: ConnectionError]"
    assert telemetry.metric("agent_turns_total", outcome="error") == 1


def test_a_workflow_within_a_turn_is_part_of_it(telemetry):
    with midwatch.turn("s1"), midwatch.trace_workflow("call") as workflow:
        workflow.outcome = "ignored, since the turn is not its own"
    with midwatch.trace_workflow("call", session_id="s2", entry_agent="sales") as workflow:
        workflow.outcome = "escalated"
    assert telemetry.metric("agent_turns_total") == 2
    assert telemetry.metric("agent_turns_total", outcome="escalated", entry_agent="sales") == 1


def test_where_telemetry_is_off_a_workflow_only_works(monkeypatch):
    monkeypatch.setattr(get_recorder(), "enabled", False)

    @midwatch.trace_workflow
    def call() -> int:
        return 7

    with midwatch.trace_workflow("block") as workflow:
        workflow.state = "greeting"
    assert call() == 7
