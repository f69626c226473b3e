"""Keeps the sums by minute and hour current, beside the writing of what they sum up.

Whoever writes marks the minutes that change; here they are summed up anew, always from the rows
themselves. So it doesn't matter in which order things came, or how often: the sums are what a
rebuild would make.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from midwatch_ledger.services.background import BackgroundWork
from midwatch_ledger.store import attribution, details
from midwatch_ledger.store import rollups as store
from midwatch_ledger.store.database import Database

_MINUTES_AT_ONCE = 30
_DETAILS_AT_ONCE = 5
_DETAILS_SETTLE = timedelta(seconds=30)


class Roller(BackgroundWork):
    """Sums up what is stale."""

    def __init__(self, database: Database, *, pause_seconds: float) -> None:
        super().__init__("roller", pause_seconds=pause_seconds)
        self._database = database

    def make_pass(self) -> bool:
        """Sum up some minutes, and work out some details; return whether there may be more."""
        summed = sum_up(self._database)
        work_out_details(self._database, before=datetime.now(UTC) - _DETAILS_SETTLE)
        return summed == _MINUTES_AT_ONCE


def sum_up(database: Database, *, wait: bool = False) -> int:
    """Sum up some of what is stale, in one transaction; return how many minutes that was.

    That is none while another replica does, unless it is to be waited for.

    Raises:
        DatabaseUnavailableError: the database can't be reached or is locked.
    """
    with database.reading() as connection:
        if not store.stale_count(connection):
            return 0
    with database.writing() as connection:
        if not store.take_turn(connection, wait=wait):
            return 0
        minutes = store.take_stale(connection, _MINUTES_AT_ONCE)
        for minute in minutes:
            store.sum_up_minute(connection, minute)
        for hour in sorted({store.start_of(minute, store.HOUR) for minute in minutes}):
            store.sum_up_hour(connection, hour)
        details.mark(connection, minutes, datetime.now(UTC))
    return len(minutes)


def work_out_details(database: Database, *, before: datetime, wait: bool = False) -> int:
    """Work out some details of minutes and days that have been stale since before that time.

    Returns:
        How many minutes and days; none while another replica does, unless it is to be waited for.

    Raises:
        DatabaseUnavailableError: the database can't be reached or is locked.
    """
    with database.reading() as connection:
        if not details.waiting(connection, before):
            return 0
    with database.writing() as connection:
        if not store.take_turn(connection, wait=wait):
            return 0
        minutes = details.take(connection, "minute", before, _DETAILS_AT_ONCE)
        for minute in minutes:
            details.work_out_minute(connection, minute)
        for hour in sorted({store.start_of(minute, store.HOUR) for minute in minutes}):
            store.sum_up_hour(connection, hour)
        days = details.take(connection, "day", before, 1)
        for day in days:
            attribution.work_out_day(connection, day)
    return len(minutes) + len(days)


def catch_up(database: Database) -> None:
    """Bring sums and details up to date with all there is now.

    Raises:
        DatabaseUnavailableError: the database can't be reached or is locked.
    """
    while sum_up(database, wait=True):
        pass
    while work_out_details(database, before=datetime.now(UTC), wait=True):
        pass


def rebuild(database: Database) -> int:
    """Make all sums anew from the rows there are; return how many minutes that was.

    Raises:
        DatabaseUnavailableError: the database can't be reached or is locked.
    """
    with database.writing() as connection:
        minutes = store.mark_everything(connection)
    catch_up(database)
    return minutes
