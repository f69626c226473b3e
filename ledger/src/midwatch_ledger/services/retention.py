"""Retention: what is older than its table and project keep it is archived, then deleted."""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from midwatch_ledger.services import projects
from midwatch_ledger.services.archives import Archive, ArchiveError
from midwatch_ledger.services.background import BackgroundWork
from midwatch_ledger.store import erasure, partitions, retention, rollups
from midwatch_ledger.store.database import Database, DatabaseUnavailableError
from midwatch_ledger.store.erasure import Kind, Subject
from midwatch_ledger.store.partitions import Partition
from midwatch_ledger.store.retention import KEPT, Due, Held, Kept

_ROWS_AT_ONCE = 2_000
_PAUSE_SECONDS = 0.05
_FIRST_AFTER_SECONDS = 600.0
_EVERY_TABLE = projects.EVERY_TABLE
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Policy:
    """How many days rows are kept; 0 is for ever.

    Attributes:
        days: of each table that nothing else is said of.
        tables: by table.
        archive_url: where rows go before they are deleted; None is nowhere.
    """

    days: int = 30
    tables: Mapping[str, int] = field(default_factory=dict)
    archive_url: str | None = None


@dataclass(frozen=True)
class Passed:
    """What one pass has done, in rows by table."""

    archived: Counter[str]
    deleted: Counter[str]


def apply(
    database: Database,
    policy: Policy,
    now: datetime,
    *,
    ended: threading.Event | None = None,
) -> Passed:
    """Archive and delete what is due, in small transactions; what is held stays.

    A row is in the archive, whole and flushed, before it is deleted. If that fails in between, it
    is there twice, and a restore takes it once.

    Raises:
        ArchiveError: the archive can't be written; nothing more is deleted.
        DatabaseUnavailableError: the database can't be used.
    """
    archive = None if policy.archive_url is None else Archive(policy.archive_url)
    passed = Passed(Counter(), Counter())
    stop = ended or threading.Event()
    with database.reading() as turn:
        if not retention.take_turn(turn):
            return passed
        for kept in KEPT:
            with database.reading() as connection:
                wanted = list(_due(connection, kept, policy, now))
                days = retention.whole_days(connection, kept, wanted)
            for day in days:
                if not stop.is_set():
                    _whole_day(database, kept, wanted, day, archive, passed, now)
            for one in wanted:
                while not stop.is_set() and _some(database, kept, one, archive, passed, now):
                    stop.wait(_PAUSE_SECONDS)
    return passed


def restore(database: Database, archive: Archive) -> Counter[str]:
    """Bring back all rows of an archive; those that are there stay as they are.

    Sums aren't touched: they are kept longer than what they sum up.

    Raises:
        ArchiveError: a file can't be read, or is of no table here.
        DatabaseUnavailableError: the database can't be used.
    """
    restored: Counter[str] = Counter()
    for name in archive.tables():
        table = retention.table_named(name)
        if table is None:
            raise ArchiveError(f"the archive has a folder {name!r}, which is no table of archives")
        for rows in archive.read(table):
            with database.writing() as connection:
                retention.restore(connection, table, rows)
            restored[name] += len(rows)
    return restored


class RetentionKeeper(BackgroundWork):
    """Applies the policy every few hours; the first time when the start is long over."""

    waits_for = (ArchiveError, DatabaseUnavailableError)

    def __init__(self, database: Database, policy: Policy, *, pause_hours: float) -> None:
        pause = pause_hours * 3600
        super().__init__(
            "retention", pause_seconds=pause, first_pause_seconds=min(_FIRST_AFTER_SECONDS, pause)
        )
        self._database = database
        self._policy = policy

    def make_pass(self) -> bool:
        """Apply the policy; a close ends it after the part that is being deleted then."""
        passed = apply(self._database, self._policy, datetime.now(UTC), ended=self._ended)
        if passed.deleted:
            _logger.info("retention deleted %s", dict(passed.deleted))
        return False


def _whole_day(
    database: Database,
    kept: Kept,
    wanted: Sequence[Due],
    day: Partition,
    archive: Archive | None,
    passed: Passed,
    now: datetime,
) -> None:
    """Archive a day's partition and drop it; meanwhile nobody writes to that day."""
    with database.writing() as connection:
        parts = retention.rows_of_day(connection, kept, wanted, day, _ROWS_AT_ONCE)
        if parts is None:
            return
        archived = 0
        count = 0
        for rows in parts:
            count += len(rows)
            if archive is not None:
                archive.write(kept.table, rows, now)
                archived += len(rows)
        partitions.drop(connection, day)
    passed.archived[kept.name] += archived
    passed.deleted[kept.name] += count


def _some(
    database: Database,
    kept: Kept,
    wanted: Due,
    archive: Archive | None,
    passed: Passed,
    now: datetime,
) -> bool:
    """Archive and delete some rows; return whether there may be more."""
    with database.reading() as connection:
        rows = retention.due(connection, kept, wanted, _ROWS_AT_ONCE)
        parts = [(kept.table, rows)]
        if kept.child is not None:
            parts.insert(0, (kept.child[0], retention.children(connection, kept, rows)))
    # Nobody waits for the archive: ingest goes on while it is written.
    for table, found in parts:
        if archive is not None and found:
            archive.write(table, found, now)
            passed.archived[table.name] += len(found)
    if rows:
        with database.writing() as connection:
            for table, found in parts:
                passed.deleted[table.name] += retention.drop(connection, table, found)
    return len(rows) == _ROWS_AT_ONCE


def _due(connection: Connection, kept: Kept, policy: Policy, now: datetime) -> Iterator[Due]:
    """Say what is due of a table: of each project that has its own time, and of the others."""
    held = _held(connection)
    own: dict[str, int] = {}
    if "project" in kept.table.c:
        for project in projects.listed(connection):
            said = project["retention"]
            days = said.get(kept.retention_of, said.get(_EVERY_TABLE))
            if days is not None:
                own[project["name"]] = days
    usual = policy.tables.get(kept.retention_of, policy.days)
    if usual:
        yield Due(_before(now, usual), not_projects=frozenset(own), held=held)
    for name, days in own.items():
        if days:
            yield Due(_before(now, days), frozenset({name}), held=held)


def _before(now: datetime, days: int) -> datetime:
    """Return from when on rows are kept: full hours, so that no sum is of half its rows."""
    return rollups.start_of(now - timedelta(days=days), rollups.HOUR)


def _held(connection: Connection) -> Held:
    holds = erasure.holds(connection)
    named: defaultdict[str, set[str]] = defaultdict(set)
    for hold in holds:
        named[hold["subject"]].add(hold["value"])
    traces = set(named["trace"])
    kinds: tuple[Kind, ...] = ("session", "user")
    for kind in kinds:
        for value in named[kind]:
            traces.update(erasure.traces_of(connection, Subject(kind, value)))
    return Held(
        frozenset(named["project"]),
        frozenset(named["session"]),
        frozenset(traces),
        anything=bool(holds),
    )
