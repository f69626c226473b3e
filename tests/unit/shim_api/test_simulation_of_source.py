"""S5 (simulation tracing): the document's interfaces, on the shared instruments."""

from __future__ import annotations

import math
import threading
from datetime import timedelta
from typing import Any

import midwatch
import pytest
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.turn_state import current_turn
from opentelemetry import trace

EVENT = {
    "event_id": "e1",
    "event_type": "stockout_risk",
    "trigger_source": "simulation",
    "participating_agents": ["inventory_agent"],
    "facts": {"units": 3},
}


class TestObserve:
    def test_the_documents_decorator(self, telemetry, attributes_of):
        @midwatch.observe(name="agent_operation")
        def trace_agent_operation(agent_id: str, operation: str, context: dict[str, Any]) -> str:
            return f"{agent_id}:{operation}"

        assert trace_agent_operation("inventory", "reorder", {}) == "inventory:reorder"
        found = attributes_of(telemetry.span("invoke_agent inventory"))
        assert found["midwatch.execution.step"] == "reorder"
        assert telemetry.metric("agent_invocations_total", agent="inventory", status="ok") == 1

    def test_a_function_without_an_agent_is_a_span(self, telemetry):
        @midwatch.observe(name="prepare")
        def prepare() -> None:
            """Nothing."""

        prepare()
        assert telemetry.tree() == "prepare"
        assert telemetry.labels("agent_invocations_total") == []

    def test_what_it_is_can_be_said(self, telemetry):
        @midwatch.observe(as_type="agent")
        def pricing() -> None:
            lookup()

        @midwatch.observe(as_type="tool")
        def lookup() -> None:
            """Nothing."""

        pricing()
        assert telemetry.tree() == "invoke_agent pricing\n  execute_tool lookup"
        assert telemetry.metric("agent_tool_calls_total", agent="pricing", tool="lookup") == 1

    @pytest.mark.midwatch(content="full")
    @pytest.mark.parametrize("kind", ["agent", "tool", "span"])
    @pytest.mark.parametrize("captures", [True, False])
    def test_arguments_and_result_are_captured_or_not(
        self, telemetry, attributes_of, kind, captures
    ):
        @midwatch.observe("x", as_type=kind, capture_input=captures, capture_output=captures)
        def work(text: str) -> str:
            return text.upper()

        work("hello")
        (span,) = telemetry.spans
        assert ("hello" in str(attributes_of(span))) is captures
        assert ("HELLO" in str(attributes_of(span))) is captures


class TestToolTracer:
    def test_an_execution_and_its_time_are_one_call(self, telemetry, attributes_of):
        tracer = midwatch.ToolTracer()
        with midwatch.agent("inventory"):
            tracer.trace_tool_execution("stock_level", {"sku": 1}, {"units": 3})
            tracer.capture_tool_performance("stock_level", 0.25)
            tracer.capture_tool_performance("forecast", 0.5)
            tracer.trace_tool_execution("forecast", {}, {})
        for tool, took in (("stock_level", 0.25), ("forecast", 0.5)):
            labels = {"agent": "inventory", "tool": tool}
            assert telemetry.metric("agent_tool_calls_total", **labels, status="ok") == 1
            assert telemetry.metric_sum("agent_tool_latency_seconds", **labels) == took
        found = attributes_of(telemetry.span("execute_tool stock_level"))
        assert found["gen_ai.tool.name"] == "stock_level"
        assert found["midwatch.tool.status"] == "ok"

    def test_a_failure_is_told_by_the_outputs(self, telemetry):
        tracer = midwatch.ToolTracer("pricing")
        tracer.trace_tool_execution("quote", {}, {"error": "no price"})
        tracer.trace_tool_execution("quote", {}, ValueError("no price"))
        labels = {"agent": "pricing", "tool": "quote", "status": "error"}
        assert telemetry.metric("agent_tool_calls_total", **labels) == 2

    def test_what_is_instrumented_as_well_counts_once(self, telemetry):
        tracer, recorder = midwatch.ToolTracer("a"), get_recorder()
        with midwatch.turn():
            recorder.tool_call("a", "quote", "ok", 0.5, by="instrumentation")
            tracer.trace_tool_execution("quote", {}, {})
            tracer.capture_tool_performance("quote", 0.5)
            tracer.trace_tool_execution("other", {}, {})
            tracer.capture_tool_performance("other", 0.5)
            recorder.tool_call("a", "other", "ok", 0.5, by="instrumentation")
        for tool in ("quote", "other"):
            assert telemetry.metric("agent_tool_calls_total", tool=tool) == 1
            assert telemetry.metric("agent_tool_latency_seconds", tool=tool) == 1

    def test_a_time_that_is_none_is_left_out(self, telemetry):
        midwatch.ToolTracer().capture_tool_performance("quote", math.nan)
        assert telemetry.labels("agent_tool_calls_total") == []


