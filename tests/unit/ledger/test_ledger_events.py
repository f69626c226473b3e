"""Events in: log records with an event name, and what they become."""

from __future__ import annotations

from typing import Any

from midwatch_ledger.models import AgentTransition, Event, GuardrailDecision
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse


def test_events_become_history_transitions_and_guardrail_decisions(ledger: Any) -> None:
    event = ledger.otlp.event
    answer = ledger.send_events(
        event("route.selected", selected_agent="monitor"),
        event("handoff", from_agent="monitor", to_agent="rag_agent", at=0.6),
        event("guardrail.decided", gate="input", decision="deny", reason="injection"),
    )

    assert answer.status_code == 200
    moves = {
        row["kind"]: (row["from_agent"], row["to_agent"]) for row in ledger.rows(AgentTransition)
    }
    assert moves == {"route": (None, "monitor"), "handoff": ("monitor", "rag_agent")}
    (decision,) = ledger.rows(GuardrailDecision)
    assert (decision["gate"], decision["decision"], decision["reason"]) == (
        "input",
        "deny",
        "injection",
    )
    assert len(ledger.rows(Event)) == 3


def test_a_repeated_event_is_one_event(ledger: Any) -> None:
    event = ledger.otlp.event("handoff", from_agent="a", to_agent="b")

    ledger.send_events(event, event)
    ledger.send_events(event)

    assert (len(ledger.rows(Event)), len(ledger.rows(AgentTransition))) == (1, 1)


def test_events_stand_in_their_span_and_the_others_beside_the_tree(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())
    ledger.send_events(
        ledger.otlp.event("guardrail.decided", span=4, gate="input", decision="allow"),
        ledger.otlp.event("feedback.recorded", span=None, kind="thumb", value="up"),
    )

    trace = ledger.tree()

    (inside,) = trace["spans"][0]["children"][1]["events"]
    assert (inside["name"], inside["source"]) == ("guardrail.decided", "log")
    assert [event["name"] for event in trace["events"]] == ["feedback.recorded"]


def test_log_records_without_an_event_name_are_accepted_and_not_kept(ledger: Any) -> None:
    answer = ledger.send_events(ledger.otlp.event(""))

    told = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_log_records) == (200, 0)
    assert ledger.rows(Event) == []
