"""What only the application's code knows, each fact on its metric, as its event, once."""

from __future__ import annotations

import midwatch
import pytest
from midwatch.instruments.recorder import get_recorder


def test_a_route_and_a_handoff(telemetry):
    with midwatch.turn("s1"):
        midwatch.route("billing", detail="an invoice is asked for")
        midwatch.handoff("supervisor", "billing")
    assert telemetry.metric("agent_route_total", selected_agent="billing") == 1
    assert telemetry.metric("agent_handoff_total", to_agent="billing") == 1
    assert telemetry.event("route.selected").metadata["detail"] == "an invoice is asked for"
    assert telemetry.event("handoff").session_id == "s1"


def test_a_handoff_that_repeats_in_a_turn_is_a_loop(telemetry):
    with midwatch.turn():
        for _ in range(4):
            midwatch.handoff("a", "b")
    assert telemetry.metric("agent_handoff_loops_total", from_agent="a") == 2
    assert [one.metadata["repeats"] for one in telemetry.events("handoff.loop")] == [3, 4]


def test_a_decision_has_a_confidence_within_its_bounds(telemetry):
    midwatch.decision("pricing", "markdown", 0.8, detail="slow mover", correct=True)
    midwatch.decision("pricing", "markdown", 7)
    midwatch.decision("pricing", "hold")
    assert telemetry.metric("agent_decisions_total", agent="pricing") == 3
    assert telemetry.metric("agent_decision_confidence", decision="markdown") == 2
    assert telemetry.metric_sum("agent_decision_confidence") == pytest.approx(1.8)
    assert telemetry.events("decision.made")[0].metadata == {
        "agent": "pricing",
        "decision": "markdown",
        "confidence": 0.8,
        "correct": True,
        "detail": "slow mover",
    }


def test_a_message_an_outcome_and_an_event_of_ones_own(telemetry):
    midwatch.message("inventory", "pricing")
    midwatch.outcome("qualified")
    midwatch.outcome("lost", success=False)
    midwatch.event("cache.refreshed", {"entries": 7})
    assert telemetry.metric("agent_messages_total", from_agent="inventory", to_agent="pricing") == 1
    assert telemetry.metric("agent_outcomes_total", outcome="qualified", success="true") == 1
    assert telemetry.metric("agent_outcomes_total", outcome="lost", success="false") == 1
    assert telemetry.event("cache.refreshed").metadata == {"entries": 7}


def test_a_state_is_that_of_the_agent_that_acts(telemetry):
    with midwatch.agent("sales"):
        midwatch.state_change("new", "qualifying")
    midwatch.state_change("open", "closed")
    midwatch.state_change("idle", "busy", agent="worker")
    agents = [event.metadata["agent"] for event in telemetry.events("state.changed")]
    assert agents == ["sales", "session", "worker"]


class TestGuardrail:
    def test_told_at_once(self, telemetry):
        midwatch.guardrail("confirm", "escalate", "needs_person", detail="in words")
        assert telemetry.labels("agent_guardrail_total") == [
            {"gate": "confirm", "decision": "escalate", "reason": "needs_person"}
        ]

    def test_a_check_that_ends_allows(self, telemetry):
        with midwatch.guardrail("pii"):
            pass
        assert telemetry.metric("agent_guardrail_total", decision="allow", reason="passed") == 1
        events = telemetry.span("guardrail pii").events
        assert [event.name for event in events] == ["guardrail.decided"]

    @pytest.mark.parametrize("decision", ["allow", "deny", "escalate", "redact"])
    def test_a_check_decides(self, telemetry, decision):
        with midwatch.guardrail("pii") as check:
            getattr(check, decision)("email", detail="one")
        assert telemetry.labels("agent_guardrail_total") == [
            {"gate": "pii", "decision": decision, "reason": "email"}
        ]

    def test_a_check_that_is_told_of_inside_counts_once(self, telemetry):
        with midwatch.guardrail("outer"), midwatch.guardrail("pii"):
            midwatch.guardrail("pii", "redact", "email")
            midwatch.guardrail("outer", "deny", "policy")
            midwatch.guardrail("other", "allow", "passed")
        assert telemetry.metric("agent_guardrail_total") == 3
        assert telemetry.metric("agent_guardrail_total", gate="outer", decision="deny") == 1
        assert telemetry.metric("agent_guardrail_total", gate="pii", decision="redact") == 1

    def test_a_permission_error_denies(self, telemetry):
        @midwatch.guardrail("access")
        def check() -> None:
            raise PermissionError("no")

        with pytest.raises(PermissionError):
            check()
        assert telemetry.metric("agent_guardrail_total", gate="access", decision="deny") == 1

    def test_a_check_that_breaks_has_decided_nothing(self, telemetry):
        with pytest.raises(ZeroDivisionError), midwatch.guardrail("access"):
            raise ZeroDivisionError
        assert telemetry.labels("agent_guardrail_total") == []
        assert telemetry.tree() == "guardrail access [error: ZeroDivisionError]"


