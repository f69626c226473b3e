"""Work in the background: passes, pauses and ends."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterator

import pytest
from midwatch_ledger.services.background import BackgroundWork
from midwatch_ledger.store.database import DatabaseUnavailableError

LONG = 3600.0


class Work(BackgroundWork):
    """Passes do what they are told to, and tell that they were made."""

    def __init__(self, do: Callable[[], bool], *, pause: float, first_pause: float = 0.0) -> None:
        super().__init__("work", pause_seconds=pause, first_pause_seconds=first_pause)
        self.made: queue.Queue[int] = queue.Queue()
        self._do = do

    def make_pass(self) -> bool:
        self.made.put(1)
        return self._do()


@pytest.fixture
def started() -> Iterator[Callable[[Work], Work]]:
    works: list[Work] = []

    def start(work: Work) -> Work:
        works.append(work)
        work.start()
        return work

    yield start
    for work in works:
        work.close()


def test_a_pass_that_fails_is_logged_and_made_again(
    started: Callable[[Work], Work], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> bool:
        raise LookupError("who?")

    with caplog.at_level(logging.ERROR):
        work = started(Work(fail, pause=0.01))
        for _ in range(3):
            work.made.get(timeout=10)
    assert "work failed; it is tried again" in caplog.text


def test_a_database_that_is_away_is_waited_for_and_is_no_fault(
    started: Callable[[Work], Work], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> bool:
        raise DatabaseUnavailableError("away")

    with caplog.at_level(logging.WARNING):
        work = started(Work(fail, pause=0.01))
        for _ in range(3):
            work.made.get(timeout=10)
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_no_pause_is_made_while_there_is_more(started: Callable[[Work], Work]) -> None:
    work = started(Work(lambda: True, pause=LONG))
    for _ in range(3):
        work.made.get(timeout=10)


def test_work_that_is_woken_makes_its_next_pass_at_once(started: Callable[[Work], Work]) -> None:
    work = started(Work(lambda: False, pause=LONG))
    work.made.get(timeout=10)
    work.wake()
    work.made.get(timeout=10)


def test_work_that_is_closed_in_its_first_pause_makes_no_pass() -> None:
    work = Work(lambda: False, pause=LONG, first_pause=LONG)
    work.start()
    work.close()
    assert work.made.empty()
