"""What frameworks do, as spans and facts: turns, agents' runs, calls of tools.

Each framework tells of its work in its own way, by callbacks or by functions that can be wrapped.
What it means is the same everywhere and is recorded here. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

from opentelemetry.context import Context, attach, create_key, get_current, get_value, set_value
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from midwatch.instruments.agent_context import current_agent, turn_of, with_agent, with_tool
from midwatch.instruments.model_errors import error_kind
from midwatch.instruments.recorder import Recorder
from midwatch.instruments.turn_state import TURN_KEY
from midwatch.instruments.turns import TurnScope, outcome_of, quiet_detach, start_turn
from midwatch.pipeline.failures import FAILURES
from midwatch.registry.span_attributes import RUN_OUTCOME, TOOL_STATUS

UNKNOWN = "unknown"
_OPERATION = "gen_ai.operation.name"
_AGENT_NAME = "gen_ai.agent.name"
_CONVERSATION = "gen_ai.conversation.id"
_LONGEST_MESSAGE = 500
_INSIDE = create_key("midwatch-framework-work")


class Work:
    """Something that began and will end: its span, and the context of the code inside of it.

    `told` is an error that the framework reports as words and not as an exception.
    """

    def __init__(self, span: Span, context: Context, name: str, agent: str) -> None:
        self.span = span
        self.context = set_value(_INSIDE, self, set_span_in_context(span, context))
        self.name = name
        self.agent = agent
        self.told = ""
        self.scope: TurnScope | None = None
        self._started = perf_counter()

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return perf_counter() - self._started

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make its span, agent and turn the current ones."""
        token = attach(self.context)
        try:
            yield
        finally:
            quiet_detach(token)


NO_WORK = Work(INVALID_SPAN, Context(), "", "")
"""Stands for work whose beginning could not be recorded."""


