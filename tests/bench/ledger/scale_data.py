"""Millions of model calls in PostgreSQL, made by SQL: what the routes are asked about.

Five calls a turn, spread evenly over sixty days, in three projects of two agents each. The sums by
hour are made of the same rows by SQL, as the roller would make them (it takes one minute after the
other); those by minute for the last month, as no question is about an older one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from midwatch_ledger.models.rollups import DIMENSIONS, DURATION_BOUNDS_MS, DURATION_CLASSES, SUMS
from midwatch_ledger.store.partitions import PARTITIONED

from tests.bench.ledger import scale_rows

DAYS = 60
CALLS_PER_TURN = 5
_TURNS_PER_SESSION = 5
_DAYS_WITH_SPANS = 2
_DAYS_BY_MINUTE = 31
_DAY_MICROSECONDS = 86_400_000_000
Say = Callable[[str], None]

# Of each kind of sums: the table, and where its dimensions and measures are.
_SUMMED = {
    "llm_call": (
        "llm_call_logs",
        {
            "agent": "agent",
            "step": "call_type",
            "provider": "provider",
            "model": "model_id",
            "status": "status",
            "prompt": "prompt_name",
            "prompt_version": "prompt_version",
            "label": "prompt_label",
        },
        {
            "input_tokens": "sum(input_tokens)",
            "output_tokens": "sum(output_tokens)",
            "cache_read_tokens": "sum(cache_read_tokens)",
            "cost": "sum(total_cost)",
            "priced": "count(total_cost)",
        },
    ),
    "execution": (
        "execution_logs",
        {"agent": "agent_type", "step": "execution_step", "status": "status"},
        {},
    ),
    "trace": (
        "workflow_traces",
        {"agent": "entry_agent", "step": "outcome", "status": "status"},
        {
            "input_tokens": "sum(input_tokens)",
            "output_tokens": "sum(output_tokens)",
            "cost": "sum(total_cost)",
            "priced": "count(total_cost)",
        },
    ),
    "flow": (
        "workflow_traces",
        {"agent": "entry_agent", "step": "outcome", "status": "status"},
        {},
    ),
}


@dataclass(frozen=True)
class Extent:
    """How many model calls there are to be, and the midnight after the last of them."""

    calls: int
    end: datetime

    @property
    def begin(self) -> datetime:
        """When the first begins: at a midnight."""
        return self.end - timedelta(days=DAYS)

    @property
    def turns_per_day(self) -> int:
        """How many turns begin on each day."""
        return self.calls // DAYS // CALLS_PER_TURN

    @property
    def recent_session(self) -> int:
        """The number of a session of the last days, of which there are spans."""
        recent = self.turns_per_day * DAYS * 39 // 40
        return recent // _TURNS_PER_SESSION

    def filled(self, statement: str, day: int, table: str = "") -> str:
        """Return a statement about one day's rows."""
        first = day * self.turns_per_day
        return statement.format(
            table=table,
            day=day,
            begin=f"{self.begin + timedelta(days=day):%Y-%m-%d %H:%M:%S+00}",
            # Whole, so that nothing begins before its turn by the rounding of a fraction.
            step=_DAY_MICROSECONDS // (self.turns_per_day * CALLS_PER_TURN),
            calls=CALLS_PER_TURN,
            first=first,
            last=first + self.turns_per_day - 1,
        )


def until_tonight(calls: int) -> Extent:
    """Return the extent that ends with today (UTC)."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Extent(calls, today + timedelta(days=1))


def fill(connection: psycopg.Connection, extent: Extent, say: Say) -> None:
    """Fill a migrated database without rows."""
    began = time.monotonic()
    connection.execute(scale_rows.FUNCTIONS)
    for day in range(DAYS):
        _fill_day(connection, extent, day)
        if day % 10 == 9:
            say(f"scale: {day + 1} of {DAYS} days after {time.monotonic() - began:.0f} s")
    connection.execute(scale_rows.BESIDE)
    for kind in _SUMMED:
        _sum_up(connection, kind, "minute", extent.end - timedelta(days=_DAYS_BY_MINUTE))
        _sum_up(connection, kind, "hour", extent.begin)
    connection.execute("VACUUM (ANALYZE)")
    say(f"scale: {extent.calls:,} model calls after {time.monotonic() - began:.0f} s")


def _fill_day(connection: psycopg.Connection, extent: Extent, day: int) -> None:
    statements = {"llm_call_logs": scale_rows.CALLS, "execution_logs": scale_rows.EXECUTIONS}
    if day >= DAYS - _DAYS_WITH_SPANS:
        statements["spans"] = scale_rows.SPANS
    start = extent.begin + timedelta(days=day)
    with connection.transaction():
        for table, statement in statements.items():
            name = f"{table}_{start:%Y%m%d}"
            # Filled before it is attached: its indexes are made at once, and nothing is logged.
            connection.execute(f"DROP TABLE IF EXISTS {name}")
            connection.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS)")
            connection.execute(extent.filled(statement, day, name))
        connection.execute(extent.filled(scale_rows.TURNS, day))
        for table in statements:
            first, last = _bounds(table, start)
            connection.execute(
                f"ALTER TABLE {table} ATTACH PARTITION {table}_{start:%Y%m%d} "
                f"FOR VALUES FROM ({first}) TO ({last})"
            )


def _bounds(table: str, start: datetime) -> tuple[str, str]:
    ends = (start, start + timedelta(days=1))
    if PARTITIONED[table].endswith("nanoseconds"):
        return tuple(f"{end.timestamp():.0f}000000000" for end in ends)  # type: ignore[return-value]
    return tuple(f"'{end.isoformat()}'" for end in ends)  # type: ignore[return-value]


def _sum_up(connection: psycopg.Connection, kind: str, resolution: str, since: datetime) -> None:
    table, dimensions, measures = _SUMMED[kind]
    named = {"service": "service", "service_version": "service_version", "project": "project"}
    named |= dimensions
    bounds = [None, *DURATION_BOUNDS_MS, None]
    classes = {
        name: f"count(*) FILTER (WHERE {_between(low, high)})"
        for name, low, high in zip(DURATION_CLASSES, bounds, bounds[1:], strict=False)
    }
    found = {"count": "count(*)", "duration_ms": "sum(duration_ms)", **classes, **measures}
    columns = ["resolution", "bucket", *DIMENSIONS, *SUMS, "fastest_ms", "slowest_ms"]
    values = [
        f"'{resolution}'",
        f"date_trunc('{resolution}', start_time)",
        f"'{kind}'",
        *(f"coalesce({named[name]}, '')" if name in named else "''" for name in DIMENSIONS[1:]),
        *(found.get(name, "0") for name in SUMS),
        "min(duration_ms)",
        "max(duration_ms)",
    ]
    groups = ", ".join(str(2 + number) for number in (0, *range(2, len(DIMENSIONS) + 1)))
    connection.execute(
        f"INSERT INTO performance_metrics ({', '.join(columns)}) "  # noqa: S608
        f"SELECT {', '.join(values)} FROM {table} WHERE start_time >= '{since.isoformat()}' "
        f"GROUP BY {groups}"
    )


def _between(low: int | None, high: int | None) -> str:
    above = "true" if low is None else f"duration_ms > {low}"
    return above if high is None else f"{above} AND duration_ms <= {high}"
