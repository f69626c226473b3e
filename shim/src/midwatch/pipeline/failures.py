"""Failures inside the shim: counted always, logged once each, never raised."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter

_logger = logging.getLogger("midwatch")


class FailureLog:
    """Counts failures by the part that failed and logs each kind of failure once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._logged: set[tuple[str, str]] = set()
        os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        # Another thread of the parent may have held it at the moment of the fork.
        self._lock = threading.Lock()

    def note(self, where: str, error: BaseException) -> None:
        """Count a failure of `where`; the first of its type is logged with its traceback."""
        kind = (where, type(error).__qualname__)
        try:
            words = str(error)
        except Exception:
            words = "an exception that cannot be shown"
        with self._lock:
            self._counts[where] += 1
            first = kind not in self._logged
            self._logged.add(kind)
        if first:
            _logger.warning(
                "midwatch: %s failed (%s: %s); the application is not affected, and further "
                "failures of this kind are only counted",
                where,
                type(error).__name__,
                words,
                exc_info=error,
            )

    def count(self, where: str, times: int = 1) -> None:
        """Count failures of `where` that are said elsewhere."""
        with self._lock:
            self._counts[where] += times

    def counts(self) -> dict[str, int]:
        """How often each part has failed."""
        with self._lock:
            return dict(self._counts)


FAILURES = FailureLog()
"""The failures of this process."""
