"""Keeps a fork from happening while another thread imports.

A child inherits the locks of imports that are under way in its parent, with nobody to end them: its
own import of the same module would wait for ever, and with it its telemetry.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE_SECONDS = 1.0
"""A fork waits no longer: who forks may hold what the import waits for."""


class ForkGate:
    """Forks wait for what is done while this is held."""

    def __init__(self) -> None:
        self._start_anew()
        os.register_at_fork(
            before=self._close, after_in_parent=self._open, after_in_child=self._start_anew
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have forks wait during the block."""
        lock = self._lock
        with lock:
            yield

    def _start_anew(self) -> None:
        self._lock = threading.RLock()
        self._forking = threading.local()

    def _close(self) -> None:
        self._forking.holds = self._lock.acquire(timeout=_PATIENCE_SECONDS)

    def _open(self) -> None:
        if self._forking.holds:
            self._lock.release()


FORK_GATE = ForkGate()
"""The gate of this process."""
