"""`agent` and `tool`: with-blocks and decorators around what agents do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar, overload

from opentelemetry import context
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai

from midwatch.api import arguments
from midwatch.api.functions import function_name, is_function
from midwatch.api.spans import SpanScope, start_span
from midwatch.api.workflow_context import agent_begins, agent_ends
from midwatch.instruments.agent_context import current_agent, with_agent, with_tool
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.turn_state import current_turn
from midwatch.instruments.turns import outcome_of
from midwatch.pipeline.content_names import TOOL_ARGUMENTS, TOOL_RESULT
from midwatch.registry.span_attributes import TOOL_STATUS

_Function = TypeVar("_Function", bound=Callable[..., Any])

UNKNOWN = "unknown"


class AgentScope(SpanScope):
    """One run of an agent; `status` may be set: ok, error, interrupted, cancelled."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.status = ""

    def again(self) -> Self:
        """A fresh run of the same agent."""
        return type(self)(self.name)

    def _start(self) -> None:
        self.status = ""
        operation = gen_ai.GenAiOperationNameValues.INVOKE_AGENT.value
        attributes = {gen_ai.GEN_AI_OPERATION_NAME: operation, gen_ai.GEN_AI_AGENT_NAME: self.name}
        self.span = start_span(f"{operation} {self.name}", attributes)
        turn = current_turn()
        if turn is not None:
            turn.entered(self.name)
        agent_begins(self.name)

    def _context(self) -> context.Context:
        return with_agent(self.name, super()._context())

    def _record(self, error: BaseException | None) -> None:
        status = arguments.name(self.status)
        status = status or (outcome_of(error) if error is not None else "ok")
        get_recorder().invocation(self.name, status, self.seconds(), by="hand")
        agent_ends(self.name)


class ToolScope(SpanScope):
    """One call of a tool; `status` may be set: ok, error, denied, timeout."""

    input_name = TOOL_ARGUMENTS
    output_name = TOOL_RESULT

    def __init__(self, name: str, agent: str = "") -> None:
        self.name = name
        self.agent = agent
        self.status = ""

    def again(self) -> Self:
        """A fresh call of the same tool."""
        return type(self)(self.name, self.agent)

    def _start(self) -> None:
        self.status = ""
        operation = gen_ai.GenAiOperationNameValues.EXECUTE_TOOL.value
        attributes = {gen_ai.GEN_AI_OPERATION_NAME: operation, gen_ai.GEN_AI_TOOL_NAME: self.name}
        self.span = start_span(f"{operation} {self.name}", attributes)
        with self.in_force():
            get_recorder().tool_started(self._agent(), self.name, by="hand")

    def _context(self) -> context.Context:
        return with_tool(self.name, super()._context())

    def _record(self, error: BaseException | None) -> None:
        if error is not None and outcome_of(error) != "error":
            # A call that waits for a person or was given up is no finished call.
            self.span.set_attribute(TOOL_STATUS.name, outcome_of(error))
            return
        status = arguments.name(self.status) or tool_status(error)
        self.span.set_attribute(TOOL_STATUS.name, status)
        get_recorder().tool_call(
            self._agent(),
            self.name,
            status,
            self.seconds(),
            error=None if error is None else type(error).__qualname__,
            by="hand",
        )

    def _agent(self) -> str:
        return self.agent or current_agent() or UNKNOWN


@overload
def agent(name: _Function) -> _Function: ...
@overload
def agent(name: str) -> AgentScope: ...
def agent(name: Any) -> Any:
    """One run of an agent: a with-block, or a decorator with or without a name.

    Without a name the decorated function's is taken. The agent is the one that acts in the block:
    its tools, its model calls and what these cost carry its name.

    Args:
        name: the agent, the same in each run.
    """
    if is_function(name):
        return AgentScope(arguments.name(function_name(name)))(name)
    return AgentScope(arguments.name(name, UNKNOWN))


@overload
def tool(name: _Function) -> _Function: ...
@overload
def tool(name: str, *, agent: str = "") -> ToolScope: ...
def tool(name: Any, *, agent: str = "") -> Any:
    """One call of a tool: a with-block, or a decorator with or without a name.

    A TimeoutError is the status `timeout`, a PermissionError `denied`, any other exception `error`,
    unless the block sets `status` itself.

    Args:
        name: the tool.
        agent: who calls it, if it is not the agent that acts here.
    """
    if is_function(name):
        return ToolScope(arguments.name(function_name(name)))(name)
    return ToolScope(arguments.name(name, UNKNOWN), arguments.name(agent))


def tool_status(error: BaseException | None) -> str:
    """How a call of a tool ended, by the exception that ended it."""
    if error is None:
        return "ok"
    if isinstance(error, TimeoutError):
        return "timeout"
    return "denied" if isinstance(error, PermissionError) else "error"
