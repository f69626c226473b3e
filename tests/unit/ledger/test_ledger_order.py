"""The same spans give the same rows: in any order, in any batches, however often repeated."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from midwatch_ledger.models import (
    Base,
    ExecutionLog,
    LlmCallLog,
    ResourceRecord,
    Span,
    SpanRecord,
    WorkflowTrace,
)
from midwatch_ledger.services.recording import record_spans
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.writing import delete_trace, lock_traces
from sqlalchemy import inspect, make_url, select, text

TRACE = "ab" * 16
NOW = datetime(2026, 11, 21, tzinfo=UTC)
RESOURCE = ResourceRecord("r", {"service.name": "agent"})
TABLES: tuple[type[Base], ...] = (Span, WorkflowTrace, ExecutionLog, LlmCallLog)
OPERATIONS = ["invoke_workflow", "invoke_agent", "execute_tool", "chat", "embeddings", None]

attributes = st.fixed_dictionaries(
    {},
    optional={
        "gen_ai.operation.name": st.sampled_from([name for name in OPERATIONS if name]),
        "gen_ai.agent.name": st.sampled_from(["supervisor", "monitor"]),
        "gen_ai.usage.input_tokens": st.integers(0, 1000),
        "midwatch.llm.cost_usd": st.sampled_from([0.1, 0.0003, 0.000000001]),
        "session.id": st.sampled_from(["one", "two"]),
        "midwatch.turn.outcome": st.sampled_from(["ok", "error", "cancelled"]),
    },
)


@st.composite
def span_sets(draw: st.DrawFn) -> list[SpanRecord]:
    """Spans of one trace: any parent may be there, come late, be missing or make a circle."""
    count = draw(st.integers(1, 8))
    spans = []
    for number in range(count):
        start = draw(st.integers(1, 5)) * 1_000_000_000
        parent = draw(st.none() | st.integers(0, count + 1))
        spans.append(
            SpanRecord(
                trace_id=TRACE,
                span_id=f"{number + 1:016x}",
                parent_span_id=None if parent is None else f"{parent + 1:016x}",
                resource=RESOURCE,
                scope="test",
                name=f"span {number}",
                kind="internal",
                start_unix_nanoseconds=start,
                end_unix_nanoseconds=start + draw(st.integers(0, 3_000_000_000)),
                status=draw(st.sampled_from(["unset", "ok", "error"])),
                status_message=None,
                attributes=draw(attributes),
                events=[],
                links=[],
            )
        )
    return spans


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[SpanRecord], list[list[SpanRecord]]]:
    """A set of spans, and a way in which it may come: shuffled, cut into batches, repeated."""
    spans = draw(span_sets())
    repeated = draw(st.lists(st.sampled_from(spans), max_size=6))
    shuffled = draw(st.permutations([*spans, *repeated]))
    cuts = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    edges = [0, *cuts, len(shuffled)]
    return spans, [shuffled[a:b] for a, b in pairwise(edges)]


@pytest.fixture
def database(migrated_url: str) -> Any:
    opened = Database(make_url(migrated_url))
    yield opened
    opened.close()


def rows_after(database: Database, batches: list[list[SpanRecord]]) -> list[Any]:
    """Write the batches one after the other and give what all tables then hold."""
    for batch in batches:
        with database.writing() as connection:
            record_spans(connection, batch, NOW)
    with database.writing() as connection:
        found = [
            connection.execute(
                select(inspect(model).local_table).order_by(*inspect(model).primary_key)
            ).all()
            for model in TABLES
        ]
        delete_trace(connection, TRACE)
    return found


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(delivery=deliveries())
def test_order_batches_and_repeats_do_not_change_the_rows(
    database: Database, delivery: tuple[list[SpanRecord], list[list[SpanRecord]]]
) -> None:
    spans, batches = delivery

    assert rows_after(database, batches) == rows_after(database, [spans])


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(spans=span_sets())
def test_a_trace_sums_up_exactly_its_model_calls(
    database: Database, spans: list[SpanRecord]
) -> None:
    _, (trace,), _, calls = rows_after(database, [spans])

    costs = [call.total_cost for call in calls if call.total_cost is not None]
    assert trace.llm_calls == len(calls)
    assert trace.total_tokens == sum(call.total_tokens or 0 for call in calls)
    assert (trace.total_cost or 0) == sum(costs)


def test_a_writer_waits_for_another_writer_of_the_same_trace(
    postgres: Any, migrated_template: str
) -> None:
    url = postgres.create_database(migrated_template)
    database = Database(make_url(url), timeout_seconds=60)
    spans = [
        SpanRecord(
            *(TRACE, f"{number:016x}", None, RESOURCE, "test", f"span {number}", "internal"),
            *(number, number, "ok", None, {}, [], []),
        )
        for number in range(1, 4)
    ]

    def write(span: SpanRecord) -> None:
        with database.writing() as connection:
            record_spans(connection, [span], NOW)

    write(spans[0])
    with ThreadPoolExecutor(1) as thread:
        with database.writing() as connection:
            lock_traces(connection, [TRACE], NOW)
            other = thread.submit(write, spans[2])
            wait_for_a_blocked_session(database)
            record_spans(connection, [spans[1]], NOW)
        other.result(timeout=60)
    with database.reading() as connection:
        trace = connection.execute(select(WorkflowTrace.__table__)).one()
    database.close()

    assert trace.span_count == 3


def wait_for_a_blocked_session(database: Database) -> None:
    """Return when a session of this database waits for a lock."""
    blocked = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with database.reading() as connection:
            if connection.execute(blocked).scalar_one():
                return
        time.sleep(0.01)
    pytest.fail("the second writer never waited for the first")
