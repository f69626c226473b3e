"""What a running ledger does by the clock: it checks guards, and makes and sends daily reports.

Replicas all try; what is kept in the database decides which of them does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from midwatch_ledger.services import guards, mailing, reports
from midwatch_ledger.services.background import BackgroundWork
from midwatch_ledger.services.mailing import MailError, MailServer
from midwatch_ledger.store import reports as store
from midwatch_ledger.store.database import Database, DatabaseUnavailableError
from midwatch_ledger.store.details import DAY, day_of

_LEASE = timedelta(minutes=5)
_PATIENCE = timedelta(hours=2)
_logger = logging.getLogger(__name__)

Duty = Callable[[Database, datetime], object]


@dataclass(frozen=True)
class DailyReports:
    """Makes the report of the day before from an hour (UTC) on, and mails it if that is set up."""

    hour: int
    server: MailServer | None = None
    sender: str = ""
    recipients: Sequence[str] = ()

    def __call__(self, database: Database, now: datetime) -> bool:
        """Make and send what is due; return whether this replica did.

        Raises:
            DatabaseUnavailableError: the database can't be reached or is locked.
            MailError: the mail server didn't take the report; it is tried again later.
        """
        today = day_of(now)
        day = today - DAY
        if now < today + timedelta(hours=self.hour) or not self._is_due(database, day, now):
            return False
        with database.reading() as connection:
            made = reports.as_document(reports.report(connection, day, now))
        with database.writing() as connection:
            store.keep(connection, day, made, now)
            taken = store.take(connection, day, now, _LEASE)
            kept = store.find(connection, day)
        if not taken or kept is None:
            return False
        if self.server is not None:
            message = mailing.report_message(kept["content"], self.sender, self.recipients)
            mailing.send(message, self.server)
        with database.writing() as connection:
            store.mark_sent(connection, day, now)
        return True

    def _is_due(self, database: Database, day: datetime, now: datetime) -> bool:
        with database.reading() as connection:
            kept = store.find(connection, day)
            if kept is not None:
                waits = kept["taken_until"] is not None and kept["taken_until"] > now
                return kept["sent_at"] is None and not waits
            return store.is_settled(connection, day) or now > day + DAY + _PATIENCE


class Duties(BackgroundWork):
    """Does what is due every so often, first after a pause."""

    def __init__(
        self,
        database: Database,
        daily_reports: DailyReports | None,
        *,
        pause_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__("duties", pause_seconds=pause_seconds, first_pause_seconds=pause_seconds)
        self._database = database
        self._duties: list[Duty] = [guards.check_all]
        if daily_reports is not None:
            self._duties.append(daily_reports)
        self._now = now

    def make_pass(self) -> bool:
        """Do once what is due; what fails is logged, and keeps nothing else from being done."""
        for duty in self._duties:
            try:
                duty(self._database, self._now())
            except (DatabaseUnavailableError, MailError) as error:
                _logger.warning("a duty is tried again later: %s", error)
            except Exception:
                _logger.exception("a duty failed; it is tried again later")
        return False
