"""Running an incident for a while, so that it ends however the run ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from incidents.model import Incident, Stack


def run_for(incident: Incident, stack: Stack, seconds: float, interrupted: threading.Event) -> bool:
    """Start an incident, wait, and stop it in any case.

    Returns:
        Whether the whole time passed; False when `interrupted` was set before.
    """
    try:
        incident.start(stack)
        return not interrupted.wait(seconds)
    finally:
        incident.stop(stack)


@contextmanager
def set_on_signals(event: threading.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set an event instead of ending the program."""

    def note(number: int, frame: FrameType | None) -> None:
        event.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
