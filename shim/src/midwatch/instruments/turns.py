"""Turns: begun by the instrumentation of a server or a graph, or by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Token

from opentelemetry.context import _RUNTIME_CONTEXT as RUNTIME_CONTEXT
from opentelemetry.context import Context, attach, set_value

from midwatch.instruments.reconcile import By
from midwatch.instruments.recorder import Recorder, get_recorder
from midwatch.instruments.turn_state import (
    CURRENT_TURN,
    FINISHED_TURN,
    TURN_KEY,
    Turn,
    current_turn,
)
from midwatch.pipeline.clock import perf_counter
from midwatch.pipeline.failures import FAILURES

__all__ = ["Turn", "TurnScope", "current_turn", "start_turn", "turn"]


class TurnScope:
    """A turn that was begun, and how it is to be ended.

    Where a turn is running already, the scope joins it: `turn` is the running one, and `finish`
    does nothing.
    """

    def __init__(self, turn: Turn, recorder: Recorder, *, joined: bool) -> None:
        self.turn = turn
        self.joined = joined
        self._recorder = recorder
        self._token: Token[Turn | None] | None = None

    def enter(self) -> None:
        """Make the turn the current one in this context."""
        if not self.joined and self.turn.ended is None:
            self._token = CURRENT_TURN.set(self.turn)

    def leave(self) -> None:
        """Undo `enter`.

        In another context than that of `enter` (an abandoned generator, a task that was handed
        over) nothing is to be undone: that context never saw the turn.
        """
        token, self._token = self._token, None
        if token is not None:
            try:
                CURRENT_TURN.reset(token)
            except ValueError:
                return

    def finish(self, error: BaseException | None = None) -> None:
        """End the turn; an error decides the outcome unless the turn has one already."""
        turn = self.turn
        if self.joined or turn.ended is not None:
            return
        if error is not None and not turn.outcome:
            turn.outcome = outcome_of(error)
            turn.error = type(error).__qualname__ if turn.outcome == "error" else ""
        for close in turn.closing:
            try:
                close()
            except Exception as failure:
                FAILURES.note("turns.closing", failure)
        self._recorder.turn_finished(turn)
        turn.ended = perf_counter()
        FINISHED_TURN.set(turn)
        self.leave()


def start_turn(
    *,
    session_id: str = "",
    turn_id: str = "",
    entry_agent: str = "",
    by: By = "instrumentation",
    recorder: Recorder | None = None,
) -> TurnScope:
    """Begin a turn in this context, or join the one that runs.

    What is given by name completes the running turn: values it has are kept, except that the
    application's own ids replace generated ones.
    """
    recorder = recorder or get_recorder()
    running = current_turn()
    if running is not None:
        running.adopt(session_id, turn_id if by == "hand" else "")
        if entry_agent:
            running.entered(entry_agent)
        return TurnScope(running, recorder, joined=True)
    begun = Turn(session_id=session_id, entry_agent=entry_agent, by=by)
    begun.turn_id = turn_id or begun.turn_id
    scope = TurnScope(begun, recorder, joined=False)
    scope.enter()
    recorder.turn_started(begun)
    return scope


@contextmanager
def turn(
    *,
    session_id: str = "",
    turn_id: str = "",
    entry_agent: str = "",
    by: By = "instrumentation",
    recorder: Recorder | None = None,
) -> Iterator[Turn]:
    """A turn around a block; an exception passes through and decides the turn's outcome."""
    scope = start_turn(
        session_id=session_id,
        turn_id=turn_id,
        entry_agent=entry_agent,
        by=by,
        recorder=recorder,
    )
    carried = attach(set_value(TURN_KEY, scope.turn))
    try:
        yield scope.turn
    except BaseException as error:
        scope.finish(error)
        raise
    else:
        scope.finish()
    finally:
        quiet_detach(carried)


def outcome_of(error: BaseException) -> str:
    """The outcome that an exception means: to be cancelled or interrupted is not to fail."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit | KeyboardInterrupt):
        return "cancelled"
    if isinstance(error, SystemExit):
        return "ok" if not error.code else "error"
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "ParentCommand" in kinds:
        # LangGraph's way to hand over to the parent graph.
        return "ok"
    return "interrupted" if "GraphBubbleUp" in kinds else "error"


def quiet_detach(token: Token[Context]) -> None:
    """Detach a context; silent where it was attached in another one, which saw nothing of it."""
    try:
        RUNTIME_CONTEXT.detach(token)
    except ValueError:
        return
