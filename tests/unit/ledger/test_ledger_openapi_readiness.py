"""`/readyz` tells the truth: also of a disk that takes nothing more, and of a writer that ended."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def full_disk() -> Iterator[None]:
    """Have every write to a file fail, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_nothing_more_is_not_ready_even_right_after_a_commit(
    open_ledger: Any, sqlite_url: str
) -> None:
    ledger = open_ledger(sqlite_url)
    ledger.send(*ledger.otlp.turn()).raise_for_status()

    with full_disk():
        refused = ledger.send(ledger.otlp.span(9))
        not_ready = ledger.client.get("/readyz")
        alive = ledger.client.get("/healthz")

    assert (refused.status_code, not_ready.status_code, alive.status_code) == (503, 503, 200)
    assert "can't be written to" in not_ready.json()["checks"]["database"]
    assert ledger.client.get("/readyz").status_code == 200
    assert ledger.send(ledger.otlp.span(9)).status_code == 200


def test_a_writer_that_ended_is_not_ready(open_ledger: Any, sqlite_url: str) -> None:
    ledger = open_ledger(sqlite_url)
    assert ledger.client.get("/readyz").json()["checks"]["writer"] == "ok"

    ledger.client.app.state.writer.close()
    answer = ledger.client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["writer"] == "the writing thread has ended"
