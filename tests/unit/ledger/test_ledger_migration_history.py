"""From every earlier revision, with data in it: rows survive, and read the same through the API."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from midwatch_ledger.models import Base, PerformanceMetric
from midwatch_ledger.services.rollups import catch_up, rebuild
from midwatch_ledger.store import migrate as migrating
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.migrate import current_revision, head_revision
from sqlalchemy import column, insert, inspect, make_url, select, table

MIGRATIONS = Path(migrating.__file__).parent / "migrations"
SCRIPTS = ScriptDirectory(str(MIGRATIONS))
HISTORY = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]
EARLIER = HISTORY[:-1]
DERIVED = {"performance_metrics", "cost_details"}
"""What is worked out of the rows: where it was other then, migrations have it made anew."""

ATTRIBUTES_ONCE = "0010"
"""From then on attributes are in the execution or the call that a span became, and only there."""

DAY = "start_date=2026-11-18T00:00:00&end_date=2026-11-19T00:00:00"
QUESTIONS = (
    "/monitoring/traces/session-7",
    f"/execution-logs/executions?include_llm_calls=true&{DAY}",
    f"/execution-logs/llm-calls?{DAY}",
    f"/execution-logs/analytics/summary?{DAY}",
    f"/monitoring/costs?{DAY}&group_by=model",
    f"/analytics/costs?{DAY}",
    "/feedback",
    "/prompts",
    "/monitoring/alerts",
    "/projects",
)


def fill(ledger: Any) -> None:
    """Fill a ledger over its API."""
    otlp = ledger.otlp
    turn = otlp.turn()
    turn[0] = otlp.span(
        1,
        name="POST /chat",
        seconds=4,
        session__id="session-7",
        user__hash="user-1",
        midwatch__turn__entry_agent="supervisor",
        midwatch__turn__outcome="ok",
    )
    turn[2] = otlp.chat(
        3,
        2,
        midwatch__llm__price__table="house",
        midwatch__llm__price__version="2026-11",
        midwatch__llm__price__effective_date="2026-11-01",
        midwatch__prompt__name="greeting",
        midwatch__prompt__version="1",
        midwatch__prompt__label="production",
    )
    ledger.send(*turn).raise_for_status()
    events = [
        otlp.event("route.selected", selected_agent="monitor"),
        otlp.event("guardrail.decided", gate="input", decision="deny", reason="injection"),
        otlp.event("feedback.recorded", kind="thumbs", value="up", comment="good"),
    ]
    ledger.send_events(*events).raise_for_status()
    post = ledger.client.post
    post("/prompts", json={"name": "greeting", "by": "ada"}).raise_for_status()
    version = {"version": "1", "by": "ada", "template": "Hello."}
    post("/prompts/greeting/versions", json=version).raise_for_status()
    alert = {
        "status": "firing",
        "labels": {"alertname": "LlmCostSpike", "severity": "warning"},
        "annotations": {"summary": "dear"},
        "startsAt": "2026-11-18T10:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "abc",
    }
    webhook = {"version": "4", "status": "firing", "receiver": "ledger", "alerts": [alert]}
    post("/alerts/webhook", json=webhook).raise_for_status()
    put = ledger.client.put
    put("/projects/shop", json={"retention_days": 0}).raise_for_status()
    budget = {"scope": "everything", "period": "month", "amount_usd": 10}
    put("/budgets", json={"budgets": [budget]}).raise_for_status()


def rows_of(ledger: Any) -> dict[str, list[dict[str, Any]]]:
    """Give all rows by table."""
    with ledger.database.reading() as connection:
        return {
            one.name: [dict(row) for row in connection.execute(select(one)).mappings()]
            for one in Base.metadata.sorted_tables
        }


def answers(ledger: Any) -> dict[str, Any]:
    """Bring the sums up to date, and give what the API tells."""
    catch_up(ledger.database)
    found = {question: ledger.client.get(question) for question in QUESTIONS}
    assert {answer.status_code for answer in found.values()} == {200}, found
    return {question: answer.json() for question, answer in found.items()}


_ORIGINAL: list[Any] = []


@pytest.fixture
def original(open_ledger: Any, tmp_path: Path) -> Any:
    """Give rows as this program writes them, and what the API tells of them; made once."""
    if not _ORIGINAL:
        ledger = open_ledger(f"sqlite:///{tmp_path / 'original.db'}")
        fill(ledger)
        told = answers(ledger)
        _ORIGINAL.append((rows_of(ledger), told))
    return _ORIGINAL[0]


def upgrade(database: Database, revision: str) -> None:
    """Bring a database without rows to a revision, as the program of that time did."""
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    if database.is_sqlite:
        database.use_write_ahead_log()
    with database.writing() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, revision)


@pytest.fixture(scope="module")
def made() -> dict[tuple[str, bool], str]:
    """Give the empty databases there are, by revision and whether they are of SQLite."""
    return {}


@pytest.fixture(params=["sqlite", "postgresql"])
def old_database(
    request: pytest.FixtureRequest, made: dict[tuple[str, bool], str], files: Path
) -> Iterator[Callable[[str], Database]]:
    """Give an empty database at a revision: a copy of one that was brought there step by step."""
    server = None if request.param == "sqlite" else request.getfixturevalue("postgres")
    opened: list[Database] = []

    def copy(url: str | None, name: str) -> str:
        if server is not None:
            template = "template1" if url is None else str(make_url(url).database)
            return str(server.create_database(template))
        file = files / f"{name}.db"
        if url is not None:
            shutil.copy(str(make_url(url).database), file)
        return f"sqlite:///{file}"

    def begun(revision: str) -> str:
        if (revision, server is None) not in made:
            before = HISTORY[HISTORY.index(revision) - 1] if revision != HISTORY[0] else None
            url = copy(before and begun(before), f"revision-{revision}")
            database = Database(make_url(url))
            upgrade(database, revision)
            database.close()
            made[revision, server is None] = url
        return made[revision, server is None]

    def at(revision: str) -> Database:
        opened.append(Database(make_url(copy(begun(revision), uuid.uuid4().hex))))
        return opened[-1]

    yield at
    for database in opened:
        database.close()


def insert_rows(database: Database, rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """Insert of each row what its table has at this revision; give the columns by table."""
    known: dict[str, list[str]] = {}
    with database.writing() as connection:
        inspector = inspect(connection)
        for name in sorted(set(inspector.get_table_names()) & rows.keys()):
            types = {one.name: one.type for one in Base.metadata.tables[name].c}
            names = [one["name"] for one in inspector.get_columns(name) if one["name"] in types]
            if rows[name] and (name not in DERIVED or _had_all(name, names)):
                known[name] = names
                target = table(name, *(column(one, types[one]) for one in names))
                values = [{one: row[one] for one in names} for row in rows[name]]
                connection.execute(insert(target), values)
    return known


def _had_all(name: str, columns: list[str]) -> bool:
    """Whether the revision's table told all that the rows are told apart by."""
    return all(one.nullable or one.name in columns for one in Base.metadata.tables[name].c)


