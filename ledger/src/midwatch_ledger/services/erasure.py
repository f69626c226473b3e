"""The right to erasure: all of a session, or of a user, is gone for good."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from midwatch_ledger.models.boundary import DEFAULT_PROJECT, Boundary, current_boundary, within
from midwatch_ledger.services import rollups
from midwatch_ledger.services.archives import Archive
from midwatch_ledger.store import auditing, writing
from midwatch_ledger.store import erasure as store
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.erasure import Subject
from midwatch_ledger.store.retention import table_named

HoldSubject = Literal["project", "session", "user", "trace"]
Record = dict[str, Any]

_TRACES_AT_ONCE = 50


class HeldError(Exception):
    """A legal hold forbids the deletion; `holds` are those that do."""

    def __init__(self, holds: list[Record]) -> None:
        reasons = "; ".join(f"{hold['subject']} {hold['value']!r}" for hold in holds)
        super().__init__(f"a legal hold forbids it ({reasons}); release it first")
        self.holds = holds


def erase(database: Database, subject: Subject, now: datetime) -> dict[str, int]:
    """Delete all that is kept of a subject; return how many rows of each table that was.

    It is done in parts, so that ingest goes on; to do it again after a failure finishes it. The
    audit log has the subject's digest and the numbers.

    Raises:
        HeldError: a legal hold covers some of it; nothing is deleted.
        DatabaseUnavailableError: the database can't be used; some may be deleted.
    """
    boundary = current_boundary() or Boundary(projects=None)
    deleted: Counter[str] = Counter()
    with within(Boundary(boundary.projects, content=True)):
        with database.reading() as connection:
            traces = store.traces_of(connection, subject)
            refuse_held(connection, [subject], traces)
        for start in range(0, len(traces), _TRACES_AT_ONCE):
            with database.writing() as connection:
                for trace_id in traces[start : start + _TRACES_AT_ONCE]:
                    deleted.update(writing.delete_trace(connection, trace_id))
        with database.writing() as connection:
            deleted.update(store.delete_told(connection, subject))
    with within(None):
        with database.writing() as connection:
            words = [subject.value, *traces]
            deleted["dead_letters"] += store.delete_dead_letters(connection, words)
            found = {table: count for table, count in deleted.items() if count}
            if boundary.origin is not None and found:
                auditing.record(connection, boundary.origin, now, found)
        rollups.catch_up(database)
    return found


def erase_archived(archive: Archive, subject: Subject) -> dict[str, int]:
    """Take all that names a subject out of the files of an archive; return how many rows.

    Raises:
        ArchiveError: a file can't be read or written.
    """
    tables = [table for name in archive.tables() if (table := table_named(name)) is not None]
    traces: set[str] = set()
    opinions: set[uuid.UUID] = set()
    for table in tables:
        for rows in archive.read(table):
            named = [row for row in rows if store.names(row, subject)]
            traces |= {row["trace_id"] for row in named if row.get("trace_id")}
    feedback = next((table for table in tables if table.name == "feedback"), None)
    for rows in archive.read(feedback) if feedback is not None else ():
        opinions |= {
            row["id"] for row in rows if row["trace_id"] in traces or store.names(row, subject)
        }

    def stays(row: Record) -> bool:
        told = row.get("trace_id") in traces or row.get("feedback_id") in opinions
        return not told and not store.names(row, subject)

    removed = {table.name: archive.rewrite(table, stays) for table in tables}
    return {name: count for name, count in removed.items() if count}


def refuse_held(connection: Connection, subjects: Iterable[Subject], traces: Iterable[str]) -> None:
    """Check that no legal hold covers subjects and traces.

    Raises:
        HeldError: one does.
    """
    named = list(traces)
    covered: set[tuple[str, str]] = {(subject.kind, subject.value) for subject in subjects}
    covered |= {("trace", trace) for trace in named}
    with within(None):
        holds = store.holds(connection)
        if not holds:
            return
        covered |= {
            ("project", project or DEFAULT_PROJECT)
            for project in store.projects_of(connection, named)
        }
        held = [hold for hold in holds if (hold["subject"], hold["value"]) in covered]
        for hold in holds:
            if hold["subject"] in ("session", "user") and hold not in held:
                kept = store.traces_of(connection, Subject(hold["subject"], hold["value"]))
                if set(kept) & set(named):
                    held.append(hold)
    if held:
        raise HeldError(held)


def hold(
    connection: Connection, subject: HoldSubject, value: str, reason: str, by: str, now: datetime
) -> Record:
    """Forbid to delete what is kept of a subject, until that is released."""
    row = {
        "id": uuid.uuid4(),
        "subject": subject,
        "value": value,
        "reason": reason,
        "created_by": by,
        "created_at": now,
        "released_by": None,
        "released_at": None,
    }
    store.add_hold(connection, row)
    return row


def release(connection: Connection, identifier: uuid.UUID, by: str, now: datetime) -> bool:
    """Release a hold; False if there is none that holds."""
    return store.release_hold(connection, identifier, by, now)
