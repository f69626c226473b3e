"""`turn`, `agent` and `tool`: with-blocks and decorators around what has a duration."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Self, TypeVar, overload

from opentelemetry import context, trace
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode

from midwatch.api.scopes import Scope
from midwatch.instruments.agent_context import current_agent, with_agent
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.recording import SCOPE
from midwatch.instruments.turn_state import TURN_KEY, Turn, current_turn
from midwatch.instruments.turns import TurnScope, outcome_of, quiet_detach, start_turn
from midwatch.pipeline.failures import FAILURES

_Function = TypeVar("_Function", bound=Callable[..., Any])

_UNKNOWN = "unknown"


class _SpanScope(Scope):
    """A scope with a span; what fails in it is counted and never reaches the application."""

    span: Span = INVALID_SPAN

    def begin(self) -> None:
        """Start the span."""
        self.started = perf_counter()
        try:
            self._begin()
        except Exception as error:
            FAILURES.note(f"api.{type(self).__name__.lower()}", error)

    def end(self, error: BaseException | None) -> None:
        """Record the fact and end the span."""
        try:
            self._record(error)
            if error is not None and outcome_of(error) == "error":
                self.span.record_exception(error)
                self.span.set_status(Status(StatusCode.ERROR, str(error)))
                self.span.set_attribute(ERROR_TYPE, type(error).__qualname__)
            self.span.end()
        except Exception as failure:
            FAILURES.note(f"api.{type(self).__name__.lower()}", failure)

    def enter(self) -> Callable[[], None]:
        """Make the span the current one."""
        token = context.attach(self._context())
        return lambda: quiet_detach(token)

    def _begin(self) -> None:
        raise NotImplementedError

    def _record(self, error: BaseException | None) -> None:
        raise NotImplementedError

    def _context(self) -> context.Context:
        return trace.set_span_in_context(self.span)

    def _start_span(self, name: str, attributes: dict[str, str]) -> None:
        tracer = trace.get_tracer(SCOPE)
        self.span = tracer.start_span(name, kind=SpanKind.INTERNAL, attributes=attributes)


class AgentScope(_SpanScope):
    """One run of an agent; `status` may be set: ok, error, interrupted, cancelled."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.status = ""

    def again(self) -> Self:
        """A fresh run of the same agent."""
        return type(self)(self.name)

    def _begin(self) -> None:
        operation = gen_ai.GenAiOperationNameValues.INVOKE_AGENT.value
        attributes = {gen_ai.GEN_AI_OPERATION_NAME: operation, gen_ai.GEN_AI_AGENT_NAME: self.name}
        self._start_span(f"{operation} {self.name}", attributes)
        turn = current_turn()
        if turn is not None:
            turn.entered(self.name)

    def _context(self) -> context.Context:
        return with_agent(self.name, super()._context())

    def _record(self, error: BaseException | None) -> None:
        status = self.status or (outcome_of(error) if error is not None else "ok")
        get_recorder().invocation(self.name, status, perf_counter() - self.started, by="hand")


class ToolScope(_SpanScope):
    """One call of a tool; `status` may be set: ok, error, denied, timeout."""

    def __init__(self, name: str, agent: str = "") -> None:
        self.name = name
        self.agent = agent
        self.status = ""

    def again(self) -> Self:
        """A fresh call of the same tool."""
        return type(self)(self.name, self.agent)

    def _begin(self) -> None:
        operation = gen_ai.GenAiOperationNameValues.EXECUTE_TOOL.value
        attributes = {gen_ai.GEN_AI_OPERATION_NAME: operation, gen_ai.GEN_AI_TOOL_NAME: self.name}
        self._start_span(f"{operation} {self.name}", attributes)
        with self.in_force():
            get_recorder().tool_started(self._agent(), self.name, by="hand")

    def _record(self, error: BaseException | None) -> None:
        seconds = perf_counter() - self.started
        failed = error is not None and outcome_of(error) == "error"
        get_recorder().tool_call(
            self._agent(),
            self.name,
            self.status or _tool_status(error),
            seconds,
            error=type(error).__qualname__ if failed else None,
            by="hand",
        )

    def _agent(self) -> str:
        return self.agent or current_agent() or _UNKNOWN


class TurnBlock(Scope):
    """One turn; `turn` is the `Turn` once it has begun, and its `outcome` may be set."""

    turn: Turn

    def __init__(self, session_id: str = "", turn_id: str = "", entry_agent: str = "") -> None:
        self._given = (session_id, turn_id, entry_agent)
        self._span: Span = INVALID_SPAN
        self._scope: TurnScope | None = None

    def again(self) -> Self:
        """A fresh turn with the same names."""
        return type(self)(*self._given)

    def begin(self) -> None:
        """Begin the turn, with a span of its own unless there is one already."""
        if current_turn() is None and not trace.get_current_span().is_recording():
            self._span = trace.get_tracer(SCOPE).start_span("agent.turn")
        token = context.attach(self._context())
        try:
            session_id, turn_id, entry_agent = self._given
            self._scope = start_turn(
                session_id=session_id, turn_id=turn_id, entry_agent=entry_agent, by="hand"
            )
            self.turn = self._scope.turn
            self._scope.leave()
        finally:
            quiet_detach(token)

    def end(self, error: BaseException | None) -> None:
        """End the turn."""
        if self._scope is not None:
            self._scope.finish(error)
        if error is not None and outcome_of(error) == "error":
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, str(error)))
        self._span.end()

    def enter(self) -> Callable[[], None]:
        """Make the turn the current one."""
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
        return (
            current
            if self._scope is None
            else context.set_value(TURN_KEY, self._scope.turn, current)
        )


@overload
def turn(session_id: str = "", *, turn_id: str = "", entry_agent: str = "") -> TurnBlock: ...
@overload
def turn(session_id: _Function) -> _Function: ...
def turn(session_id: Any = "", *, turn_id: str = "", entry_agent: str = "") -> Any:
    """One turn of a conversation: a with-block, or a decorator with or without arguments.

    Within a turn that instrumentation has begun (a chat request, a graph) it is that same turn,
    completed with what is given here.

    Args:
        session_id: the conversation.
        turn_id: the application's own id of the turn.
        entry_agent: the first agent; by default the first that works.
    """
    if callable(session_id):
        return TurnBlock()(session_id)
    return TurnBlock(session_id, turn_id, entry_agent)


@overload
def agent(name: str) -> AgentScope: ...
@overload
def agent(name: _Function) -> _Function: ...
def agent(name: Any) -> Any:
    """One run of an agent: a with-block, or a decorator with or without a name.

    Without a name the decorated function's is taken.
    """
    return AgentScope(name.__name__)(name) if callable(name) else AgentScope(name)


@overload
def tool(name: str, *, agent: str = "") -> ToolScope: ...
@overload
def tool(name: _Function) -> _Function: ...
def tool(name: Any, *, agent: str = "") -> Any:
    """One call of a tool: a with-block, or a decorator with or without a name.

    The agent is the one that acts in this context unless it is given.
    """
    return ToolScope(name.__name__)(name) if callable(name) else ToolScope(name, agent)


def _tool_status(error: BaseException | None) -> str:
    if error is None:
        return "ok"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, PermissionError):
        return "denied"
    return "error"
