"""The thread of a running ledger that prices history anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from midwatch_ledger.services.background import BackgroundWork
from midwatch_ledger.services.repricing import step
from midwatch_ledger.store.database import Database

_PAUSE_SECONDS = 10.0


class Repricer(BackgroundWork):
    """Works off jobs; replicas take turns by the part."""

    def __init__(
        self,
        database: Database,
        *,
        pause_seconds: float = _PAUSE_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__("repricer", pause_seconds=pause_seconds)
        self._database = database
        self._now = now

    def make_pass(self) -> bool:
        """Price a part; return whether there was one."""
        return step(self._database, self._now())
