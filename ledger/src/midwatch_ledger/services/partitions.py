"""Sees to it that the days to come have their partitions before there are rows of them."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, date, datetime

from sqlalchemy.exc import DBAPIError

from midwatch_ledger.store import partitions
from midwatch_ledger.store.database import Database, DatabaseUnavailableError

_logger = logging.getLogger(__name__)


class Partitions:
    """Makes partitions once a day; whoever writes asks first, which costs nothing otherwise."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._done: date | None = None

    def ensure(self, now: datetime) -> None:
        """Make what is missing by now.

        That it fails costs no rows: what has no partition goes into the default one.
        """
        today = now.astimezone(UTC).date()
        with self._lock:
            if self._database.is_sqlite or self._done == today:
                return
            self._done = today
        try:
            with self._database.writing() as connection:
                made = partitions.ensure(connection, partitions.coming_days(now))
            if made:
                _logger.info("made the partitions %s", ", ".join(made))
        except (DatabaseUnavailableError, DBAPIError) as error:
            _logger.warning("partitions are made later: %s", error)
            self._done = None