class TestSimulationEventCapture:
    def test_an_event_is_a_trace_and_a_turn_from_trigger_to_outcome(self, telemetry, attributes_of):
        capture = midwatch.SimulationEventCapture()
        event_id = capture.capture_trigger_event(EVENT)
        assert event_id == "e1"
        with midwatch.agent("inventory_agent"):
            telemetry.clock.advance(2)
        capture.track_event_propagation(
            event_id,
            [
                {"agent_id": "inventory_agent", "decision": "reorder", "confidence": 0.9},
                {"agent_id": "pricing_agent"},
            ],
        )
        capture.finalize_event_trace(event_id, {"outcome": "reordered", "success": True})
        assert telemetry.tree() == ("invoke_workflow stockout_risk\n  invoke_agent inventory_agent")
        found = attributes_of(telemetry.span("invoke_workflow stockout_risk"))
        assert found["midwatch.simulation.event_type"] == "stockout_risk"
        assert found["midwatch.simulation.trigger_source"] == "simulation"
        assert found["midwatch.call_id"] == "e1"
        assert list(found["midwatch.workflow.participants"]) == ["inventory_agent", "pricing_agent"]
        assert telemetry.metric("agent_turns_total", outcome="ok") == 1
        assert telemetry.metric_sum("agent_turn_latency_seconds") == 2
        assert telemetry.metric("agent_outcomes_total", outcome="reordered", success="true") == 1
        assert telemetry.metric("agent_messages_total", to_agent="pricing_agent") == 1
        assert telemetry.metric("agent_decisions_total", decision="reorder") == 1
        (record,) = capture.traces
        assert record.trace_id == f"{1:032x}"
        assert record.outcome == {"outcome": "reordered", "success": True}
        assert record.end_time is not None
        assert record.end_time - record.start_time == timedelta(seconds=2)
        assert not trace.get_current_span().is_recording()
        assert current_turn() is None

    def test_an_event_is_a_root_whatever_runs_around_it(self, telemetry):
        capture = midwatch.SimulationEventCapture()
        with midwatch.turn("request") as around:
            one = capture.capture_trigger_event({"event_type": "one"})
            two = capture.capture_trigger_event({"event_type": "two"})
            capture.finalize_event_trace(one, {})
            turn = current_turn()
            assert turn is not None
            assert turn is not around.turn
            capture.finalize_event_trace(two, {})
            assert current_turn() is around.turn
        assert [span.parent for span in telemetry.spans] == [None, None, None]
        assert len({span.get_span_context().trace_id for span in telemetry.spans}) == 3
        assert telemetry.metric("agent_turns_total") == 3
        assert telemetry.metric("agent_active_turns") == 0

    def test_a_failed_event_is_an_error(self, telemetry):
        capture = midwatch.SimulationEventCapture()
        capture.finalize_event_trace(capture.capture_trigger_event(EVENT), {"status": "failed"})
        assert telemetry.tree() == "invoke_workflow stockout_risk [error: unknown]"
        assert telemetry.metric("agent_turns_total", outcome="error") == 1
        assert telemetry.metric("agent_outcomes_total", outcome="failed", success="false") == 1

    def test_other_threads_work_within_the_event(self, telemetry):
        capture = midwatch.SimulationEventCapture()
        event_id = capture.capture_trigger_event(EVENT)

        def work() -> None:
            with capture.within(event_id), midwatch.agent("pricing_agent"):
                turn = current_turn()
                assert turn is not None
                turn.adopt("s1", "")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with capture.within("unknown"):
            pass
        capture.finalize_event_trace(event_id, {})
        assert "  invoke_agent pricing_agent" in telemetry.tree()
        assert telemetry.event("turn.finished").session_id == "s1"

    def test_an_event_of_the_same_id_ends_the_one_before(self, telemetry):
        capture = midwatch.SimulationEventCapture()
        capture.capture_trigger_event(EVENT)
        capture.capture_trigger_event(EVENT)
        assert telemetry.metric("agent_turns_total", outcome="cancelled") == 1

    def test_an_id_that_nobody_knows_is_counted_and_nothing_else(self, midwatch_telemetry, caplog):
        capture = midwatch.SimulationEventCapture()
        capture.track_event_propagation("none", [{"agent_id": "a"}])
        capture.finalize_event_trace("none", {})
        assert sum(midwatch_telemetry.failures.values()) == 2
        assert "what capture_trigger_event gave" in caplog.text
        assert midwatch_telemetry.events() == []

    def test_where_telemetry_is_off_an_event_has_its_id_all_the_same(self, monkeypatch):
        monkeypatch.setattr(get_recorder(), "enabled", False)
        capture = midwatch.SimulationEventCapture()
        assert capture.capture_trigger_event(EVENT) == "e1"
        assert capture.capture_trigger_event({})
        capture.finalize_event_trace("e1", {})