class TestSelfRag:
    def test_told_at_once(self, telemetry):
        midwatch.selfrag_retrieved(8, attempt=2)
        midwatch.selfrag_graded(8, 3, attempt=2)
        midwatch.selfrag_decision("final", "grounded", attempt=2)
        assert telemetry.event("selfrag.retrieved").metadata == {"documents": 8, "attempt": 2}
        assert telemetry.event("selfrag.graded").metadata["relevant"] == 3
        assert telemetry.metric("agent_selfrag_decision_total", decision="final") == 1

    def test_a_retrieval_has_as_many_documents_as_it_returns(self, telemetry, attributes_of):
        @midwatch.selfrag_retrieved()
        def search(_: str) -> list[str]:
            return ["a", "b"]

        search("q")
        assert telemetry.event("selfrag.retrieved").metadata["documents"] == 2
        found = attributes_of(telemetry.span("retrieval"))
        assert found["gen_ai.operation.name"] == "retrieval"
        assert found["midwatch.retrieval.documents"] == 2

    def test_steps_are_blocks(self, telemetry):
        with midwatch.selfrag_retrieved(attempt=3) as retrieval:
            retrieval.documents = 5
        with midwatch.selfrag_graded(attempt=3) as grading:
            grading.documents, grading.relevant = 5, 1
        assert telemetry.event("selfrag.retrieved").metadata == {"documents": 5, "attempt": 3}
        assert telemetry.event("selfrag.graded").metadata == {
            "documents": 5,
            "relevant": 1,
            "attempt": 3,
        }

    def test_a_step_that_fails_is_none(self, telemetry):
        for step in (midwatch.selfrag_retrieved(), midwatch.selfrag_graded()):
            with pytest.raises(OSError, match="down"), step:
                raise OSError("down")
        assert telemetry.events() == []


class TestJointWork:
    def test_a_collaboration_is_a_block(self, telemetry):
        with midwatch.collaboration("markdown", ["pricing", "promotion"]):
            telemetry.clock.advance(2)
        assert telemetry.metric("agent_collaborations_total", outcome="ok") == 1
        assert telemetry.event("collaboration.started").metadata["participants"] == [
            "pricing",
            "promotion",
        ]
        assert telemetry.event("collaboration.finished").metadata["seconds"] == 2

    def test_one_that_fails_is_an_error_unless_it_says_otherwise(self, telemetry):
        with pytest.raises(ValueError, match="x"), midwatch.collaboration("markdown"):
            raise ValueError("x")
        with midwatch.collaboration("markdown") as work:
            work.outcome = "postponed"
        outcomes = {one["outcome"] for one in telemetry.labels("agent_collaborations_total")}
        assert outcomes == {"error", "postponed"}

    def test_one_that_has_ended_is_told_at_once(self, telemetry):
        midwatch.collaboration("markdown", ["a", "b"], outcome="ok", seconds=1.5)
        assert [event.event for event in telemetry.events()] == [
            "collaboration.started",
            "collaboration.finished",
        ]

    def test_a_conflict_is_settled_or_stays_unresolved(self, telemetry):
        midwatch.conflict("price", "higher_confidence_wins", participants=["a", "b"])
        with midwatch.conflict("price") as conflict:
            conflict.resolution = "scarcity_first"
        with midwatch.conflict("price"):
            pass
        found = [one["resolution"] for one in telemetry.labels("agent_conflicts_total")]
        assert sorted(found) == ["higher_confidence_wins", "scarcity_first", "unresolved"]
        assert len(telemetry.events("conflict.detected")) == 3


class TestWork:
    def test_an_agent_ends_as_its_block_says(self, telemetry):
        with midwatch.agent("a") as run:
            run.status = "interrupted"
        assert telemetry.metric("agent_invocations_total", agent="a", status="interrupted") == 1

    def test_a_tool_that_was_given_up_is_no_finished_call(self, telemetry, attributes_of):
        with pytest.raises(KeyboardInterrupt), midwatch.tool("lookup"):
            raise KeyboardInterrupt
        assert telemetry.metric("agent_tool_calls_total") == 0
        found = attributes_of(telemetry.span("execute_tool lookup"))
        assert found["midwatch.tool.status"] == "cancelled"

    def test_a_turn_ends_as_its_block_says(self, telemetry):
        with midwatch.turn("s1", turn_id="t1", entry_agent="sales") as block:
            assert block.turn.turn_id == "t1"
            block.outcome = "escalated"
            assert block.outcome == "escalated"
        assert telemetry.metric("agent_turns_total", entry_agent="sales", outcome="escalated") == 1

    def test_a_turn_that_nobody_records_can_be_used_all_the_same(self, monkeypatch):
        monkeypatch.setattr(get_recorder(), "enabled", False)
        with midwatch.turn("s1") as block:
            block.outcome = "escalated"
            assert block.turn.session_id == "s1"

    def test_what_instrumentation_sees_as_well_counts_once(self, telemetry):
        recorder = get_recorder()
        with midwatch.turn():
            with midwatch.agent("billing"), midwatch.tool("lookup"):
                pass
            recorder.tool_call("billing", "lookup", "ok", 0.1, by="instrumentation")
            recorder.invocation("billing", "ok", 0.1, by="instrumentation")
            recorder.handoff("a", "b", by="instrumentation")
            midwatch.handoff("a", "b")
        assert telemetry.metric("agent_tool_calls_total", tool="lookup") == 1
        assert telemetry.metric("agent_tool_latency_seconds", tool="lookup") == 1
        assert telemetry.metric("agent_invocations_total", agent="billing") == 1
        assert telemetry.metric("agent_handoff_total") == 1


@pytest.mark.midwatch(content="full")
def test_arguments_and_results_are_captured_where_content_is(telemetry, attributes_of):
    class Worker:
        @midwatch.tool
        def lookup(self, invoice: str, limit: int = 3) -> dict[str, str]:
            return {"status": "paid"}

    Worker().lookup("INV-7", limit=1)
    found = attributes_of(telemetry.span("execute_tool lookup"))
    assert found["gen_ai.tool.call.arguments"] == '{"invoice":"INV-7","limit":1}'
    assert found["gen_ai.tool.call.result"] == '{"status":"paid"}'
