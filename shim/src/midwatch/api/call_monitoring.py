"""`trace_workflow`, the interface of S2 (call monitoring): one workflow of an orchestrator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar, overload

from opentelemetry import context
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai

from midwatch.api import arguments
from midwatch.api.functions import function_name, is_function
from midwatch.api.spans import SpanScope, arguments_of, set_content, set_known, start_span
from midwatch.api.workflow_context import Transitions, with_workflow
from midwatch.instruments.agent_context import current_agent
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.turn_state import TURN_KEY
from midwatch.instruments.turns import TurnScope, quiet_detach, start_turn
from midwatch.registry.attributes import CALL_ID
from midwatch.registry.span_attributes import EXECUTION_METADATA, INPUT, OUTPUT

_Function = TypeVar("_Function", bound=Callable[..., Any])

_OPERATION = "invoke_workflow"
_WORKFLOW_NAME = "gen_ai.workflow.name"


class WorkflowBlock(SpanScope):
    """One workflow: a turn of its own or the one that runs, with the agents' transitions in it.

    `outcome` may be set: ok, error, interrupted, cancelled or a word of one's own. `state` may be
    set as often as it changes; each change is recorded. `output` may be set to what the workflow
    gives back, which leaves the process by content policy only.
    """

    def __init__(
        self,
        name: str = "",
        call_id: str = "",
        session_id: str = "",
        entry_agent: str = "",
        metadata: Mapping[str, Any] | None = None,
        captures: tuple[bool, bool] = (True, True),
    ) -> None:
        self._given = (name, call_id, session_id, entry_agent, metadata, captures)
        self.name = name
        self.output: object = None
        self.outcome = ""
        self._call_id, self._session_id = call_id, session_id
        self._captures = captures
        self._state = ""
        self._turn: TurnScope | None = None
        self._transitions = Transitions()

    def again(self) -> Self:
        """A fresh run of the same workflow."""
        return type(self)(*self._given)

    @property
    def state(self) -> str:
        """The state that the workflow is in; empty as long as none was set."""
        return self._state

    @state.setter
    def state(self, state: str) -> None:
        before, self._state = self._state, arguments.name(state)
        if get_recorder().enabled and before != self._state:
            agent = current_agent() or self.name
            get_recorder().state_change(agent, before or "none", self._state, by="hand")

    def _start(self) -> None:
        self._turn, self._transitions = None, Transitions()
        attributes = {gen_ai.GEN_AI_OPERATION_NAME: _OPERATION, _WORKFLOW_NAME: self.name}
        self.span = start_span(f"{_OPERATION} {self.name}".strip(), attributes)
        metadata = arguments.mapping(self._given[4])
        set_known(
            self.span,
            {
                CALL_ID.name: self._call_id,
                EXECUTION_METADATA.name: arguments.as_json(metadata) if metadata else None,
            },
        )
        token = context.attach(super()._context())
        try:
            self._turn = start_turn(
                session_id=self._session_id, entry_agent=self._given[3], by="hand"
            )
            self._turn.leave()
        finally:
            quiet_detach(token)

    def _record(self, error: BaseException | None) -> None:
        self.holds(OUTPUT.name, self.output)
        if self._turn is not None:
            if self.outcome and not self._turn.joined:
                self._turn.turn.outcome = arguments.name(self.outcome)
            self._turn.finish(error)

    def _enter(self) -> Callable[[], None]:
        turn, leave = self._turn, super()._enter()
        if turn is not None:
            turn.enter()

        def suspend() -> None:
            if turn is not None:
                turn.leave()
            leave()

        return suspend

    def _context(self) -> context.Context:
        current = with_workflow(self._transitions, super()._context())
        if self._turn is None:
            return current
        return context.set_value(TURN_KEY, self._turn.turn, current)

    def _called(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        given = arguments_of(function, args, kwargs)
        call_id = self._call_id or arguments.name(given.get("call_id"))
        set_known(self.span, {CALL_ID.name: call_id})
        if self._turn is not None and not self._session_id:
            self._turn.turn.adopt(arguments.name(given.get("session_id")), "")
        if self._captures[0]:
            set_content(self.span, INPUT.name, given)

    def _returned(self, result: object) -> None:
        if self._captures[1] and self.output is None:
            self.output = result


@overload
def trace_workflow(name: _Function) -> _Function: ...
@overload
def trace_workflow(
    name: str | None = None,
    *,
    call_id: str = "",
    session_id: str = "",
    entry_agent: str = "",
    metadata: Mapping[str, Any] | None = None,
    capture_input: bool = True,
    capture_output: bool = True,
) -> WorkflowBlock: ...
def trace_workflow(
    name: Any = None,
    *,
    call_id: str = "",
    session_id: str = "",
    entry_agent: str = "",
    metadata: Mapping[str, Any] | None = None,
    capture_input: bool = True,
    capture_output: bool = True,
) -> Any:
    """Trace a workflow: a decorator with or without arguments, or a with-block.

    The workflow is a turn. When an `agent` ends in it and another begins, or one begins within
    another, that is a handoff. Arguments and result are captured if the content policy captures
    anything at all.

    Args:
        name: the workflow; by default the decorated function's name.
        call_id: the application's own id of the call, by which the ledger finds the trace; by
            default the argument `call_id` of the decorated function, if it has one.
        session_id: the conversation; by default the argument `session_id`.
        entry_agent: the first agent; by default the first that works.
        metadata: what else should stand on the trace.
        capture_input: whether arguments may be captured.
        capture_output: whether the result may be captured.
    """
    if is_function(name):
        return WorkflowBlock(arguments.name(function_name(name)))(name)
    return _Named(
        arguments.name(name),
        arguments.name(call_id),
        arguments.name(session_id),
        arguments.name(entry_agent),
        metadata,
        (arguments.flag(capture_input, True), arguments.flag(capture_output, True)),
    )


class _Named(WorkflowBlock):
    """A workflow that takes the name of the function that it decorates unless it has one."""

    def __call__(self, function: _Function) -> _Function:
        if self.name:
            return super().__call__(function)
        named = type(self)(arguments.name(function_name(function)), *self._given[1:])
        return super(_Named, named).__call__(function)
