"""Daily reports on disk, and which replica sends one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, or_, select, update

from midwatch_ledger.models import DailyReport, StaleDetail, StaleMinute
from midwatch_ledger.store.details import DAY
from midwatch_ledger.store.writing import insert_new

Record = dict[str, Any]


def find(connection: Connection, day: datetime) -> Record | None:
    """Return the report of a day; None if it isn't made yet."""
    row = connection.execute(select(DailyReport).where(DailyReport.day == day)).mappings().first()
    return None if row is None else dict(row)


def keep(connection: Connection, day: datetime, content: Record, now: datetime) -> None:
    """Keep a day's report, unless one is kept already."""
    insert_new(
        connection,
        DailyReport,
        [{"day": day, "content": content, "made_at": now, "taken_until": None, "sent_at": None}],
    )


def take(connection: Connection, day: datetime, now: datetime, lease: timedelta) -> bool:
    """Return whether the caller is the one that sends the report now; others wait meanwhile."""
    free = or_(DailyReport.taken_until.is_(None), DailyReport.taken_until <= now)
    taken = connection.execute(
        update(DailyReport)
        .where(DailyReport.day == day, DailyReport.sent_at.is_(None), free)
        .values(taken_until=now + lease)
    )
    return bool(taken.rowcount)


def mark_sent(connection: Connection, day: datetime, now: datetime) -> None:
    """Note that the report was sent."""
    connection.execute(
        update(DailyReport).where(DailyReport.day == day).values(sent_at=now, taken_until=None)
    )


def is_settled(connection: Connection, day: datetime) -> bool:
    """Return whether everything that came in for a day is in its sums."""
    stale = (
        select(StaleMinute.minute).where(StaleMinute.minute >= day, StaleMinute.minute < day + DAY),
        select(StaleDetail.start).where(StaleDetail.start >= day, StaleDetail.start < day + DAY),
    )
    return all(connection.execute(query.limit(1)).first() is None for query in stale)
