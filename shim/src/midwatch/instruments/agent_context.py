"""The agent and the turn that code works for, carried in the OpenTelemetry context.

The context variable of the turn ends at a thread's border; the OpenTelemetry context is carried
across it by the threading instrumentation, and with it what is needed to attribute a model call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from opentelemetry.context import Context, create_key, get_value, set_value

from midwatch.instruments.turn_state import CURRENT_TURN, Turn

_AGENT = create_key("midwatch-agent")
_TURN = create_key("midwatch-turn")


def with_agent(agent: str, context: Context | None = None) -> Context:
    """A context in which this agent acts."""
    return set_value(_AGENT, agent, context)


def with_turn(turn: Turn, context: Context | None = None) -> Context:
    """A context that belongs to this turn."""
    return set_value(_TURN, turn, context)


def current_agent(context: Context | None = None) -> str:
    """The agent that acts in the context, empty when none does."""
    return cast("str | None", get_value(_AGENT, context)) or ""


def turn_of(context: Context | None = None) -> Turn | None:
    """The turn that the context belongs to, else the current one."""
    return cast("Turn | None", get_value(_TURN, context)) or CURRENT_TURN.get()


@contextmanager
def within_turn(turn: Turn | None) -> Iterator[None]:
    """Make a turn the current one inside the block; with None nothing changes."""
    if turn is None or CURRENT_TURN.get() is turn:
        yield
        return
    token = CURRENT_TURN.set(turn)
    try:
        yield
    finally:
        CURRENT_TURN.reset(token)
