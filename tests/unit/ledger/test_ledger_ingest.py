"""OTLP in: what is taken, what is refused, and what the sender is told."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.protobuf import json_format
from midwatch_ledger.models import (
    DeadLetter,
    Event,
    ExecutionLog,
    LlmCallLog,
    Span,
    WorkflowTrace,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
TABLES = (Span, WorkflowTrace, ExecutionLog, LlmCallLog, Event)


def as_otlp_json(request: Any) -> str:
    """Write a request as OTLP's JSON: ids in hexadecimal."""
    document = json_format.MessageToDict(request, use_integers_for_enums=True)
    for group in document["resourceSpans"]:
        for scope in group["scopeSpans"]:
            for item, span in zip(
                scope["spans"], request.resource_spans[0].scope_spans[0].spans, strict=True
            ):
                item["traceId"] = span.trace_id.hex()
                item["spanId"] = span.span_id.hex()
                if span.parent_span_id:
                    item["parentSpanId"] = span.parent_span_id.hex().upper()
    return json.dumps(document)


def test_a_turn_is_answered_as_a_nested_tree(ledger: Any) -> None:
    assert ledger.send(*ledger.otlp.turn()).status_code == 200

    trace = ledger.tree()

    (root,) = trace["spans"]
    supervisor, monitor = root["children"]
    tool, http = monitor["children"]
    assert [root["name"], supervisor["agent"], monitor["agent"]] == [
        "POST /chat",
        "supervisor",
        "monitor",
    ]
    assert (tool["tool"], tool["duration_ms"], tool["offset_ms"]) == ("read_metrics", 200.0, 1100.0)
    assert http["children"][0]["model"] == "gpt-small"
    assert http["children"][0]["agent"] == "monitor"
    assert http["children"][0]["cost"] == 0.0009


def test_a_trace_is_summed_up(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())

    trace = ledger.tree()

    wanted = {
        "session_id": "session-7",
        "entry_agent": "supervisor",
        "status": "completed",
        "complete": True,
        "duration_ms": 4000,
        "span_count": 7,
        "error_count": 0,
        "llm_calls": 2,
        "tool_calls": 1,
        "input_tokens": 200,
        "output_tokens": 40,
        "total_tokens": 240,
        "total_cost": 0.0012,
        "outcome": "ok",
        "service": "security-agent",
    }
    assert {name: trace[name] for name in wanted} == wanted


def test_a_session_gives_its_traces_newest_first(ledger: Any) -> None:
    earlier, later = type(ledger.otlp)("1" * 32), type(ledger.otlp)("2" * 32)
    ledger.send(
        earlier.span(1, session__id="session-7"), later.span(1, at=60, session__id="session-7")
    )

    found = ledger.client.get("/monitoring/traces/session-7").json()

    assert found["matched_by"] == "session_id"
    assert [trace["trace_id"] for trace in found["traces"]] == ["2" * 32, "1" * 32]


def test_a_trace_is_found_by_the_applications_own_call_id(ledger: Any) -> None:
    ledger.send(ledger.otlp.span(1, midwatch__call_id="order-4711"))

    assert ledger.tree("order-4711")["trace_id"] == ledger.otlp.trace_id


def test_an_unknown_trace_is_a_problem_that_names_it(ledger: Any) -> None:
    answer = ledger.client.get("/monitoring/traces/nowhere")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "'nowhere'" in answer.json()["detail"]


def test_json_and_protobuf_become_the_same_rows(ledger: Any) -> None:
    request = ledger.otlp.traces(*ledger.otlp.turn())
    ledger.client.post("/v1/traces", content=as_otlp_json(request), headers=JSON)
    from_json = [ledger.rows(table) for table in TABLES]
    ledger.client.delete(f"/execution-logs/executions/{ledger.otlp.trace_id}")

    ledger.send(*ledger.otlp.turn())

    assert _without_clock([ledger.rows(table) for table in TABLES]) == _without_clock(from_json)


def test_a_json_answer_follows_a_json_request(ledger: Any) -> None:
    request = ledger.otlp.traces(ledger.otlp.span(1))

    answer = ledger.client.post("/v1/traces", content=as_otlp_json(request), headers=JSON)

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {}


def test_gzip_bodies_are_taken_also_in_several_members(ledger: Any) -> None:
    body = ledger.otlp.traces(*ledger.otlp.turn()).SerializeToString()
    packed = gzip.compress(body[:50]) + gzip.compress(body[50:])

    answer = ledger.client.post(
        "/v1/traces", content=packed, headers={**PROTOBUF, "content-encoding": "gzip"}
    )

    assert answer.status_code == 200
    assert ledger.tree()["span_count"] == 7


