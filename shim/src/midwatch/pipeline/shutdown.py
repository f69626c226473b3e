"""Flush when the process ends: at interpreter exit and on SIGTERM."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol

from midwatch.pipeline.failures import FAILURES

EXIT_SECONDS = 2.0
"""No exit is delayed longer than about this."""


class Flushable(Protocol):
    """What can be emptied within a time."""

    def flush(self, seconds: float) -> bool:
        """Empty it and go on."""

    def close(self, seconds: float) -> None:
        """Empty it and stop."""


def flush_at_end(pipeline: Flushable) -> None:
    """Close the pipeline at exit and on SIGTERM, before the process ends by that.

    A handler that the application has already set is called while what there is goes out; one that
    it sets later replaces ours, and then the exit that it brings about is what closes.
    """
    atexit.register(_end, pipeline)
    if threading.current_thread() is not threading.main_thread():
        return
    previous = signal.getsignal(signal.SIGTERM)
    if previous is signal.SIG_IGN or previous is None:
        return

    def on_terminate(number: int, frame: FrameType | None) -> None:
        if callable(previous):
            # The application ends in its own way and time; meanwhile what there is goes out.
            threading.Thread(target=_flush, args=(pipeline,), daemon=True).start()
            previous(number, frame)
            return
        _end(pipeline)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, on_terminate)


def _end(pipeline: Flushable) -> None:
    try:
        pipeline.close(EXIT_SECONDS)
    except Exception as error:
        FAILURES.note("close", error)


def aside(work: Callable[[], object], seconds: float) -> bool:
    """Do it in a thread, for what may wait for a lock of code that a signal has interrupted.

    Since Python 3.12 no thread can begin at exit; then it is done here.

    Returns:
        Whether it was done in time.
    """
    worker = threading.Thread(target=work, daemon=True)
    try:
        worker.start()
    except RuntimeError:
        work()
        return True
    worker.join(seconds)
    return not worker.is_alive()


def _flush(pipeline: Flushable) -> None:
    try:
        pipeline.flush(EXIT_SECONDS)
    except Exception as error:
        FAILURES.note("flush", error)
