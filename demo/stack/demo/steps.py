"""Steps that are seen to work or are reported with what to read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import httpx

from stack.errors import StackError

T = TypeVar("T")
_LOOK_SECONDS = 0.5


class StepFailedError(Exception):
    """A step was not seen to work.

    Attributes:
        problem: what was expected and what was there instead.
        programs: whose logs tell more.
    """

    def __init__(self, problem: str, *programs: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.programs = programs


class InterruptedDemoError(Exception):
    """The user, or `down`, ended the demo."""


class Verdict(StrEnum):
    """What became of a step."""

    SEEN = "ok"
    FAILED = "failed"
    NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Step:
    """One thing to see.

    Attributes:
        title: what is to be seen.
        run: sees it and says in a few words what was seen, or raises StepFailedError.
        essential: nothing after it can work when it fails.
        shows_itself: it writes to the terminal while it runs.
    """

    title: str
    run: Callable[[], str]
    essential: bool = False
    shows_itself: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Attributes:
        words: what was seen, or the problem.
        programs: whose logs tell more.
    """

    title: str
    verdict: Verdict
    words: str
    seconds: float
    programs: tuple[str, ...] = ()


def run_steps(
    steps: list[Step],
    began: Callable[[Step], None],
    ended: Callable[[Outcome], None],
) -> list[Outcome]:
    """Run steps in order and return what became of each.

    Args:
        steps: what is to be seen.
        began: is told before each step.
        ended: is told after each step, also of those that were not tried.
    """
    outcomes: list[Outcome] = []
    hopeless = False
    for step in steps:
        if hopeless:
            outcome = Outcome(step.title, Verdict.NOT_TRIED, "an earlier step failed", 0.0)
        else:
            began(step)
            outcome = _run(step)
            hopeless = step.essential and outcome.verdict is Verdict.FAILED
        ended(outcome)
        outcomes.append(outcome)
    return outcomes


def _run(step: Step) -> Outcome:
    start = time.monotonic()
    try:
        words = step.run()
    except StepFailedError as failure:
        seconds = time.monotonic() - start
        return Outcome(step.title, Verdict.FAILED, failure.problem, seconds, failure.programs)
    except (StackError, httpx.HTTPError, OSError) as problem:
        return Outcome(step.title, Verdict.FAILED, str(problem), time.monotonic() - start)
    return Outcome(step.title, Verdict.SEEN, words, time.monotonic() - start)


class Patience:
    """Polls until a condition holds, within the time that is left.

    Args:
        deadline: on the monotonic clock; None waits as long as each step says.
        interrupted: tells that the user wants to end.
    """

    def __init__(self, deadline: float | None, interrupted: Callable[[], bool]) -> None:
        self._deadline = deadline
        self._interrupted = interrupted

    def until(self, look: Callable[[], T], seconds: float) -> T:
        """Return what `look` returns as soon as it doesn't raise StepFailedError.

        A program that doesn't answer now may answer at the next look: it may be restarting.

        Raises:
            StepFailedError: the last one, when the time is over.
            InterruptedDemoError: the user wants to end.
        """
        end = time.monotonic() + seconds
        if self._deadline is not None:
            end = min(end, self._deadline)
        while True:
            if self._interrupted():
                raise InterruptedDemoError
            try:
                return look()
            except StepFailedError:
                if time.monotonic() >= end:
                    raise
            except httpx.HTTPError as problem:
                if time.monotonic() >= end:
                    raise StepFailedError(f"{problem!r}") from None
            time.sleep(_LOOK_SECONDS)
