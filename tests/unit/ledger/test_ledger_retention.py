"""Retention: what is old goes, into the archive first; what is held or wanted longer stays."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from midwatch_ledger.models import (
    AgentTransition,
    Event,
    ExecutionLog,
    Feedback,
    FeedbackReview,
    GuardrailDecision,
    LlmCallLog,
    PerformanceMetric,
    Span,
    WorkflowTrace,
)
from midwatch_ledger.services import retention
from midwatch_ledger.services.archives import Archive, ArchiveError
from midwatch_ledger.services.erasure import erase_archived
from midwatch_ledger.services.retention import Policy
from midwatch_ledger.services.rollups import catch_up
from midwatch_ledger.settings import SettingsError, load_settings
from midwatch_ledger.store.erasure import Subject
from moto.server import ThreadedMotoServer
from sqlalchemy import update

PROGRAM = [str(Path(sys.executable).with_name("midwatch-ledger"))]
NOW = datetime(2026, 11, 21, tzinfo=UTC)
DETAIL = (
    AgentTransition,
    Event,
    ExecutionLog,
    Feedback,
    FeedbackReview,
    GuardrailDecision,
    LlmCallLog,
    Span,
    WorkflowTrace,
)


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """Give the address of a store like S3, with a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/midwatch").raise_for_status()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def filled(ledger: Any, fillings: Any) -> Any:
    """Give a ledger with a turn of each age in days: 40 of the bank, 40 and 5 of the shop."""
    fillings.fill(ledger, fill)
    return ledger


def fill(ledger: Any) -> None:
    for number, (age, project) in enumerate(((40, "bank"), (40, "shop"), (5, "shop")), 1):
        start = int((NOW - timedelta(days=age)).timestamp()) * 1_000_000_000
        build = type(ledger.otlp)(trace_id=f"{number}" * 32, start=start)
        named = {"midwatch__project": project, "session__id": f"s-{number}"}
        ledger.send(
            build.span(1, name="turn", midwatch__turn__outcome="ok", **named),
            build.tool(2, 1, "search", gen_ai__tool__call__arguments='["x"]', **named),
            build.chat(3, 1, gen_ai__input__messages="hello", user__hash="ada", **named),
        )
        told = {name.replace("__", "."): value for name, value in named.items()}
        ledger.send_events(
            build.event("handoff", from_agent="a", to_agent="b", **told),
            build.event("guardrail.decided", gate="input", decision="deny", **told),
        )
        given = {"kind": "thumb", "value": "up", "trace_id": build.trace_id, "project": project}
        kept = ledger.client.post("/feedback", json=given).raise_for_status().json()
        step = {"by": "me", "state": "accepted"}
        ledger.client.patch(f"/feedback/{kept['id']}", json=step).raise_for_status()
        with ledger.database.writing() as connection:
            connection.execute(
                update(Feedback)
                .where(Feedback.trace_id == build.trace_id)
                .values(given_at=NOW - timedelta(days=age))
            )


def traces(ledger: Any, table: Any = WorkflowTrace) -> set[str]:
    return {row["trace_id"][0] for row in ledger.rows(table)}


def everything(ledger: Any) -> dict[str, list[dict[str, Any]]]:
    return {table.__tablename__: ledger.rows(table) for table in DETAIL}


def test_what_is_older_than_it_is_kept_goes_from_every_table(filled: Any) -> None:
    catch_up(filled.database)
    sums = filled.rows(PerformanceMetric)
    passed = retention.apply(filled.database, Policy(30, {"performance_metrics": 400}), NOW)

    for table in (Span, LlmCallLog, ExecutionLog, Event, Feedback, AgentTransition):
        assert traces(filled, table) == {"3"}, table
    assert traces(filled) == {"3"}
    assert len(filled.rows(FeedbackReview)) == 1
    assert passed.deleted["spans"] == 6
    assert passed.archived == {}
    assert filled.rows(PerformanceMetric) == sums


def test_a_table_and_a_project_may_have_times_of_their_own(filled: Any) -> None:
    shop = {"retention_days": 3, "retention_tables": {"spans": 0}}
    filled.client.put("/projects/shop", json=shop).raise_for_status()
    filled.client.put("/projects/bank", json={"retention_days": 100}).raise_for_status()

    retention.apply(filled.database, Policy(30, {"events": 1}), NOW)

    assert traces(filled) == {"1"}
    assert traces(filled, Span) == {"1", "2", "3"}
    assert traces(filled, Event) == {"1"}


def test_nothing_goes_when_all_is_kept_for_ever(filled: Any) -> None:
    before = everything(filled)

    passed = retention.apply(filled.database, Policy(0), NOW + timedelta(days=9999))

    assert passed.deleted == {}
    assert everything(filled) == before


@pytest.mark.parametrize(
    ("subject", "value"), [("trace", "1" * 32), ("session", "s-1"), ("project", "bank")]
)
def test_what_is_held_stays(filled: Any, subject: str, value: str) -> None:
    hold = {"subject": subject, "value": value, "reason": "case 7"}
    filled.client.post("/holds", json=hold).raise_for_status()

    retention.apply(filled.database, Policy(30), NOW)

    assert traces(filled) == {"1", "3"}
    for table in (Span, LlmCallLog, Event, GuardrailDecision):
        assert traces(filled, table) == {"1", "3"}, table


