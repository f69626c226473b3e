"""Flush when the process ends: at interpreter exit and on SIGTERM."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Protocol

from midwatch.pipeline.failures import FAILURES

_NEVER_SECONDS = 3600.0

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
    atexit.register(_end_at_exit, pipeline)
    _end_with_multiprocessing(pipeline)
    os.register_at_fork(after_in_child=lambda: _end_with_multiprocessing(pipeline))
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


def _end_with_multiprocessing(pipeline: Flushable) -> None:
    """Close at the end of a child of multiprocessing, which runs none of the exit handlers.

    It has finalizers of its own; a child that was forked clears these before it works, and calls
    what is registered for that moment.
    """
    if "multiprocessing.util" not in sys.modules:
        return
    from multiprocessing.process import parent_process
    from multiprocessing.util import register_after_fork

    register_after_fork(pipeline, _finalize)
    if parent_process() is not None:
        _finalize(pipeline)


def _finalize(pipeline: Flushable) -> None:
    from multiprocessing.util import Finalize

    # Last of all, so that the application's own come before.
    Finalize(None, _end, args=(pipeline,), exitpriority=-100)


def _end_at_exit(pipeline: Flushable) -> None:
    """Close, and leave the exit status as it would have been."""
    interrupted = getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1")
    _end(pipeline)
    if interrupted:
        # The interpreter ends by SIGINT if the last code that it ran from a text raised this. What
        # is imported only now may have run other code from texts (named tuples, data classes), and
        # so may a thread that did not end in time: it gets no turn any more.
        sys.setswitchinterval(_NEVER_SECONDS)
        with suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102


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

    def safely() -> None:
        try:
            work()
        except Exception as error:
            FAILURES.note("close", error)

    worker = threading.Thread(target=safely, daemon=True)
    try:
        worker.start()
    except RuntimeError:
        safely()
        return True
    worker.join(seconds)
    return not worker.is_alive()


def _flush(pipeline: Flushable) -> None:
    try:
        pipeline.flush(EXIT_SECONDS)
    except Exception as error:
        FAILURES.note("flush", error)
