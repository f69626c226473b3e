"""Batches whose readers let others go first."""

from __future__ import annotations

import threading
import time

from midwatch.pipeline import politeness
from midwatch.pipeline.politeness import Unhurried


def test_a_batch_is_a_sequence_like_the_one_it_holds():
    batch = Unhurried([1, 2, 3])
    assert (len(batch), batch[0], batch[-1], list(batch[1:])) == (3, 1, 3, [2, 3])
    assert [*batch] == [1, 2, 3]
    assert 2 in batch


def test_who_goes_through_a_batch_pauses_after_each_slice_of_work(monkeypatch):
    now, paused = [0.0], list[float]()
    monkeypatch.setattr(politeness, "perf_counter", lambda: now[0])
    monkeypatch.setattr(politeness, "sleep", paused.append)
    for _ in Unhurried(range(10)):
        now[0] += politeness.SLICE_SECONDS * 0.4
    assert paused == [politeness.PAUSE_SECONDS] * 3


def test_other_threads_run_while_a_batch_is_gone_through():
    ran = threading.Event()

    def work() -> None:
        ran.set()

    def busy() -> None:
        until = time.perf_counter() + politeness.SLICE_SECONDS * 2
        while time.perf_counter() < until:
            """Hold the interpreter's lock."""

    other = threading.Thread(target=work)
    steps = 0
    for number in Unhurried(range(10_000)):
        steps = number
        if number == 1:
            other.start()
        if ran.is_set():
            break
        busy()
    other.join()
    assert steps < 1_000
