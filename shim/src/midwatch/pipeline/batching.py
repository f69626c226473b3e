"""A bounded queue that one thread empties into an exporter, with deadlines that hold.

The SDK's batch processors ignore the timeouts of flush and shutdown, so that a dead collector
delays the exit of the application, and they do not tell what they drop.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Generic, TypeVar

from opentelemetry.instrumentation.utils import suppress_instrumentation

from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.politeness import Unhurried

Item = TypeVar("Item")

Export = Callable[[Sequence[Item]], bool | None]
"""Sends a batch; false or an exception means that it is lost, nothing that others settle it."""

Settle = Callable[[str, str, int], None]
"""Is told the result (`exported`, `dropped`), the reason and the number of items."""


class BatchQueue(Generic[Item]):
    """Takes items without ever blocking on the network; the oldest go when it is full.

    Args:
        name: says in logs what is queued.
        export: sends a batch.
        settle: is told what became of the items.
        capacity: how many items wait at most.
        batch_size: how many are sent together, and how many do not wait for the interval.
        interval_seconds: how long items wait for company.
        prepare: is called in the thread that exports when the first item is there.
        hands_over: whether `export` waits for nobody: then what is left at the end, because there
            was no time, is exported by who closes.
    """

    def __init__(
        self,
        name: str,
        export: Export[Item],
        settle: Settle,
        *,
        capacity: int,
        batch_size: int,
        interval_seconds: float,
        prepare: Callable[[], object] = lambda: None,
        hands_over: bool = False,
    ) -> None:
        self._prepare = prepare
        self._hands_over = hands_over
        self._name = name
        self._export = export
        self._settle = settle
        self._capacity = capacity
        self._batch_size = min(batch_size, capacity)
        self._interval_seconds = interval_seconds
        self._items: deque[Item] = deque()
        self._exporting: int = 0
        self._closed = False
        self._flushing = False
        self._start()
        reset = weakref.WeakMethod(self._reset_after_fork)
        os.register_at_fork(after_in_child=lambda: (renew := reset()) and renew())

    @property
    def filled(self) -> float:
        """How full it is, from 0 to 1."""
        return len(self._items) / self._capacity

    def put(self, item: Item) -> None:
        """Queue an item."""
        # The lock of the condition, which enters and leaves it in Python.
        with self._lock:
            if self._closed:
                self._settle("dropped", "shutdown", 1)
                return
            items = self._items
            if len(items) >= self._capacity:
                items.popleft()
                self._settle("dropped", "queue_full", 1)
            items.append(item)
            if not self._prepared or len(items) >= self._batch_size:
                self._changed.notify_all()

    def begin_flush(self) -> None:
        """Have everything queued exported, without waiting for it."""
        with self._changed:
            self._flushing = True
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Have everything queued exported; returns whether that was done in time."""
        deadline = monotonic() + seconds
        self.begin_flush()
        with self._changed:
            self._waiting += 1
            try:
                return self._wait_until_empty(deadline)
            finally:
                self._waiting -= 1

    def _wait_until_empty(self, deadline: float) -> bool:
        while self._items or self._exporting:
            remaining = deadline - monotonic()
            if remaining <= 0 or not self._thread.is_alive():
                return False
            self._changed.wait(remaining)
        return True

    def begin_close(self) -> None:
        """Take no more items and export what is queued, without waiting for it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def close(self, seconds: float) -> bool:
        """Export what is queued within the time and stop.

        What is left then is handed over, or dropped and counted.
        """
        self.begin_close()
        done = self.flush(seconds)
        with self._changed:
            left = list(self._items)
            self._items.clear()
        for begin in range(0, len(left), self._batch_size):
            self._leave(left[begin : begin + self._batch_size])
        return done

    def _leave(self, batch: list[Item]) -> None:
        try:
            if self._hands_over:
                self._export(batch)
                return
        except Exception as error:
            FAILURES.note(f"export.{self._name}", error)
        self._settle("dropped", "shutdown", len(batch))

    def _start(self) -> None:
        self._prepared = False
        self._waiting = 0
        # Re-entrant: a signal handler may flush while the interrupted code is in `put`.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._thread = threading.Thread(
            target=self._run, name=f"midwatch-{self._name}", daemon=True
        )
        self._thread.start()

    def _reset_after_fork(self) -> None:
        # The parent exports what was queued in it; its locks may be held for ever here.
        self._items = deque()
        self._exporting = 0
        self._flushing = False
        if not self._closed:
            self._start()

    def _run(self) -> None:
        with suppress_instrumentation():
            self._prepare_with_the_first()
            while self._wait_for_work():
                while batch := self._take():
                    self._send(batch)

    def _prepare_with_the_first(self) -> None:
        """Do what the first export would need anyway, while the queue still has room."""
        with self._changed:
            while not (self._items or self._closed or self._flushing):
                self._changed.wait()
            self._prepared = True
        try:
            self._prepare()
        except Exception as error:
            FAILURES.note(f"export.{self._name}", error)

    def _wait_for_work(self) -> bool:
        """Wait until there is something to export; false when there never will be."""
        deadline = monotonic() + self._interval_seconds
        with self._changed:
            while not (self._closed or self._flushing or len(self._items) >= self._batch_size):
                remaining = deadline - monotonic()
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            self._flushing = False
            return bool(self._items) or not self._closed

    def _take(self) -> list[Item]:
        with self._changed:
            count = min(len(self._items), self._batch_size)
            batch = [self._items.popleft() for _ in range(count)]
            self._exporting = len(batch)
            return batch

    def _hurries(self) -> bool:
        """Whether somebody waits for the end of this batch, or the next one for its turn."""
        waited_for = self._closed or self._flushing or self._waiting > 0
        return waited_for or len(self._items) >= self._batch_size

    def _send(self, batch: list[Item]) -> None:
        sent: bool | None = False
        try:
            sent = self._export(Unhurried(batch, self._hurries))
        except Exception as error:
            FAILURES.note(f"export.{self._name}", error)
        result, reason = ("exported", "none") if sent else ("dropped", "export_failed")
        with self._changed:
            if sent is not None:
                self._settle(result, reason, len(batch))
            self._exporting = 0
            self._changed.notify_all()
