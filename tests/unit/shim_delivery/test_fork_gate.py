"""A fork waits for imports of other threads, and a child can import."""

from __future__ import annotations

import os
import threading

from midwatch.pipeline.fork_gate import FORK_GATE, ForkGate


def test_a_fork_waits_until_the_gate_is_free():
    held, over = threading.Event(), threading.Event()
    order: list[str] = []

    def importing() -> None:
        with FORK_GATE.held():
            held.set()
            over.wait(10)
            order.append("imported")

    thread = threading.Thread(target=importing)
    thread.start()
    held.wait(10)
    threading.Timer(0.05, over.set).start()
    child = os.fork()
    if child == 0:
        with FORK_GATE.held():
            os._exit(len(order))
    thread.join()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1


def test_a_fork_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr("midwatch.pipeline.fork_gate._PATIENCE_SECONDS", 0.05)
    gate, held, over = ForkGate(), threading.Event(), threading.Event()

    def importing() -> None:
        with gate.held():
            held.set()
            over.wait(10)

    thread = threading.Thread(target=importing)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:
        with gate.held():
            os._exit(0)
    over.set()
    thread.join()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    with gate.held():
        assert True
