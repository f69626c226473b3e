"""A node that LangGraph runs again after a failure is one invocation of its agent."""

from __future__ import annotations

from time import perf_counter
from typing import NamedTuple

from midwatch.instrumentors.langchain_ends import How
from midwatch.instrumentors.langchain_runs import GraphMemory, Run

_TIMED_OUT = "NodeTimeoutError"


class Failure(NamedTuple):
    """An attempt that failed; whether another one follows is not known yet."""

    run: Run
    how: How
    seconds: float


class Invocation(NamedTuple):
    """An agent's invocation that is over."""

    run: Run
    how: How
    seconds: float


def begins(run: Run) -> None:
    """A node begins; if the same task failed before, this is the next attempt at it."""
    memory = _memory_of(run)
    failure = memory.failures.pop(run.task, None) if memory is not None else None
    if failure is not None:
        run.attempt = failure.run.attempt + 1
        run.first_started = failure.run.first_started or failure.run.started


def ended(run: Run, how: How) -> Invocation | None:
    """A node ended; its invocation, unless it may be tried again."""
    seconds = perf_counter() - (run.first_started or run.started)
    memory = _memory_of(run)
    if memory is None or how in (How.OK, How.INTERRUPTED):
        return Invocation(run, how, seconds)
    memory.failures[run.task] = Failure(run, how, seconds)
    return None


def settled(graph: Run, error: BaseException | None) -> list[Invocation]:
    """A graph ends, so what failed in it is not tried again."""
    if graph.memory is None:
        return []
    failures, graph.memory.failures = graph.memory.failures, {}
    return [
        Invocation(failure.run, _how(failure, error), failure.seconds)
        for failure in failures.values()
    ]


def _memory_of(run: Run) -> GraphMemory | None:
    return run.parent.memory if run.task and run.parent is not None else None


def _how(failure: Failure, error: BaseException | None) -> How:
    # LangGraph cancels a node that takes too long, and raises for it afterwards.
    timed_out = (
        type(error).__name__ == _TIMED_OUT and getattr(error, "node", "") == failure.run.node
    )
    return How.ERROR if timed_out else failure.how
