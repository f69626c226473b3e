"""The thread of a running ledger that prices history anew."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from midwatch_ledger.services.repricing import step
from midwatch_ledger.store.database import Database, DatabaseUnavailableError

_PAUSE_SECONDS = 10.0
_logger = logging.getLogger(__name__)


class Repricer:
    """Works off jobs, in a thread of its own; replicas take turns by the part."""

    def __init__(
        self,
        database: Database,
        *,
        pause_seconds: float = _PAUSE_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._pause_seconds = pause_seconds
        self._now = now
        self._ended = False
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-repricer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look for jobs now."""
        self._woken.set()

    def close(self) -> None:
        """End, after the part in hand."""
        self._ended = True
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended:
            self._woken.clear()
            try:
                worked = step(self._database, self._now())
            except DatabaseUnavailableError as error:
                _logger.warning("pricing anew waits for the database: %s", error)
                worked = False
            except Exception:
                _logger.exception("pricing anew failed; it is tried again")
                worked = False
            if not worked and not self._ended:
                self._woken.wait(self._pause_seconds)