def with_attributes(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Give the rows as they were when each span had its attributes, whatever it became."""
    kept = {
        (row["trace_id"], row["span_id"]): row["metadata"]
        for row in (*rows["execution_logs"], *rows["llm_call_logs"])
    }
    spans = [
        {**row, "attributes": row["attributes"] or kept.get((row["trace_id"], row["span_id"]), {})}
        for row in rows["spans"]
    ]
    return {**rows, "spans": spans}


@pytest.mark.parametrize("revision", EARLIER)
def test_rows_of_an_earlier_revision_survive_and_read_the_same(
    revision: str, original: Any, open_ledger: Any, old_database: Callable[[str], Database]
) -> None:
    rows, told = original
    if HISTORY.index(revision) < HISTORY.index(ATTRIBUTES_ONCE):
        rows = with_attributes(rows)
    database = old_database(revision)
    known = insert_rows(database, rows)
    database.close()

    ledger = open_ledger(str(database.url))

    assert {"spans", "llm_call_logs", "events"} <= known.keys()
    with ledger.database.reading() as connection:
        for name, columns in known.items():
            if name in DERIVED:
                continue
            kept = Base.metadata.tables[name]
            found = connection.execute(select(*(kept.c[one] for one in columns))).mappings()
            expected = [{one: row[one] for one in columns} for row in rows[name]]
            assert sorted(map(_canonical, found)) == sorted(map(_canonical, expected)), name
    assert current_revision(ledger.database) == head_revision()
    now = answers(ledger)
    asked = [one for one in QUESTIONS if _is_about(one, known)]
    assert {one: now[one] for one in asked} == {one: told[one] for one in asked}


@pytest.mark.parametrize("revision", EARLIER[-1:])
def test_sums_of_an_earlier_revision_are_those_of_a_rebuild(
    revision: str, original: Any, open_ledger: Any, old_database: Callable[[str], Database]
) -> None:
    rows, _ = original
    database = old_database(revision)
    insert_rows(database, rows)
    database.close()
    ledger = open_ledger(str(database.url))

    def executions() -> list[Any]:
        return [row for row in ledger.rows(PerformanceMetric) if row["kind"] == "execution"]

    kept = executions()
    rebuild(ledger.database)

    assert kept == executions()
    assert {row["fastest_ms"] is not None for row in kept} == {True}


def _canonical(row: Mapping[str, Any]) -> bytes:
    def plain(value: Any) -> str:
        return str(value.normalize() if isinstance(value, Decimal) else value)

    return orjson.dumps(
        {str(name): value for name, value in row.items()},
        default=plain,
        option=orjson.OPT_SORT_KEYS,
    )


def _is_about(question: str, known: dict[str, list[str]]) -> bool:
    """Whether the revision had the tables that the question is about."""
    tables = {"/feedback": "feedback", "/prompts": "prompts", "/projects": "projects"}
    return tables.get(question, "spans") in known


def test_replicas_that_start_together_bring_an_old_database_with_data_up_to_date(
    original: Any, old_database: Callable[[str], Database], migrate_together: Any
) -> None:
    rows, _ = original
    database = old_database(EARLIER[0])
    insert_rows(database, rows)

    ended = migrate_together(2, str(database.url))

    assert [code for code, _ in ended] == [0, 0], ended
    assert sum(f"migrated from {EARLIER[0]}" in told for _, told in ended) == 1
    with database.reading() as connection:
        spans = connection.execute(select(Base.metadata.tables["spans"])).all()
    assert len(spans) == len(rows["spans"])


def test_migrations_are_one_line_that_only_goes_forward() -> None:
    assert SCRIPTS.get_heads() == [HISTORY[-1]] == [head_revision()]
    for script in SCRIPTS.walk_revisions():
        assert not script.is_merge_point
        assert not hasattr(script.module, "downgrade"), script.revision
