"""What a running ledger does again and again, beside answering."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from midwatch_ledger.store.database import DatabaseUnavailableError

_logger = logging.getLogger(__name__)


class BackgroundWork(ABC):
    """Work of which a pass is made every so often, in a thread of its own.

    A pass that fails is logged and made again after the pause; it never ends the thread.

    Args:
        name: What it is, as logs call it.
        pause_seconds: From the end of a pass to the next, and after one that failed.
        first_pause_seconds: Before the first pass.
    """

    #: What ends a pass without being a fault of ours.
    waits_for: tuple[type[Exception], ...] = (DatabaseUnavailableError,)

    def __init__(
        self, name: str, *, pause_seconds: float, first_pause_seconds: float = 0.0
    ) -> None:
        self._name = name
        self._pause_seconds = pause_seconds
        self._first_pause_seconds = first_pause_seconds
        self._ended = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"ledger-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Make the next pass now."""
        self._woken.set()

    def close(self) -> None:
        """End, after what is in hand."""
        self._ended.set()
        self._woken.set()
        self._thread.join()

    @abstractmethod
    def make_pass(self) -> bool:
        """Do what is due; return whether there may be more, so that no pause is to be made."""

    def _run(self) -> None:
        self._woken.wait(self._first_pause_seconds)
        while not self._ended.is_set():
            self._woken.clear()
            if not self._passed() and not self._ended.is_set():
                self._woken.wait(self._pause_seconds)

    def _passed(self) -> bool:
        try:
            return self.make_pass()
        except self.waits_for as error:
            _logger.warning("%s waits: %s", self._name, error)
        except Exception:
            _logger.exception("%s failed; it is tried again", self._name)
        return False
