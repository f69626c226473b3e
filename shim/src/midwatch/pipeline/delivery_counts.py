"""What became of everything that was handed to a receiver: spans, events and data points."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable

from opentelemetry.metrics import CallbackOptions, Observation

from midwatch.pipeline.payloads import Signal
from midwatch.registry.own_metrics import DELIVERY_ITEMS


class DeliveryCounts:
    """Counts items by destination, signal, result and reason; a forked process begins anew."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._counts: Counter[tuple[str, str, str, str]] = Counter()

    def know(self, destination: str, signal: Signal) -> None:
        """Count a destination's usual results from zero, so that the first loss is an increase."""
        with self._lock:
            for result, reason in (("exported", "none"), ("dropped", "queue_full")):
                self._counts[(destination, signal, result, reason)] += 0

    def add(self, destination: str, signal: Signal, result: str, reason: str, count: int) -> None:
        """Count items."""
        with self._lock:
            self._counts[(destination, signal, result, reason)] += count

    def counts(self) -> dict[tuple[str, str, str, str], int]:
        """The numbers, at one moment."""
        with self._lock:
            return dict(self._counts)

    def observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """The counts as observations of `midwatch_delivery_items_total`."""
        names = DELIVERY_ITEMS.attribute_names
        return [
            Observation(count, dict(zip(names, key, strict=True)))
            for key, count in self.counts().items()
        ]
