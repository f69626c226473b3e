"""Turns whose traces were sampled out are in the ledger like all others, from shim to rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from midwatch.config import Settings
from midwatch.pipeline.otlp_json import encode_logs, encode_spans
from midwatch.pipeline.payloads import Payload
from midwatch.pipeline.setup import Exporters, build_pipeline
from midwatch_ledger.models import Event, ExecutionLog, LlmCallLog, Span, WorkflowTrace
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import Tracer

TABLES: tuple[type[Any], ...] = (WorkflowTrace, ExecutionLog, LlmCallLog)
OF_THE_ROW = {"created_at", "updated_at", "metadata"}
OF_PLUMBING = {"span_count"}


class Everything(SpanProcessor):
    """Every span that ends, sampled or not."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def on_end(self, span: Any) -> None:
        self.spans.append(span)


def take_turn(tracer: Tracer) -> None:
    """A turn of two agents with a tool and a model call each, and plumbing between."""
    with tracer.start_as_current_span("POST /chat") as request:
        request.set_attributes(
            {
                "session.id": "session-7",
                "midwatch.turn.entry_agent": "supervisor",
                "midwatch.turn.outcome": "ok",
            }
        )
        with tracer.start_as_current_span("invoke_workflow graph") as graph:
            graph.set_attributes(
                {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "graph"}
            )
            for agent in ("supervisor", "monitor"):
                work(tracer, agent)


def work(tracer: Tracer, agent: str) -> None:
    with tracer.start_as_current_span(f"invoke_agent {agent}") as span:
        span.set_attributes({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent})
        with tracer.start_as_current_span("execute_tool search") as tool:
            tool.set_attributes(
                {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
            )
        with (
            tracer.start_as_current_span("plumbing"),
            tracer.start_as_current_span("chat gpt-small") as call,
        ):
            call.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-small",
                    "gen_ai.usage.input_tokens": 100,
                    "gen_ai.usage.output_tokens": 20,
                    "gen_ai.output.messages": '[{"role": "assistant", "content": "Fine."}]',
                    "midwatch.llm.cost_usd": 0.0003,
                    "midwatch.prompt.name": "greeting",
                    "midwatch.prompt.version": "3",
                }
            )


@pytest.fixture(scope="module")
def turn() -> tuple[Payload, Payload]:
    """One turn at ratio zero: the spans that nobody gets to see, and what is told of them."""
    logs, everything = InMemoryLogRecordExporter(), Everything()
    pipeline = build_pipeline(
        Settings(sample_ratio=0.0, content="redacted"), Exporters(logs=(logs,))
    )
    pipeline.tracer_provider.add_span_processor(everything)
    take_turn(pipeline.tracer_provider.get_tracer("test"))
    pipeline.close(5)
    assert not any(span.context.trace_flags.sampled for span in everything.spans)
    return encode_spans(everything.spans), encode_logs(logs.get_finished_logs())


def send(ledger: Any, payload: Payload) -> None:
    ledger.client.post(
        f"/v1/{payload.signal}",
        content=payload.body,
        headers={"content-type": payload.content_type},
    ).raise_for_status()


def rows(ledger: Any) -> dict[str, list[dict[str, Any]]]:
    return {
        table.__tablename__: [
            {name: value for name, value in row.items() if name not in OF_THE_ROW | OF_PLUMBING}
            for row in ledger.rows(table)
        ]
        for table in TABLES
    }


def test_what_is_sampled_out_becomes_the_same_rows_as_if_it_had_been_sampled(
    turn: tuple[Payload, Payload],
    open_ledger: Callable[..., Any],
    migrated_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    spans, told = turn
    sampled_out = open_ledger(migrated_url)
    sampled = open_ledger(f"sqlite:///{tmp_path_factory.mktemp('sampled')}/ledger.db")

    send(sampled_out, told)
    send(sampled, spans)

    assert rows(sampled_out) == rows(sampled)
    assert [len(sampled_out.rows(table)) for table in TABLES] == [1, 6, 2]
    assert sampled_out.rows(Event) == []


def test_a_reader_is_told_that_no_other_store_has_the_trace(
    turn: tuple[Payload, Payload], ledger: Any
) -> None:
    send(ledger, turn[1])

    kept = [row["metadata"] for table in (ExecutionLog, LlmCallLog) for row in ledger.rows(table)]
    assert len(kept) == 8
    assert all(found["midwatch.span.sampled_out"] is True for found in kept)
    assert {row["name"] for row in ledger.rows(Span)} == {
        "POST /chat",
        "invoke_workflow graph",
        "invoke_agent supervisor",
        "invoke_agent monitor",
        "execute_tool search",
        "chat gpt-small",
    }


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["span first", "event first"])
def test_a_span_and_what_is_told_of_it_are_one_row_in_either_order(
    turn: tuple[Payload, Payload], ledger: Any, order: tuple[int, int]
) -> None:
    for which in (*order, *order):
        send(ledger, turn[which])

    (trace,) = ledger.rows(WorkflowTrace)
    assert (trace["llm_calls"], trace["tool_calls"], float(trace["total_cost"])) == (2, 2, 0.0006)
    assert trace["complete"]
    assert [len(ledger.rows(table)) for table in TABLES] == [1, 6, 2]
    parents = {row["agent"] for row in ledger.rows(LlmCallLog)}
    assert parents == {"supervisor", "monitor"}


def test_an_event_that_tells_too_little_of_its_span_is_kept_as_an_event(ledger: Any) -> None:
    ledger.send_events(ledger.otlp.event("span.sampled_out"))

    assert [row["name"] for row in ledger.rows(Event)] == ["span.sampled_out"]
    assert ledger.rows(Span) == []
