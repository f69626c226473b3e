"""How a run ended: what LangGraph raises to steer a graph is no error."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from midwatch.instruments.model_errors import error_kind, is_cancellation

_INTERRUPTS = frozenset({"GraphInterrupt"})
_COMMANDS = frozenset({"ParentCommand"})
_ENDLESS = frozenset({"GraphRecursionError"})
_STEERING = frozenset({"GraphBubbleUp"})
_DENIALS = ("Denied", "Forbidden", "NotPermitted", "PermissionError", "Unauthorized")


class How(StrEnum):
    """How a run ended; the values are the statuses of agent invocations."""

    OK = "ok"
    ERROR = "error"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"


def how_it_ended(error: BaseException | None) -> How:
    """The end that an exception means; none means a good one.

    LangGraph's classes are known by name, so that LangChain alone does not import LangGraph.
    """
    if error is None:
        return How.OK
    names = _names(error)
    if names & _INTERRUPTS:
        return How.INTERRUPTED
    if names & _COMMANDS:
        return How.OK
    if names & _STEERING or is_cancellation(error):
        return How.CANCELLED
    return How.ERROR


def tool_status(error: BaseException) -> str:
    """The status of a tool call that raised."""
    if any(part in name for name in _names(error) for part in _DENIALS):
        return "denied"
    return "timeout" if error_kind(error) == "timeout" else "error"


def ran_too_long(error: BaseException) -> bool:
    """Whether a graph was stopped because it would not end by itself."""
    return bool(_names(error) & _ENDLESS)


def command_of(error: BaseException) -> Any:
    """The command that an exception carries to a parent graph, or None."""
    return error.args[0] if _names(error) & _COMMANDS and error.args else None


def _names(error: BaseException) -> set[str]:
    return {base.__name__ for base in type(error).__mro__}
