"""What is old enough to go: which tables, by which time, and in bounded parts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    MetaData,
    Table,
    and_,
    delete,
    false,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
)

from midwatch_ledger.models import (
    AgentTransition,
    AlertAction,
    AlertHistory,
    Base,
    CostDetail,
    DailyReport,
    DeadLetter,
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
from midwatch_ledger.models.boundary import DEFAULT_PROJECT
from midwatch_ledger.store import partitions
from midwatch_ledger.store.partitions import Partition
from midwatch_ledger.store.writing import insert_new

Record = dict[str, Any]

_ADVISORY_LOCK = 0x6D69_6477_7265  # "midwre": PostgreSQL's advisory locks are numbers.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEYS_PER_QUERY = 300


@dataclass(frozen=True)
class Kept:
    """A table whose rows are kept for some time.

    Attributes:
        time: the column that says how old a row is.
        follows: the table whose retention holds here as well.
        child: rows of another table that go with a row, by their column that names it.
    """

    table: Table
    time: str
    follows: str | None = None
    child: tuple[Table, str] | None = None

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name

    @property
    def retention_of(self) -> str:
        """The table whose retention holds."""
        return self.follows or self.name


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 -- every model here is one table
    return table


# Traces come last: the tables before are deleted by what a trace says of holds.
KEPT: tuple[Kept, ...] = (
    Kept(_table(Span), "start_unix_nanoseconds"),
    Kept(_table(Event), "occurred_at"),
    Kept(_table(AgentTransition), "occurred_at"),
    Kept(_table(GuardrailDecision), "occurred_at"),
    Kept(_table(LlmCallLog), "start_time"),
    Kept(_table(ExecutionLog), "start_time"),
    Kept(_table(Feedback), "given_at", child=(_table(FeedbackReview), "feedback_id")),
    Kept(_table(DeadLetter), "received_at"),
    Kept(_table(AlertAction), "starts_at", follows="alert_history"),
    Kept(_table(AlertHistory), "starts_at"),
    Kept(_table(PerformanceMetric), "bucket"),
    Kept(_table(CostDetail), "day"),
    Kept(_table(DailyReport), "day"),
    Kept(_table(WorkflowTrace), "start_time"),
)


@dataclass(frozen=True)
class Held:
    """What legal holds cover, where a row can name it."""

    projects: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    traces: frozenset[str] = frozenset()
    anything: bool = False


@dataclass(frozen=True)
class Due:
    """Rows that are old enough: before `before`, of these projects, and of nothing that is held.

    Attributes:
        projects: only theirs; None is those of all but `not_projects`.
    """

    before: datetime
    projects: frozenset[str] | None = None
    not_projects: frozenset[str] = frozenset()
    held: Held = Held()


def take_turn(connection: Connection) -> bool:
    """Return whether, while this transaction lasts, nobody else applies the retention."""
    if connection.dialect.name == "sqlite":
        return True  # There is one process.
    asked = text("SELECT pg_try_advisory_xact_lock(:number)")
    return bool(connection.execute(asked, {"number": _ADVISORY_LOCK}).scalar_one())


def whole_days(connection: Connection, kept: Kept, wanted: Sequence[Due]) -> list[Partition]:
    """Return the partitions that are over and of which every row is due."""
    days = partitions.existing(connection, kept.name)
    if not days or not wanted:
        return []
    latest = max(one.before for one in wanted)
    return [day for day in days if day.end <= latest and _is_due(connection, kept, wanted, day)]


def rows_of_day(
    connection: Connection, kept: Kept, wanted: Sequence[Due], day: Partition, limit: int
) -> Iterator[list[Record]] | None:
    """Close a partition to writers and give its rows in parts; None if some aren't due any more."""
    partitions.close_to_writers(connection, day)
    if not _is_due(connection, kept, wanted, day):
        return None
    query = select(_alone(kept, day))
    # For this query alone: the connection has more to do.
    found = connection.execute(query, execution_options={"yield_per": limit}).mappings()
    return ([dict(row) for row in part] for part in found.partitions())


