"""PostgreSQL's large tables by day: where rows go, and how a day goes as a whole."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from midwatch_ledger.models import ExecutionLog, LlmCallLog, Span, WorkflowTrace
from midwatch_ledger.services import retention
from midwatch_ledger.services.archives import Archive
from midwatch_ledger.services.retention import Policy
from midwatch_ledger.store import partitions
from midwatch_ledger.store.erasure import add_hold
from sqlalchemy import make_url, text

DAY = date(2026, 11, 18)
LATER = datetime(2026, 11, 19, tzinfo=UTC) + timedelta(days=31)
TABLES = (Span, ExecutionLog, LlmCallLog)


@pytest.fixture(scope="module")
def filled_template(ledgers: Any, postgres: Any, migrated_template: str, otlp: Any) -> str:
    """Give the name of a database to copy: with what `ledger` has."""
    url = postgres.create_database(migrated_template)
    turn = otlp.turn()
    with ledgers() as start:
        opened = start(url)
        with opened.database.writing() as connection:
            partitions.ensure(connection, [DAY])
        for sent in (turn[3:], turn, turn[:4]):
            assert opened.send(*sent).status_code == 200
    return str(make_url(url).database)


@pytest.fixture
def ledger(open_ledger: Callable[..., Any], postgres: Any, filled_template: str) -> Any:
    """Give a ledger whose day of the telemetry has partitions, with a turn sent twice."""
    return open_ledger(postgres.create_database(filled_template))


def days_of(ledger: Any, table: Any) -> list[str]:
    with ledger.database.reading() as connection:
        found = connection.execute(
            text(f"SELECT tableoid::regclass::text FROM {table.__tablename__}")  # noqa: S608
        )
        return sorted(set(found.scalars()))


def days_there(ledger: Any) -> set[date]:
    with ledger.database.reading() as connection:
        return {
            partition.day
            for table in partitions.PARTITIONED
            for partition in partitions.existing(connection, table)
        }


def test_rows_are_kept_by_the_day_on_which_they_began_each_once(ledger: Any) -> None:
    assert [days_of(ledger, table) for table in TABLES] == [
        ["spans_20261118"],
        ["execution_logs_20261118"],
        ["llm_call_logs_20261118"],
    ]
    assert [len(ledger.rows(table)) for table in TABLES] == [7, 4, 2]
    assert ledger.tree()["span_count"] == 7


def test_whoever_writes_finds_the_partitions_of_the_days_to_come(ledger: Any) -> None:
    today = datetime.now(UTC).date()

    assert days_there(ledger) >= {today, today + timedelta(days=1)}


def test_a_day_without_a_partition_costs_no_row(ledger: Any, otlp: Any) -> None:
    old = type(otlp)(trace_id="b" * 32, start=1_500_000_000_000_000_000)

    assert ledger.send(*old.turn()).status_code == 200

    assert ledger.tree("b" * 32)["span_count"] == 7
    assert days_of(ledger, Span) == ["spans_20261118", "spans_default"]
    with ledger.database.writing() as connection:
        assert partitions.ensure(connection, [date(2017, 7, 14)]) == []


def test_retention_archives_a_day_and_drops_it_whole(ledger: Any, tmp_path: Path) -> None:
    before = {table: ledger.rows(table) for table in TABLES}

    passed = retention.apply(ledger.database, Policy(archive_url=str(tmp_path)), LATER)

    assert DAY not in days_there(ledger)
    assert passed.archived["spans"] == passed.deleted["spans"] == 7
    assert passed.deleted["llm_call_logs"] == 2
    assert [ledger.rows(table) for table in (*TABLES, WorkflowTrace)] == [[], [], [], []]
    retention.restore(ledger.database, Archive(str(tmp_path)))
    assert {table: ledger.rows(table) for table in TABLES} == before


def test_a_day_on_which_something_is_held_loses_the_rest_row_by_row(ledger: Any, otlp: Any) -> None:
    other = type(otlp)(trace_id="c" * 32)
    ledger.send(*other.turn())
    hold = {
        "id": uuid.UUID(int=7),
        "subject": "trace",
        "value": otlp.trace_id,
        "reason": "case 7",
        "created_by": "me",
        "created_at": LATER,
    }
    with ledger.database.writing() as connection:
        add_hold(connection, hold)

    retention.apply(ledger.database, Policy(), LATER)

    assert DAY in days_there(ledger)
    assert {row["trace_id"] for row in ledger.rows(Span)} == {otlp.trace_id}
    assert len(ledger.rows(LlmCallLog)) == 2
