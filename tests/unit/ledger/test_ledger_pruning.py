"""On PostgreSQL, who asks by a trace has only its own days looked through, and misses nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from midwatch_ledger.models import LlmCallLog, Span
from midwatch_ledger.models.boundary import Boundary, within
from midwatch_ledger.services import feedback, live_topics
from midwatch_ledger.services.rollups import catch_up
from midwatch_ledger.store import partitions, repricing
from midwatch_ledger.store.live import Change, Position
from midwatch_ledger.store.reading import Criteria
from sqlalchemy import Engine, event, make_url

LAST = date(2026, 11, 19)
DAYS = [LAST - timedelta(days=number) for number in range(24)]
# A minute before midnight: half of a turn is of the next day.
LATE = int(datetime(2026, 11, 18, 23, 59, tzinfo=UTC).timestamp() * 1e9)
PERIOD = "start_date=2026-10-20T00:00:00Z&end_date=2026-11-20T00:00:00Z"
LONG_AGO = "2" * 32
_NAMES = re.compile(r'"Relation Name": "((?:spans|execution_logs|llm_call_logs)_\w+)"')


@pytest.fixture(scope="module")
def filled_template(ledgers: Any, postgres: Any, migrated_template: str) -> str:
    """Give the name of a database to copy: with what `ledger` has."""
    url = postgres.create_database(migrated_template)
    with ledgers() as start:
        fill(start(url))
    return str(make_url(url).database)


@pytest.fixture
def ledger(open_ledger: Callable[..., Any], postgres: Any, filled_template: str, otlp: Any) -> Any:
    """Give a ledger with partitions of many days, and turns: over midnight, and long ago."""
    opened = open_ledger(postgres.create_database(filled_template))
    opened.otlp = type(otlp)(start=LATE)
    return opened


def fill(opened: Any) -> None:
    otlp = opened.otlp
    with opened.database.writing() as connection:
        partitions.ensure(connection, DAYS)
    for trace_id, start in ((otlp.trace_id, LATE), (LONG_AGO, LATE - 3 * 365 * 86_400 * 10**9)):
        begun = type(otlp)(trace_id=trace_id, start=start)
        # The children first, and their parents, of the day before, when all is thought to be there.
        for part in ([begun.chat(9, 4, at=90)], begun.turn()[2:], begun.turn()[:2]):
            assert opened.send(*part).status_code == 200
    catch_up(opened.database)


@contextmanager
def looked_through() -> Iterator[list[list[str]]]:
    """Give the partitions that PostgreSQL plans each statement for, as it says itself."""
    found: list[list[str]] = []

    def explain(connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if not re.search(r"(FROM|JOIN|UPDATE) (spans|execution_logs|llm_call_logs)\b", statement):
            return
        with connection.connection.cursor() as cursor:
            one = given[0] if isinstance(given, list) else given
            cursor.execute("EXPLAIN (VERBOSE, FORMAT JSON) " + statement, one)
            found.append(sorted(set(_NAMES.findall(str(cursor.fetchall()).replace("'", '"')))))

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", explain)


def ask(ledger: Any, path: str) -> tuple[Any, list[list[str]]]:
    with looked_through() as found:
        answer = ledger.client.get(path, headers={"accept": "application/json"})
    assert answer.status_code == 200, answer.text
    assert found
    return answer, found


def days(found: list[str]) -> set[str]:
    return {name.rpartition("_")[2] for name in found}


def test_a_trace_is_looked_for_on_its_own_days(ledger: Any) -> None:
    answer, found = ask(ledger, f"/monitoring/traces/{ledger.otlp.trace_id}")

    (trace,) = answer.json()["traces"]
    assert (trace["span_count"], len(trace["spans"]), trace["events"]) == (8, 1, [])
    assert answer.text.count('"attributes"') >= 8
    assert len(found) == 3
    assert {day for one in found for day in days(one)} == {"20261118", "20261119"}


def test_a_session_in_the_console_is_looked_for_on_the_days_of_its_turns(ledger: Any) -> None:
    answer, found = ask(ledger, "/console/sessions/session-7")

    assert answer.text.count("read_metrics") >= 2
    # Two turns, of which one is of long ago, where no day has a partition of its own.
    assert {frozenset(days(one)) for one in found} == {
        frozenset({"20261118", "20261119"}),
        frozenset({"default"}),
    }


def test_model_calls_of_executions_are_looked_for_since_the_day_before(ledger: Any) -> None:
    path = f"/execution-logs/executions?include_llm_calls=true&{PERIOD}"
    answer, found = ask(ledger, path)

    calls = {row["agent_type"]: len(row["llm_calls"]) for row in answer.json()}
    assert calls == {"POST /chat": 0, "supervisor": 1, "monitor": 2}
    (of_calls,) = (one for one in found if one[0].startswith("llm_call_logs"))
    assert days(of_calls) >= {"20261118", "20261119"}
    assert not [day for day in days(of_calls) if day < "20261117"]


def test_executions_of_a_trace_are_looked_for_on_its_days_and_others_of_the_same_name_on_all(
    ledger: Any, otlp: Any
) -> None:
    trace_id = ledger.otlp.trace_id
    other = type(otlp)(trace_id="3" * 32, start=LATE - 20 * 86_400 * 10**9)
    ledger.send(other.agent(1, None, "worker", midwatch__execution__id=trace_id))

    answer, found = ask(ledger, f"/execution-logs/executions/{trace_id}")

    told = [row["agent_type"] for row in answer.json()]
    assert told == ["worker", "POST /chat", "supervisor", "monitor", "monitor"]
    assert sum(len(row["llm_calls"]) for row in answer.json()) == 3
    of_trace, of_others, _ = found
    assert days(of_trace) == {"20261118", "20261119"}
    assert len(of_others) > len(DAYS)


def test_bottlenecks_look_for_spans_on_the_days_of_their_turns(ledger: Any) -> None:
    answer, found = ask(ledger, f"/analytics/bottlenecks?{PERIOD}")

    assert (answer.json()["sampled_traces"], answer.json()["sampled_spans"]) == (1, 8)
    assert [days(one) for one in found] == [{"20261118", "20261119"}]


def test_details_of_a_minute_are_looked_for_from_its_day_on(ledger: Any) -> None:
    ledger.send(ledger.otlp.agent(20, 1, "writer", at=2))

    with looked_through() as found:
        catch_up(ledger.database)

    assert len(found) > 3
    assert not [day for one in found for day in days(one) if day < "20261118"]


def test_what_feedback_and_live_clients_are_about_is_looked_for_on_its_days(ledger: Any) -> None:
    given = ledger.otlp.event("feedback.recorded", kind="thumbs", value="up")
    ledger.send_events(given).raise_for_status()
    written = ledger.rows(LlmCallLog)[-1]["created_at"]
    change = Change(Position(1, 1), "spans", (UUID(ledger.otlp.trace_id),), written)

    everything = within(Boundary(projects=None, content=True))
    with looked_through() as found, ledger.database.reading() as connection, everything:
        (example,) = feedback.dataset(connection, Criteria())
        told = list(live_topics.records_of(connection, change, frozenset({"llm_calls"})))

    assert len(example["model_calls"]) == 3
    assert told
    assert [days(one) for one in found] == [{"20261118", "20261119"}] * 2


def test_a_price_is_corrected_on_the_days_of_its_trace(ledger: Any) -> None:
    call = next(row for row in ledger.rows(LlmCallLog) if row["span_id"] == f"{9:016x}")
    kept = ("id", "trace_id", "span_id", "start_time")
    row = {**{name: call[name] for name in kept}, "total_cost": 2 * call["total_cost"]}

    with looked_through() as found, ledger.database.writing() as connection:
        repricing.correct(connection, [row], datetime.now(UTC))

    assert [one for one in found if len(one) > 2] == []
    (span,) = (
        one
        for one in ledger.rows(Span)
        if (one["trace_id"], one["span_id"]) == (call["trace_id"], call["span_id"])
    )
    assert span["cost"] == row["total_cost"]


def test_the_newest_rows_are_found_on_the_last_days_and_are_the_newest_of_all(
    ledger: Any, otlp: Any
) -> None:
    now = datetime.now(UTC)
    for number, days_ago in enumerate((-2, 0.1, 0.2, 0.3, 5, 40, 200, 900)):
        start = int((now - timedelta(days=days_ago)).timestamp() * 1e9)
        begun = type(otlp)(trace_id=f"{number + 16:032x}", start=start)
        ledger.send(begun.chat(1, gen_ai__request__model=f"model-{number % 2}"))
    rows = sorted(ledger.rows(LlmCallLog), key=lambda row: row["start_time"], reverse=True)
    path = "/execution-logs/llm-calls"

    for model in (None, "model-0", "model-1"):
        wanted = [str(row["id"]) for row in rows if model in (None, row["model_id"])]
        chosen = "" if model is None else f"&model_id={model}"
        for limit in (1, 3, 100):
            url: str | None = f"{path}?limit={limit}{chosen}"
            seen: list[str] = []
            while url:
                answer = ledger.client.get(url).raise_for_status()
                seen += [row["id"] for row in answer.json()]
                told = answer.headers.get("link", "<>")
                url = told[1 : told.index(">")]
            assert seen == wanted
            offset = ledger.client.get(f"{path}?limit={limit}&offset=2{chosen}").json()
            assert [row["id"] for row in offset] == wanted[2 : 2 + limit]

    _, (found,) = ask(ledger, f"{path}?limit=3")
    assert len(found) < 8


def test_groups_and_reports_are_found_by_indexes_of_those_that_have_one(
    open_ledger: Callable[..., Any], sqlite_url: str
) -> None:
    opened = open_ledger(sqlite_url)
    plans: list[str] = []

    def explain(connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if "_logs \nWHERE" in statement:
            plan = connection.connection.cursor().execute("EXPLAIN QUERY PLAN " + statement, given)
            plans.append(" ".join(row[3] for row in plan.fetchall()))

    report = "550e8400-e29b-41d4-a716-446655440000"
    event.listen(Engine, "before_cursor_execute", explain)
    try:
        opened.client.get("/execution-logs/executions/run-7")
        for rows in ("executions", "llm-calls"):
            opened.client.get(f"/execution-logs/{rows}?report_id={report}").raise_for_status()
    finally:
        event.remove(Engine, "before_cursor_execute", explain)

    names = ["trace_id_span_id", "execution_id", "report_id"]
    wanted = [*(f"ix_execution_logs_{name}" for name in names), "ix_llm_call_logs_report_id"]
    assert [name in plan for name, plan in zip(wanted, plans, strict=True)] == [True] * 4
