"""The agent and the turn that code works for, carried in the OpenTelemetry context.

A context variable ends at a thread's border; the OpenTelemetry context is carried across it by the
threading instrumentation, and with it what is needed to attribute a model call.
"""

from __future__ import annotations

from typing import Any, cast

from opentelemetry.context import Context, create_key, get_value, set_value

from midwatch.instruments.turn_state import CURRENT_TURN, TURN_KEY, Turn
from midwatch.pipeline.present import present_context

_AGENT = create_key("midwatch-agent")
_TOOL = create_key("midwatch-tool")


def with_agent(agent: str, context: Context | None = None) -> Context:
    """A context in which this agent acts."""
    return set_value(_AGENT, agent, context)


def with_turn(turn: Turn, context: Context | None = None) -> Context:
    """A context that belongs to this turn."""
    return set_value(TURN_KEY, turn, context)


def current_agent(context: Context | None = None) -> str:
    """The agent that acts in the context, empty when none does."""
    agent: Any = (present_context() if context is None else context).get(_AGENT)
    return agent or ""


def turn_of(context: Context | None = None) -> Turn | None:
    """The turn that the context belongs to, else the current one."""
    turn: Any = (present_context() if context is None else context).get(TURN_KEY)
    return turn if turn is not None and turn.ended is None else CURRENT_TURN.get()


def with_tool(tool: str, context: Context | None = None) -> Context:
    """A context in which a call of this tool is recorded already."""
    return set_value(_TOOL, tool, context)


def current_tool(context: Context | None = None) -> str:
    """The tool whose call is recorded around this code, empty when there is none."""
    return cast("str | None", get_value(_TOOL, context)) or ""
