"""The large tables of PostgreSQL by day: one partition for each, so that a day goes at once.

What began on a day that has no partition (long ago, or by a clock that is wrong) is in the default
partition, where retention deletes it row by row. SQLite has no partitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, text

_ADVISORY_LOCK = 0x6D69_6477_7061  # "midwpa": PostgreSQL's advisory locks are numbers.
_DAY = timedelta(days=1)
_DAYS_AHEAD = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

PARTITIONED = {
    "spans": "start_unix_nanoseconds",
    "execution_logs": "start_time",
    "llm_call_logs": "start_time",
}
"""The partitioned tables, and the column that says which day a row is of."""


@dataclass(frozen=True)
class Partition:
    """One day of one table."""

    table: str
    day: date

    @property
    def name(self) -> str:
        """The partition's own name as a table."""
        return f"{self.table}_{self.day:%Y%m%d}"

    @property
    def end(self) -> datetime:
        """When the day is over."""
        return _start(self.day + _DAY)


def coming_days(now: datetime) -> list[date]:
    """Return the days that need partitions by now: yesterday, today and a few ahead."""
    today = now.astimezone(UTC).date()
    return [today + number * _DAY for number in range(-1, _DAYS_AHEAD + 1)]


def ensure(connection: Connection, days: Sequence[date]) -> list[str]:
    """Make the partitions of these days that aren't there; return the names of those made.

    A day of which the default partition has rows stays there.
    """
    if connection.dialect.name == "sqlite":
        return []
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})
    made = []
    for table in PARTITIONED:
        there = {partition.day for partition in existing(connection, table)}
        for day in sorted(set(days) - there):
            partition = Partition(table, day)
            if not _in_default(connection, partition):
                _make(connection, partition)
                made.append(partition.name)
    return made


def existing(connection: Connection, table: str) -> list[Partition]:
    """Return the partitions of a table, the oldest first, but for the default one."""
    if connection.dialect.name == "sqlite" or table not in PARTITIONED:
        return []
    query = text(
        "SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
        "WHERE inhparent = to_regclass(:table) ORDER BY 1"
    )
    names = connection.execute(query, {"table": table}).scalars()
    days = (name.removeprefix(f"{table}_") for name in names)
    return [
        Partition(table, datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).date())
        for day in days
        if day.isdecimal()
    ]


def close_to_writers(connection: Connection, partition: Partition) -> None:
    """Let nobody write to the partition until the transaction ends; readers go on."""
    connection.execute(text(f'LOCK TABLE "{partition.name}" IN SHARE ROW EXCLUSIVE MODE'))


def drop(connection: Connection, partition: Partition) -> None:
    """Drop the partition with all its rows."""
    connection.execute(text(f'DROP TABLE "{partition.name}"'))


def is_partition(name: str) -> bool:
    """Return whether a table of this name is a partition of another."""
    table, _, part = name.rpartition("_")
    return table in PARTITIONED and (part == "default" or part.isdecimal())


def _make(connection: Connection, partition: Partition) -> None:
    # Made beside the table and then attached: that lets readers and writers of the table go on.
    start, end = _bounds(partition)
    connection.execute(
        text(
            f'CREATE TABLE "{partition.name}" '
            f"(LIKE {partition.table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)"
        )
    )
    connection.execute(
        text(
            f'ALTER TABLE {partition.table} ATTACH PARTITION "{partition.name}" '
            f"FOR VALUES FROM ({start}) TO ({end})"
        )
    )


def _in_default(connection: Connection, partition: Partition) -> bool:
    start, end = _bounds(partition)
    column = PARTITIONED[partition.table]
    query = text(
        f"SELECT EXISTS (SELECT FROM {partition.table}_default "  # noqa: S608
        f"WHERE {column} >= {start} AND {column} < {end})"
    )
    return bool(connection.execute(query).scalar_one())


def _bounds(partition: Partition) -> tuple[str, str]:
    """Return when the day begins and ends, as SQL has it."""
    times = (_start(partition.day), partition.end)
    if PARTITIONED[partition.table].endswith("nanoseconds"):
        start, end = ((time - _EPOCH) // timedelta(microseconds=1) * 1000 for time in times)
        return str(start), str(end)
    start_time, end_time = (f"'{time.isoformat()}'" for time in times)
    return start_time, end_time


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
