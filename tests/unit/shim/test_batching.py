"""The queue before the exporters: it never blocks, keeps deadlines, and accounts for everything."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch.pipeline.batching import BatchQueue


class Ledger:
    """Adds up what became of the items."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def settle(self, result: str, reason: str, count: int) -> None:
        self.counts[(result, reason)] += count


def queue(export, ledger, **options) -> BatchQueue:
    usual = {"capacity": 100, "batch_size": 10, "interval_seconds": 0.02}
    return BatchQueue("tested", export, ledger.settle, **{**usual, **options})


def test_what_is_put_is_exported_in_order():
    seen: list[int] = []
    ledger = Ledger()

    def export(batch: Sequence[int]) -> bool:
        seen.extend(batch)
        return True

    under_test = queue(export, ledger)
    for number in range(35):
        under_test.put(number)
    assert under_test.close(5)
    assert seen == list(range(35))
    assert ledger.counts == {("exported", "none"): 35}


def test_the_oldest_go_when_the_queue_is_full():
    ledger, release, seen = Ledger(), threading.Event(), []

    def export(batch) -> bool:
        release.wait(10)
        seen.extend(batch)
        return True

    under_test = queue(export, ledger, capacity=5, batch_size=5, interval_seconds=60)
    for number in range(20):
        under_test.put(number)
    release.set()
    assert under_test.close(5)
    assert ledger.counts[("dropped", "queue_full")] + len(seen) == 20
    assert seen[-5:] == [15, 16, 17, 18, 19]


def test_a_stuck_exporter_delays_neither_put_nor_close():
    ledger, never = Ledger(), threading.Event()
    under_test = queue(lambda batch: never.wait(30), ledger, capacity=1000)
    started = time.monotonic()
    for number in range(500):
        under_test.put(number)
    assert time.monotonic() - started < 1
    started = time.monotonic()
    assert not under_test.close(0.3)
    assert time.monotonic() - started < 1
    assert ledger.counts[("dropped", "shutdown")] >= 480
    never.set()


def test_an_exporter_that_raises_loses_its_batch_and_nothing_else(caplog):
    ledger, calls = Ledger(), []

    def export(batch) -> bool:
        calls.append(batch)
        if len(calls) == 1:
            raise OSError("no route")
        return True

    under_test = queue(export, ledger, interval_seconds=60)
    under_test.put(1)
    assert under_test.flush(5)
    under_test.put(2)
    assert under_test.close(5)
    assert ledger.counts == {("dropped", "export_failed"): 1, ("exported", "none"): 1}


def test_what_comes_after_the_end_is_counted_as_dropped():
    ledger = Ledger()
    under_test = queue(lambda batch: True, ledger)
    under_test.close(5)
    under_test.put(1)
    assert ledger.counts == {("dropped", "shutdown"): 1}


@settings(max_examples=20, deadline=None)
@given(
    items=st.integers(0, 200),
    capacity=st.integers(1, 50),
    batch=st.integers(1, 60),
    failing=st.sets(st.integers(0, 20)),
)
def test_every_item_has_exactly_one_end(items, capacity, batch, failing):
    ledger, calls = Ledger(), iter(range(10_000))
    under_test = queue(
        lambda _: next(calls) not in failing, ledger, capacity=capacity, batch_size=batch
    )

    def produce() -> None:
        for number in range(items):
            under_test.put(number)

    threads = [threading.Thread(target=produce) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert under_test.close(10)
    assert sum(ledger.counts.values()) == 3 * items
