"""`turn`: one turn of a conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar, overload

from opentelemetry import context, trace
from opentelemetry.trace import INVALID_SPAN, Span

from midwatch.api import arguments
from midwatch.api.functions import is_function
from midwatch.api.scopes import Scope
from midwatch.api.spans import end_span, start_span
from midwatch.instruments.turn_state import TURN_KEY, Turn, current_turn
from midwatch.instruments.turns import TurnScope, quiet_detach, start_turn

_Function = TypeVar("_Function", bound=Callable[..., Any])

_SPAN_NAME = "agent.turn"


class TurnBlock(Scope):
    """One turn; its `outcome` may be set: ok, error, interrupted, cancelled or a word of one's own.

    `turn` is the `Turn` itself, with its ids and what it has gathered so far.
    """

    def __init__(self, session_id: str = "", turn_id: str = "", entry_agent: str = "") -> None:
        self._given = (session_id, turn_id, entry_agent)
        self._span: Span = INVALID_SPAN
        self._scope: TurnScope | None = None
        self._turn: Turn | None = None

    @property
    def turn(self) -> Turn:
        """The turn; one that nobody records where there is none."""
        if self._turn is None:
            self._turn = Turn(*self._given)
        return self._turn

    @property
    def outcome(self) -> str:
        """How the turn ended; empty while that is open."""
        return self.turn.outcome

    @outcome.setter
    def outcome(self, outcome: str) -> None:
        self.turn.outcome = arguments.name(outcome)

    def again(self) -> Self:
        """A fresh turn with the same names."""
        return type(self)(*self._given)

    def _begin(self) -> None:
        """Begin, with a span of its own unless there is one already."""
        self._span, self._scope, self._turn = INVALID_SPAN, None, None
        if current_turn() is None and not trace.get_current_span().is_recording():
            self._span = start_span(_SPAN_NAME)
        token = context.attach(self._context())
        try:
            session_id, turn_id, entry_agent = self._given
            self._scope = start_turn(
                session_id=session_id, turn_id=turn_id, entry_agent=entry_agent, by="hand"
            )
            self._turn = self._scope.turn
            self._scope.leave()
        finally:
            quiet_detach(token)

    def _end(self, error: BaseException | None) -> None:
        try:
            if self._scope is not None:
                self._scope.finish(error)
        finally:
            end_span(self._span, error)

    def _enter(self) -> Callable[[], None]:
        scope, token = self._scope, context.attach(self._context())
        if scope is not None:
            scope.enter()

        def suspend() -> None:
            if scope is not None:
                scope.leave()
            quiet_detach(token)

        return suspend

    def _context(self) -> context.Context:
        current = context.get_current()
        if self._span is not INVALID_SPAN:
            current = trace.set_span_in_context(self._span, current)
        if self._scope is None:
            return current
        return context.set_value(TURN_KEY, self._scope.turn, current)


@overload
def turn(session_id: _Function) -> _Function: ...
@overload
def turn(session_id: str = "", *, turn_id: str = "", entry_agent: str = "") -> TurnBlock: ...
def turn(session_id: Any = "", *, turn_id: str = "", entry_agent: str = "") -> Any:
    """One turn of a conversation: a with-block, or a decorator with or without arguments.

    Within a turn that instrumentation has begun (a chat request, a graph) it is that same turn,
    completed with what is given here.

    Args:
        session_id: the conversation.
        turn_id: the application's own id of the turn.
        entry_agent: the first agent; by default the first that works.
    """
    if is_function(session_id):
        return TurnBlock()(session_id)
    given = (session_id, turn_id, entry_agent)
    return TurnBlock(*(arguments.name(one) for one in given))