class TestOrchestrationTracer:
    def test_joint_work_from_start_to_end(self, telemetry, attributes_of):
        tracer = midwatch.OrchestrationTracer()
        work = tracer.trace_workflow_start("wf-1", ["pricing", "promotion"], workflow_type="sale")
        with midwatch.agent("pricing"):
            telemetry.clock.advance(1)
        tracer.trace_agent_coordination(
            work,
            [
                {"from_agent": "pricing", "to_agent": "promotion", "content": "20 % off?"},
                {"sender": "promotion", "receiver": "pricing"},
            ],
        )
        tracer.trace_conflict_resolution(
            {
                "conflict_type": "double_discount",
                "resolution": "discount_capped",
                "agents": ["pricing", "promotion"],
            }
        )
        tracer.trace_workflow_end(work, "ok", {"discount": 20})
        assert telemetry.tree() == "collaboration sale\n  invoke_agent pricing"
        found = attributes_of(telemetry.span("collaboration sale"))
        assert found["midwatch.workflow.id"] == "wf-1"
        labels = {"workflow_type": "sale", "outcome": "ok"}
        assert telemetry.metric("agent_collaborations_total", **labels) == 1
        assert telemetry.metric("agent_messages_total") == 2
        assert telemetry.labels("agent_conflicts_total") == [
            {"conflict_type": "double_discount", "resolution": "discount_capped"}
        ]
        (record,) = tracer.collaborations
        assert record.workflow_type == "sale"
        assert len(record.coordination_messages) == 2
        assert record.conflicts_detected[0]["resolution"] == "discount_capped"
        assert record.resolution_outcome == {"discount": 20}
        assert not trace.get_current_span().is_recording()

    def test_work_that_nobody_ends_ends_with_its_turn(self, telemetry):
        tracer = midwatch.OrchestrationTracer()

        @midwatch.turn
        def failing() -> None:
            tracer.trace_workflow_start("wf-1", ["a", "b"])
            raise ValueError("x")

        with pytest.raises(ValueError, match="x"):
            failing()
        with midwatch.turn():
            tracer.trace_workflow_start("wf-2", ["a", "b"])
        outcomes = [one["outcome"] for one in telemetry.labels("agent_collaborations_total")]
        assert sorted(outcomes) == ["error", "ok"]
        assert len(tracer.collaborations) == 2

    def test_a_conflict_without_a_resolution_is_unresolved(self, telemetry):
        midwatch.OrchestrationTracer().trace_conflict_resolution({"type": "price"})
        assert telemetry.labels("agent_conflicts_total") == [
            {"conflict_type": "price", "resolution": "unresolved"}
        ]

    def test_a_conflict_says_which_work_it_belongs_to(self, telemetry):
        tracer = midwatch.OrchestrationTracer()
        one = tracer.trace_workflow_start("wf-1", ["a"])
        two = tracer.trace_workflow_start("wf-2", ["b"])
        tracer.trace_conflict_resolution({"conflict_type": "x", "coordination_id": one})
        tracer.trace_conflict_resolution({"conflict_type": "y"})
        tracer.trace_workflow_end(one)
        tracer.trace_workflow_end(two)
        seen = [
            [conflict["conflict_type"] for conflict in record.conflicts_detected]
            for record in tracer.collaborations
        ]
        assert seen == [["x"], ["y"]]

    def test_an_id_that_nobody_knows_is_counted_and_nothing_else(self, midwatch_telemetry, caplog):
        tracer = midwatch.OrchestrationTracer()
        tracer.trace_agent_coordination("none", [])
        tracer.trace_workflow_end("none")
        assert sum(midwatch_telemetry.failures.values()) == 2
        assert midwatch_telemetry.events() == []
