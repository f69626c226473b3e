"""The ids of a turn, and one question on the command line."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from security_agent.assistant.cli import run_turn
from security_agent.assistant.failures import TurnFailedError
from security_agent.assistant.state import Context

pytestmark = pytest.mark.usefixtures("agent_environment")


def test_run_turn_stamps_trace_and_turn_ids():
    context: Context = {}
    run_turn("Show the status", context)
    first = dict(context)
    assert (first["turn_id"], len(first["trace_id"])) == ("1", 32)
    assert UUID(first["session_id"]).version == 4
    run_turn("Show the alerts", context)
    assert context["turn_id"] == "2"
    assert context["trace_id"] != first["trace_id"]
    assert context["session_id"] == first["session_id"]


def test_the_trace_id_is_that_of_the_current_span():
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, False, TraceFlags(1)))
    context = {"session_id": "s1"}
    with trace.use_span(span):
        run_turn("Show the status", context)
    assert context["trace_id"] == f"{0xABC:032x}"


def test_every_event_of_a_turn_carries_its_ids(traces):
    context = {"session_id": "s1"}
    run_turn("How long are security logs kept?", context)
    rows = [json.loads(line) for line in traces.read_text("utf-8").splitlines()]
    names = [row["event"] for row in rows]
    assert names[0] == "turn.started"
    assert names[-1] == "turn.finished"
    assert {"guardrail.decided", "route.selected", "handoff", "selfrag.decided"} <= set(names)
    assert {(r["session_id"], r["turn_id"], r["trace_id"]) for r in rows} == {
        ("s1", "1", context["trace_id"])
    }


def test_a_failed_turn_counts_ends_and_keeps_the_session(model_server, traces):
    context = {"session_id": "s1"}
    model_server.fault("server-error")
    with pytest.raises(TurnFailedError):
        run_turn("Show the status", context)
    last = json.loads(traces.read_text("utf-8").splitlines()[-1])
    assert (last["event"], last["metadata"]["outcome"]) == ("turn.finished", "error")
    model_server.delete("/control/faults")
    assert run_turn("Show the status", context).outcome == "answered"
    assert context["turn_id"] == "2"


def test_a_session_remembers_a_bounded_number_of_turns():
    context: Context = {}
    for number in range(25):
        run_turn(f"Write a poem, number {number}", context)
    assert [turn["turn_id"] for turn in context["turns"]] == [str(n) for n in range(6, 26)]