def test_a_repeated_request_changes_nothing(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())
    before = [ledger.rows(table) for table in TABLES]

    assert ledger.send(*ledger.otlp.turn()).status_code == 200

    assert [ledger.rows(table) for table in TABLES] == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trace_id": b"short"}, "bad_trace_id"),
        ({"trace_id": bytes(16)}, "bad_trace_id"),
        ({"span_id": b""}, "bad_span_id"),
        ({"parent_span_id": b"123456789"}, "bad_parent_span_id"),
        ({"start_time_unix_nano": 0}, "bad_time"),
        ({"end_time_unix_nano": 2**64 - 1}, "bad_time"),
    ],
)
def test_a_bad_span_costs_only_itself(ledger: Any, changes: dict[str, Any], reason: str) -> None:
    bad = ledger.otlp.span(9)
    for name, value in changes.items():
        setattr(bad, name, value)

    answer = ledger.send(bad, *ledger.otlp.turn())

    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_spans) == (200, 1)
    assert f"{reason}: 1" in told.error_message
    assert ledger.tree()["span_count"] == 7
    assert [letter["reason"] for letter in ledger.rows(DeadLetter)] == [reason]


def test_what_could_not_be_read_is_kept_once_as_it_came(ledger: Any) -> None:
    bad = ledger.otlp.span(9, name="POST /chat", session__id="s-1")
    bad.start_time_unix_nano = 0
    for _ in range(2):
        ledger.send(bad)

    (letter,) = ledger.rows(DeadLetter)

    (group,) = json.loads(letter["body"])["resourceSpans"]
    (scoped,) = group["scopeSpans"]
    (span,) = scoped["spans"]
    assert (span["traceId"], span["name"]) == (bad.trace_id.hex(), "POST /chat")
    assert {"key": "session.id", "value": {"stringValue": "s-1"}} in span["attributes"]
    assert {pair["key"] for pair in group["resource"]["attributes"]} >= {"service.name"}


def test_a_bad_span_in_json_costs_only_itself(ledger: Any) -> None:
    document = json.loads(as_otlp_json(ledger.otlp.traces(*ledger.otlp.turn())))
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans += ["a text", {**spans[0], "spanId": "not hex"}, {**spans[0], "name": {"an": "object"}}]
    spans.append({**spans[0], "links": [{"traceId": "not hex"}]})

    answer = ledger.client.post("/v1/traces", json=document)

    assert answer.json()["partialSuccess"]["rejectedSpans"] == "4"
    assert ledger.tree()["span_count"] == 7
    assert len(ledger.rows(DeadLetter)) == 4


@pytest.mark.parametrize(
    ("groups", "kept"),
    [
        ("none", "none"),
        ([1], [1]),
        (
            [{"resource": "none", "scopeSpans": [{"spans": [{}]}]}],
            [{"resource": "none", "scopeSpans": [{"scope": None, "spans": [{}]}]}],
        ),
        ([{"scopeSpans": "none"}], [{"resource": {}, "scopeSpans": "none"}]),
        (
            [{"scopeSpans": [{"spans": ["none"]}]}],
            [{"resource": {}, "scopeSpans": [{"scope": None, "spans": ["none"]}]}],
        ),
    ],
)
def test_what_is_no_request_in_json_is_kept_as_it_came(
    ledger: Any, groups: object, kept: object
) -> None:
    answer = ledger.client.post("/v1/traces", json={"resourceSpans": groups})

    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    (letter,) = ledger.rows(DeadLetter)
    assert json.loads(letter["body"]) == {"resourceSpans": kept}


def test_what_databases_and_json_cannot_hold_does_not_cost_the_span(ledger: Any) -> None:
    ledger.send(
        ledger.otlp.chat(
            1,
            nul="a\x00b",
            endless=float("inf"),
            gen_ai__usage__input_tokens=-5,
            midwatch__llm__cost_usd=float("nan"),
            midwatch__report__id="not a uuid",
        )
    )

    (call,) = ledger.rows(LlmCallLog)

    assert call["metadata"]["nul"] == "a\ufffdb"
    assert call["metadata"]["endless"] == "inf"
    assert (call["input_tokens"], call["total_cost"], call["report_id"]) == (None, None, None)


def test_content_is_kept_once_and_not_in_the_span(ledger: Any) -> None:
    messages = '[{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]'
    ledger.send(ledger.otlp.chat(1, gen_ai__input__messages=messages))

    assert ledger.rows(LlmCallLog)[0]["prompt"] == messages
    assert "gen_ai.input.messages" not in ledger.tree()["spans"][0]["attributes"]


def test_children_before_parents_end_where_parents_before_children_do(ledger: Any) -> None:
    for span in reversed(ledger.otlp.turn()):
        ledger.send(span)
    backwards = [ledger.rows(table) for table in TABLES]
    ledger.client.delete(f"/execution-logs/executions/{ledger.otlp.trace_id}")

    ledger.send(*ledger.otlp.turn())

    assert _without_clock(backwards) == _without_clock([ledger.rows(table) for table in TABLES])


def test_writers_at_the_same_time_lose_nothing_of_a_trace(ledger: Any) -> None:
    spans = [ledger.otlp.chat(number, 1, at=number / 100) for number in range(2, 82)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ledger.send, spans))

    trace = ledger.tree()

    assert {answer.status_code for answer in answers} == {200}
    assert (trace["span_count"], trace["llm_calls"], trace["total_tokens"]) == (80, 80, 9600)
    assert trace["total_cost"] == pytest.approx(0.024, abs=0)


def _without_clock(tables: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """Drop when the ledger wrote a row: all else must be the same."""
    clock = ("created_at", "updated_at")
    return [
        [{name: value for name, value in row.items() if name not in clock} for row in rows]
        for rows in tables
    ]