def _is_due(connection: Connection, kept: Kept, wanted: Sequence[Due], day: Partition) -> bool:
    """Return whether there is no row that somebody wants kept: by a project's time, or held."""
    alone = _alone(kept, day)
    of_any = or_(*(and_(*_conditions(replace(kept, table=alone), one)) for one in wanted))
    kept_rows = select(literal(1)).select_from(alone).where(~func.coalesce(of_any, false()))
    return connection.execute(kept_rows.limit(1)).first() is None


def _alone(kept: Kept, day: Partition) -> Table:
    """Return the partition as a table with the columns of the whole."""
    return kept.table.to_metadata(MetaData(), name=day.name)


def due(connection: Connection, kept: Kept, wanted: Due, limit: int) -> list[Record]:
    """Return some rows that are due, the oldest first, whole."""
    table = kept.table
    query = select(table).where(*_conditions(kept, wanted)).order_by(table.c[kept.time])
    return [dict(row) for row in connection.execute(query.limit(limit)).mappings()]


def children(connection: Connection, kept: Kept, rows: Sequence[Record]) -> list[Record]:
    """Return the rows of the table's child that go with these rows."""
    if kept.child is None:
        return []
    table, column = kept.child
    found: list[Record] = []
    for chunk in _chunks([row["id"] for row in rows]):
        query = select(table).where(table.c[column].in_(chunk))
        found.extend(dict(row) for row in connection.execute(query).mappings())
    return found


def drop(connection: Connection, table: Table, rows: Sequence[Record]) -> int:
    """Delete exactly these rows."""
    columns = list(table.primary_key.columns)
    deleted = 0
    for chunk in _chunks([tuple(row[column.key] for column in columns) for row in rows]):
        one = len(columns) == 1
        wanted = columns[0].in_([key[0] for key in chunk]) if one else tuple_(*columns).in_(chunk)
        deleted += connection.execute(delete(table).where(wanted)).rowcount
    return deleted


def restore(connection: Connection, table: Table, rows: Sequence[Record]) -> None:
    """Insert rows that were archived; those that are there stay as they are."""
    (model,) = [one.class_ for one in Base.registry.mappers if one.local_table is table]
    insert_new(connection, model, rows)


def table_named(name: str) -> Table | None:
    """Return the table of this name that an archive can have."""
    tables = {kept.name: kept.table for kept in KEPT}
    tables |= {kept.child[0].name: kept.child[0] for kept in KEPT if kept.child}
    return tables.get(name)


def _conditions(kept: Kept, wanted: Due) -> Iterator[ColumnElement[bool]]:
    columns, held = kept.table.c, wanted.held
    before: Any = wanted.before
    if kept.time.endswith("nanoseconds"):
        before = (wanted.before - _EPOCH).days * 86_400 + (wanted.before - _EPOCH).seconds
        before *= 1_000_000_000
    yield columns[kept.time] < before
    if "project" in columns:
        if wanted.projects is not None:
            yield _of_projects(columns.project, wanted.projects)
        for project in sorted(wanted.not_projects | held.projects):
            yield ~_of_projects(columns.project, {project})
    elif wanted.projects is not None:
        yield columns[kept.time] < _EPOCH  # What names no project isn't a project's.
    if held.traces and "trace_id" in columns:
        yield or_(columns.trace_id.is_(None), columns.trace_id.not_in(sorted(held.traces)))
    if held.sessions and "session_id" in columns:
        yield or_(columns.session_id.is_(None), columns.session_id.not_in(sorted(held.sessions)))
    if held.anything and kept.name == "dead_letters":
        yield columns.received_at < _EPOCH  # What they hold isn't known: all are kept.


def _of_projects(column: Any, projects: Collection[str]) -> ColumnElement[bool]:
    named: ColumnElement[bool] = and_(column.is_not(None), column.in_(sorted(projects)))
    if DEFAULT_PROJECT in projects:
        return or_(named, column.is_(None), column == "")
    return named


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _KEYS_PER_QUERY):
        yield values[start : start + _KEYS_PER_QUERY]