def test_what_was_archived_comes_back_as_it_was(filled: Any, tmp_path: Path) -> None:
    before = everything(filled)
    passed = retention.apply(filled.database, Policy(30, archive_url=str(tmp_path)), NOW)
    assert traces(filled) == {"3"}
    assert passed.archived == passed.deleted

    restored = retention.restore(filled.database, Archive(str(tmp_path)))
    again = retention.restore(filled.database, Archive(f"file://{tmp_path}"))

    assert everything(filled) == before
    assert restored == again == passed.archived


def test_an_archive_that_cannot_be_written_keeps_everything(filled: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    before = everything(filled)

    with pytest.raises(ArchiveError, match="can't be used"):
        retention.apply(filled.database, Policy(30, archive_url=f"{tmp_path}/file"), NOW)

    assert everything(filled) == before


def test_a_restore_of_what_is_no_archive_is_told(ledger: Any, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "x.parquet").write_text("x")
    with pytest.raises(ArchiveError, match="'odd'"):
        retention.restore(ledger.database, Archive(str(tmp_path)))

    (tmp_path / "odd").rename(tmp_path / "spans")
    with pytest.raises(ArchiveError, match=r"spans/x\.parquet can't be used"):
        retention.restore(ledger.database, Archive(str(tmp_path)))


def test_who_is_erased_is_erased_from_the_archive_too(filled: Any, tmp_path: Path) -> None:
    retention.apply(filled.database, Policy(30, archive_url=str(tmp_path)), NOW)
    archive = Archive(str(tmp_path))

    removed = erase_archived(archive, Subject("session", "s-1"))
    retention.restore(filled.database, archive)

    assert removed["spans"] == 3
    assert removed["feedback_reviews"] == 1
    assert traces(filled) == {"2", "3"}
    assert len(filled.rows(FeedbackReview)) == 2
    assert erase_archived(archive, Subject("user", "ada"))["spans"] == 3
    assert "workflow_traces" not in archive.tables()


def test_many_rows_go_in_small_parts(
    filled: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(retention, "_ROWS_AT_ONCE", 2)
    monkeypatch.setattr(retention, "_PAUSE_SECONDS", 0.0)
    before = everything(filled)

    retention.apply(filled.database, Policy(30, archive_url=str(tmp_path)), NOW)

    assert traces(filled, Span) == {"3"}
    assert len(list(tmp_path.glob("spans/*/*.parquet"))) == 3
    retention.restore(filled.database, Archive(str(tmp_path)))
    assert everything(filled) == before


def test_an_archive_may_be_in_a_store_like_s3(
    filled: Any, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    where = f"region=us-east-1&scheme=http&endpoint_override={s3_server}"
    url = f"s3://midwatch/{uuid.uuid4()}?{where}"
    before = everything(filled)

    retention.apply(filled.database, Policy(30, archive_url=url), NOW)

    assert traces(filled) == {"3"}
    assert "spans" in Archive(url).tables()
    retention.restore(filled.database, Archive(url))
    assert everything(filled) == before
    assert erase_archived(Archive(url), Subject("session", "s-2"))["spans"] == 3


def test_the_commands_archive_restore_and_erase(
    filled: Any, tell: Callable[..., Any], tmp_path: Path
) -> None:
    before = everything(filled)
    environment = {
        "MIDWATCH_LEDGER_DATABASE_URL": filled.database.url.render_as_string(hide_password=False),
        "MIDWATCH_LEDGER_ARCHIVE_URL": str(tmp_path / "archive"),
    }

    def started(*arguments: str) -> str:
        done = subprocess.run(
            [*PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def told(*arguments: str) -> str:
        done = tell(*arguments, **environment)
        assert done.exit_code == 0, done.stderr
        return str(done.stdout)

    # One of the two is enough to start programs with.
    run = started if filled.database.is_sqlite else told

    # By the machine's clock, whatever it shows, the two turns of 40 days ago are the older ones.
    days = str((datetime.now(UTC) - NOW).days + 20)
    environment["MIDWATCH_LEDGER_RETENTION_DAYS"] = days
    assert "deleted:" in run("archive")
    assert traces(filled) == {"3"}
    assert "6 of spans" in run("restore")
    assert everything(filled) == before
    assert "spans" in run("erase", "--session", "s-1")
    assert traces(filled) == {"2", "3"}
    assert "taken out of the archive: 2 of agent_transitions" not in told("restore")
    assert traces(filled) == {"2", "3"}


def test_wrong_settings_are_told_with_the_tables_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIDWATCH_LEDGER_RETENTION_TABLES", '{"spam": 3}')
    monkeypatch.setenv("MIDWATCH_LEDGER_RETENTION_DAYS", "-1")

    with pytest.raises(SettingsError) as told:
        load_settings()

    text = "\n".join(told.value.problems)
    assert "there is no table spam; there are agent_transitions" in text
    assert "MIDWATCH_LEDGER_RETENTION_DAYS" in text
