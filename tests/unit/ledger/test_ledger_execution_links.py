"""A model call belongs to the execution that the application names, else to the one around it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from midwatch.registry.records import record_id

LINK = "midwatch__execution__log_id"


def calls_of(ledger: Any, execution_log_id: str) -> list[str]:
    answer = ledger.client.get(
        "/execution-logs/llm-calls", params={"execution_log_id": execution_log_id}
    )
    return [row["span_id"] for row in answer.raise_for_status().json()]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("more", [{}, {"midwatch__execution__metadata": '{"tenant": "a"}'}])
def test_a_call_is_of_the_execution_that_it_names_also_when_its_parents_come_late(
    ledger: Any, otlp: Any, late: bool, more: dict[str, str]
) -> None:
    named = str(record_id(otlp.trace_id, f"{2:016x}"))
    agents = [otlp.agent(2, None, "planner"), otlp.agent(3, None, "writer")]
    call = otlp.chat(4, 3, **{LINK: named}, **more)
    for spans in ([call], agents) if late else (agents, [call]):
        ledger.send(*spans)

    assert calls_of(ledger, named) == [f"{4:016x}"]
    assert calls_of(ledger, str(record_id(otlp.trace_id, f"{3:016x}"))) == []
    found = ledger.client.get("/execution-logs/executions?include_llm_calls=true").json()
    assert {row["agent_type"]: len(row["llm_calls"]) for row in found} == {
        "planner": 1,
        "writer": 0,
    }


def test_a_records_id_can_be_made_by_anyone_who_has_its_trace_and_span_id() -> None:
    namespace = uuid.UUID("6d696477-6174-4368-8c65-646765720001")

    assert record_id("a" * 32, "b" * 16) == uuid.uuid5(namespace, f"{'a' * 32}:{'b' * 16}")


def test_a_name_of_the_applications_own_finds_its_calls(ledger: Any, otlp: Any) -> None:
    ledger.send(
        otlp.chat(1, **{LINK: "exec_123"}), otlp.chat(2, **{LINK: "exec_124"}), otlp.chat(3)
    )

    assert calls_of(ledger, "exec_123") == [f"{1:016x}"]
    assert calls_of(ledger, "exec_12") == []
    assert calls_of(ledger, "") == []


@pytest.mark.parametrize("late", [False, True])
def test_a_call_that_names_none_is_of_the_execution_around_it(
    ledger: Any, otlp: Any, late: bool
) -> None:
    spans = [otlp.agent(3, None, "writer"), otlp.chat(4, 3)]
    for span in reversed(spans) if late else spans:
        ledger.send(span)

    assert calls_of(ledger, str(record_id(otlp.trace_id, f"{3:016x}"))) == [f"{4:016x}"]
