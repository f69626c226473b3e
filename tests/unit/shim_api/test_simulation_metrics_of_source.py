"""S5 (simulation tracing): metrics of agents and of their joint work, from real records."""

from __future__ import annotations

import math
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import midwatch
from midwatch.instruments.recorder import get_recorder

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def span(agent: str, seconds: float, tools: list[str], **outputs: Any) -> midwatch.AgentSpan:
    return midwatch.AgentSpan(
        "s", agent, "decide", "t", T0, after(seconds), {}, outputs, tools, 0.9
    )


class TestMetrics:
    def test_the_records_have_the_documents_fields(self):
        def names(kind: Any) -> str:
            return " ".join(one.name for one in fields(kind))

        assert names(midwatch.AgentPerformanceMetrics) == (
            "agent_id operation_count average_response_time success_rate tool_usage_stats "
            "decision_accuracy collaboration_score"
        )
        assert names(midwatch.SystemWorkflowMetrics) == (
            "total_events_processed average_workflow_duration agent_coordination_efficiency "
            "conflict_resolution_rate system_throughput"
        )
        assert names(midwatch.SimulationTrace) == (
            "trace_id event_type trigger_source start_time end_time participating_agents "
            "event_data outcome"
        )
        assert names(midwatch.AgentSpan) == (
            "span_id agent_id operation_type parent_trace_id start_time end_time inputs outputs "
            "tools_used decision_confidence"
        )
        assert names(midwatch.CollaborationSpan) == (
            "span_id workflow_type participating_agents coordination_messages conflicts_detected "
            "resolution_outcome"
        )

    def test_an_agents_metrics_from_records(self):
        spans = [
            span("pricing", 1, ["quote"], correct=True),
            span("pricing", 3, ["quote", "stock"], correct=False),
            span("pricing", 2, [], error="x"),
            span("other", 9, ["quote"]),
        ]
        works = [
            midwatch.CollaborationSpan("c", "sale", ["pricing"], resolution_outcome={"success": 1}),
            midwatch.CollaborationSpan("c", "sale", ["pricing"], [], [], {"success": False}),
            midwatch.CollaborationSpan("c", "sale", ["other"]),
        ]
        found = midwatch.AgentPerformanceMetrics.from_records("pricing", spans, works)
        assert found == midwatch.AgentPerformanceMetrics(
            "pricing", 3, 2.0, 2 / 3, {"quote": 2, "stock": 1}, 0.5, 0.5
        )

    def test_a_systems_metrics_from_records(self):
        events = [
            midwatch.SimulationTrace("t", "x", "s", T0, after(10)),
            midwatch.SimulationTrace("t", "x", "s", after(20), after(40)),
            midwatch.SimulationTrace("t", "x", "s", after(20)),
        ]
        settled = [{"resolution": "capped"}, {"resolution": "unresolved"}]
        works = [midwatch.CollaborationSpan("c", "sale", ["a"], [], settled, {"status": "failed"})]
        found = midwatch.SystemWorkflowMetrics.from_records(events, works)
        assert found == midwatch.SystemWorkflowMetrics(2, 15.0, 0.0, 0.5, 3.0)

    def test_what_nothing_is_known_about_is_not_a_number(self, telemetry):
        for found in (
            midwatch.AgentPerformanceMetrics.from_records("a", []),
            midwatch.AgentPerformanceMetrics.of_process("a"),
        ):
            assert found.operation_count == 0
            assert found.tool_usage_stats == {}
            for value in (found.success_rate, found.decision_accuracy, found.collaboration_score):
                assert math.isnan(value)
        system = midwatch.SystemWorkflowMetrics.of_process()
        assert system.total_events_processed == 0
        assert math.isnan(system.system_throughput)

    def test_an_agents_metrics_of_this_process_are_of_whoever_recorded_them(self, telemetry):
        for status in ("ok", "ok", "error", "cancelled"):
            with midwatch.agent("pricing") as run:
                telemetry.clock.advance(2)
                run.status = status
        get_recorder().tool_call("pricing", "quote", "ok", 0.1)
        get_recorder().tool_call("pricing", "quote", "error", 0.1)
        midwatch.decision("pricing", "markdown", correct=True)
        midwatch.decision("pricing", "markdown", correct=True)
        midwatch.decision("pricing", "markdown", correct=False)
        midwatch.decision("pricing", "hold")
        midwatch.collaboration("sale", ["pricing", "other"], outcome="ok")
        with midwatch.collaboration("sale", ["pricing"]) as work:
            work.outcome = "error"
        found = midwatch.AgentPerformanceMetrics.of_process("pricing")
        assert found == midwatch.AgentPerformanceMetrics(
            "pricing", 4, 2.0, 2 / 3, {"quote": 2}, 2 / 3, 0.5
        )
        assert midwatch.AgentPerformanceMetrics.of_process("other").collaboration_score == 1

    def test_the_systems_metrics_of_this_process(self, telemetry):
        for seconds in (1, 3):
            with midwatch.turn():
                telemetry.clock.advance(seconds)
        midwatch.collaboration("sale", outcome="ok")
        midwatch.conflict("price", "capped")
        with midwatch.conflict("price"):
            pass
        found = midwatch.SystemWorkflowMetrics.of_process()
        assert found.total_events_processed == 2
        assert found.average_workflow_duration == 2
        assert found.agent_coordination_efficiency == 1
        assert found.conflict_resolution_rate == 0.5
        assert found.system_throughput > 0

    def test_agents_without_number_stay_bounded(self, telemetry):
        for number in range(300):
            midwatch.decision(f"agent-{number}", "hold", correct=True)
        from midwatch.api.tallies import TALLIES

        assert TALLIES.decisions("other") == (200, 200)
        assert TALLIES.decisions("agent-0") == (1, 1)

    def test_a_failure_inside_gives_metrics_that_know_nothing(self, midwatch_telemetry, caplog):
        recorder: Any = get_recorder()
        recorder.values = None
        try:
            assert midwatch.AgentPerformanceMetrics.of_process("a").operation_count == 0
            assert midwatch.SystemWorkflowMetrics.of_process().total_events_processed == 0
        finally:
            del recorder.values
        assert sum(midwatch_telemetry.failures.values()) == 2
