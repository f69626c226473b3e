"""When the database or the ledger can't: nothing is acknowledged, and the answer says so."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from midwatch_ledger.models import DeadLetter
from midwatch_ledger.services import mapping, recording
from sqlalchemy import Engine, create_engine

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture
def other_program(sqlite_url: str) -> Iterator[Engine]:
    """Give another program's way into the SQLite file."""
    engine = create_engine(sqlite_url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


def test_a_locked_database_is_unavailable_until_it_is_free(
    open_ledger: Callable[..., Any], sqlite_url: str, other_program: Engine
) -> None:
    ledger = open_ledger(sqlite_url, database_timeout_seconds=0.1)
    with other_program.connect() as holder:
        holder.exec_driver_sql("BEGIN IMMEDIATE")
        refused = ledger.send(*ledger.otlp.turn())
        not_ready = ledger.client.get("/readyz")
        alive = ledger.client.get("/healthz")
        holder.exec_driver_sql("ROLLBACK")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.headers["content-type"] == "application/problem+json"
    assert not_ready.status_code == 503
    assert "locked" in not_ready.json()["checks"]["database"]
    assert alive.status_code == 200
    assert ledger.client.get("/readyz").status_code == 200
    assert ledger.send(*ledger.otlp.turn()).status_code == 200
    assert ledger.tree()["span_count"] == 7


def test_a_postgresql_that_dies_is_unavailable_until_it_is_back(
    open_ledger: Callable[..., Any], start_postgres: Callable[[], Any]
) -> None:
    server = start_postgres()
    ledger = open_ledger(server.create_database(), database_timeout_seconds=2)
    assert ledger.send(ledger.otlp.span(1)).status_code == 200

    server.stop()
    refused = ledger.send(*ledger.otlp.turn())
    unread = ledger.client.get(f"/monitoring/traces/{ledger.otlp.trace_id}")
    not_ready = ledger.client.get("/monitoring/health")
    server.start()

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert (unread.status_code, not_ready.status_code) == (503, 503)
    assert ledger.client.get("/monitoring/health").status_code == 200
    assert ledger.send(*ledger.otlp.turn()).status_code == 200
    assert ledger.tree()["span_count"] == 7


def test_a_schema_that_went_missing_is_not_ready(ledger: Any) -> None:
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'other'")

    answer = ledger.client.get("/readyz")

    assert answer.status_code == 503
    assert "at revision other" in answer.json()["checks"]["schema"]


def test_a_table_that_went_missing_costs_no_record(ledger: Any) -> None:
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE spans RENAME TO hidden")
    refused = ledger.send(*ledger.otlp.turn())
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE hidden RENAME TO spans")

    assert refused.status_code == 503
    assert ledger.send(*ledger.otlp.turn()).status_code == 200
    assert ledger.rows(DeadLetter) == []


def test_a_record_that_cannot_be_stored_becomes_a_dead_letter_and_the_others_stay(
    ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = mapping.span_row

    def fail_on_five(span: Any) -> Any:
        if span.span_id.endswith("5"):
            raise KeyError("a fault in the mapping")
        return mapped(span)

    monkeypatch.setattr(mapping, "span_row", fail_on_five)

    answer = ledger.send(*ledger.otlp.turn())

    assert answer.status_code == 200
    assert b"unstorable: 1" in answer.content
    assert ledger.tree()["span_count"] == 6
    (letter,) = ledger.rows(DeadLetter)
    assert letter["reason"] == "KeyError"
    assert orjson.loads(letter["body"])["attributes"]["gen_ai.tool.name"] == "read_metrics"


def test_more_than_may_be_pending_is_told_to_come_back(
    open_ledger: Callable[..., Any], sqlite_url: str
) -> None:
    ledger = open_ledger(sqlite_url, max_body_bytes=1_000_000, max_pending_bytes=100_000)
    packed = gzip.compress(b"\x00" * 500_000)

    refused = ledger.client.post(
        "/v1/traces", content=packed, headers={**PROTOBUF, "content-encoding": "gzip"}
    )

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert ledger.send(*ledger.otlp.turn()).status_code == 200


def test_an_unknown_route_and_a_wrong_method_are_problems(
    open_ledger: Callable[..., Any], sqlite_url: str
) -> None:
    client = open_ledger(sqlite_url).client

    for answer, status in ((client.get("/nothing"), 404), (client.get("/v1/traces"), 405)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_a_trace_that_never_ends_is_cut_and_the_sender_told(
    ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_SPANS_OF_A_TRACE", 5)
    other = type(ledger.otlp)("e" * 32)

    answer = ledger.send(*ledger.otlp.turn(), other.span(1))
    repeated = ledger.send(*ledger.otlp.turn()[:5])

    assert b"trace_too_large: 2" in answer.content
    assert repeated.content == b""
    assert (ledger.tree()["span_count"], ledger.tree("e" * 32)["span_count"]) == (5, 1)