class _Safely:
    """Notes an exception and swallows it."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            FAILURES.note(self._where, error)
            return True
        return False


class FrameworkWork:
    """Records the work of one framework.

    Args:
        tracer: makes the spans.
        recorder: records the facts.
        framework: the framework's name, for what fails in here.
    """

    def __init__(self, tracer: Tracer, recorder: Recorder, framework: str) -> None:
        self.recorder = recorder
        self._tracer = tracer
        self._framework = framework

    def safely(self) -> _Safely:
        """A with-block in which what goes wrong is noted instead of raised."""
        return _Safely(self._framework)

    def begin_workflow(self, name: str, session_id: str = "", parent: Work | None = None) -> Work:
        """A run of several agents begins; a turn with it, unless one is running."""
        with self.safely():
            work = self._begin(f"invoke_workflow {name}", "invoke_workflow", name, parent, "")
            self._begin_turn(work, session_id)
            return work
        return NO_WORK

    def begin_agent(
        self,
        name: str,
        session_id: str = "",
        parent: Work | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> Work:
        """An agent begins to work; a turn with it, unless one is running."""
        with self.safely():
            given = {_AGENT_NAME: name, **(attributes or {})}
            work = self._begin(f"invoke_agent {name}", "invoke_agent", name, parent, name, given)
            work.context = with_agent(name, work.context)
            if turn_of(work.context) is None:
                self._begin_turn(work, session_id)
            turn = turn_of(work.context)
            if turn is not None:
                turn.entered(name)
            return work
        return NO_WORK

    def begin_tool(
        self, name: str, parent: Work | None = None, *, call_id: str = "", agent: str = ""
    ) -> Work:
        """An agent calls a tool."""
        with self.safely():
            given: dict[str, AttributeValue] = {
                "gen_ai.tool.name": name,
                "gen_ai.tool.type": "function",
            }
            if call_id:
                given["gen_ai.tool.call.id"] = call_id
            work = self._begin(f"execute_tool {name}", "execute_tool", name, parent, agent, given)
            work.context = with_tool(name, work.context)
            with work.current():
                self.recorder.tool_started(work.agent or UNKNOWN, name)
            return work
        return NO_WORK

    def end_workflow(self, work: Work, error: BaseException | None = None) -> None:
        """The run has ended."""
        with self.safely():
            self._end_span(work, outcome_of(error) if error else "ok", error)
            self._end_turn(work, error)

    def end_agent(self, work: Work, error: BaseException | None = None, status: str = "") -> None:
        """The agent has ended; status is one of ok, error, interrupted, cancelled."""
        if work is NO_WORK:
            return
        with self.safely():
            how = status or ("error" if work.told else outcome_of(error) if error else "ok")
            with work.current():
                self.recorder.invocation(work.name, how, work.seconds)
            self._end_span(work, how, error)
            self._end_turn(work, error)

    def end_tool(self, work: Work, error: BaseException | None = None, status: str = "") -> None:
        """The tool has returned or raised; status is one of ok, error, denied, timeout."""
        if work is NO_WORK:
            return
        with self.safely():
            how = outcome_of(error) if error else "ok"
            found = status or ("error" if work.told else tool_status(error))
            if how in ("ok", "error"):
                kind = type(error).__qualname__ if error else work.told or None
                with work.current():
                    self.recorder.tool_call(
                        work.agent or UNKNOWN,
                        work.name,
                        found,
                        work.seconds,
                        error=kind if found != "ok" else None,
                    )
                work.span.set_attribute(TOOL_STATUS.name, found)
                how = "ok" if found == "ok" else "error"
            self._end_span(work, how, error)

    def _begin(
        self,
        span_name: str,
        operation: str,
        name: str,
        parent: Work | None,
        agent: str,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> Work:
        context = context_below(parent)
        acting = agent or current_agent(context)
        given: dict[str, AttributeValue] = {_OPERATION: operation, **(attributes or {})}
        if acting:
            given.setdefault(_AGENT_NAME, acting)
        turn = turn_of(context)
        if turn is not None and turn.session_id:
            given[_CONVERSATION] = turn.session_id
        span = self._tracer.start_span(span_name, context, SpanKind.INTERNAL, given)
        return Work(span, context, name, acting)

    def _begin_turn(self, work: Work, session_id: str) -> None:
        with work.current():
            work.scope = start_turn(session_id=session_id, recorder=self.recorder)
        # Carried by the context alone: who ends the turn may be another task than began it.
        work.scope.leave()
        work.context = set_value(TURN_KEY, work.scope.turn, work.context)
        if session_id:
            work.span.set_attribute(_CONVERSATION, session_id)

    def _end_turn(self, work: Work, error: BaseException | None) -> None:
        if work.scope is not None:
            with work.current():
                if work.told and not work.scope.joined and not work.scope.turn.outcome:
                    work.scope.turn.outcome = "error"
                work.scope.finish(error)

    def _end_span(self, work: Work, how: str, error: BaseException | None) -> None:
        span = work.span
        if span.is_recording():
            if how == "error":
                kind = type(error) if error else None
                told = work.told if work.told.isidentifier() else "_OTHER"
                named = f"{kind.__module__}.{kind.__qualname__}" if kind else told
                span.set_attribute("error.type", named)
                words = str(error)[:_LONGEST_MESSAGE] if error else work.told
                span.set_status(Status(StatusCode.ERROR, words))
            elif how != "ok":
                span.set_attribute(RUN_OUTCOME.name, how)
        span.end()


def tool_status(error: BaseException | None) -> str:
    """The status of a tool's call that ended so."""
    if error is None:
        return "ok"
    names = {base.__name__ for base in type(error).__mro__}
    if names & {"PermissionError", "PermissionDenied"}:
        return "denied"
    return "timeout" if error_kind(error) == "timeout" else "error"


def context_below(parent: Work | None) -> Context:
    """The context of work below a parent: the present one where that is inside of the parent."""
    present = get_current()
    if parent is None or parent is NO_WORK:
        return present
    return present if get_value(_INSIDE, present) is parent else parent.context
