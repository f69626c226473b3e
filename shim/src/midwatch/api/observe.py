"""`observe`, the decorator of S5 (simulation tracing)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar, overload

from midwatch.api import arguments
from midwatch.api.functions import function_name, is_function
from midwatch.api.scopes import Scope
from midwatch.api.spans import SpanScope, arguments_of, set_content, set_known, start_span
from midwatch.api.work import AgentScope, ToolScope
from midwatch.registry.span_attributes import EXECUTION_STEP

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Captures = tuple[bool, bool]


class ObservedScope(SpanScope):
    """A span, or the run of an agent or of a tool, as what the function is called with says."""

    def __init__(
        self, name: str = "", as_type: str = "", captures: _Captures = (True, True)
    ) -> None:
        self.name = name
        self.as_type = as_type
        self.captures = captures

    def __call__(self, function: _Function) -> _Function:
        """The function, observed under its own name if no other was given."""
        if self.name or not is_function(function):
            return super().__call__(function)
        name = arguments.name(function_name(function))
        return Scope.__call__(type(self)(name, self.as_type, self.captures), function)

    def again(self) -> Self:
        """A fresh one of the same kind."""
        return type(self)(self.name, self.as_type, self.captures)

    def _fresh(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Scope:
        if self.as_type == "tool":
            return _ObservedTool(self.name, self.captures)
        given = arguments_of(function, args, kwargs)
        agent = arguments.name(given.get("agent_id"))
        if self.as_type == "agent" or (agent and not self.as_type):
            operation = arguments.name(given.get("operation"), self.name)
            return _ObservedAgent(agent or self.name, operation, self.captures)
        return self.again()

    def _start(self) -> None:
        self.span = start_span(self.name or "observed")

    def _called(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if self.captures[0]:
            super()._called(function, args, kwargs)

    def _returned(self, result: object) -> None:
        if self.captures[1]:
            super()._returned(result)


class _ObservedAgent(AgentScope):
    def __init__(self, name: str, operation: str, captures: _Captures) -> None:
        super().__init__(name)
        self._operation = operation
        self._captures = captures

    def _start(self) -> None:
        super()._start()
        set_known(self.span, {EXECUTION_STEP.name: self._operation})

    def _called(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if self._captures[0]:
            set_content(self.span, self.input_name, arguments_of(function, args, kwargs))

    def _returned(self, result: object) -> None:
        if self._captures[1]:
            set_content(self.span, self.output_name, result)


class _ObservedTool(ToolScope):
    def __init__(self, name: str, captures: _Captures) -> None:
        super().__init__(name)
        self._captures = captures

    def _called(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if self._captures[0]:
            super()._called(function, args, kwargs)

    def _returned(self, result: object) -> None:
        if self._captures[1]:
            super()._returned(result)


@overload
def observe(name: _Function) -> _Function: ...
@overload
def observe(
    name: str | None = None,
    *,
    as_type: str | None = None,
    capture_input: bool = True,
    capture_output: bool = True,
) -> ObservedScope: ...
def observe(
    name: Any = None,
    *,
    as_type: str | None = None,
    capture_input: bool = True,
    capture_output: bool = True,
) -> Any:
    """Observe a function: a decorator with or without arguments, or a with-block.

    A call with an argument `agent_id` is a run of that agent, its argument `operation` the step.
    Arguments and result are captured if the content policy captures anything at all.

    Args:
        name: what it is; by default the function's name.
        as_type: `agent` or `tool`; anything else is a span of no special kind.
        capture_input: whether arguments may be captured.
        capture_output: whether the result may be captured.
    """
    if is_function(name):
        return ObservedScope()(name)
    captures = (arguments.flag(capture_input, True), arguments.flag(capture_output, True))
    return ObservedScope(arguments.name(name), arguments.name(as_type), captures)
