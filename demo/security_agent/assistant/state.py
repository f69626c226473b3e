"""What is known during one turn."""

from __future__ import annotations

from typing import Any, TypedDict

SPECIALISTS = ("monitor", "config_manager", "rag_agent")

Context = dict[str, Any]
"""A session's memory: `session_id`, `trace_id`, `turn_id`, `pending_action`, `confirm`."""


class TurnState(TypedDict, total=False):
    """The graph's state.

    Attributes:
        user_input: What the person said, without secrets.
        context: The session's memory.
        deadline: The `time.monotonic()` at which the turn ends.
        selected_agent: Whom the supervisor chose last; `FINISH` when nobody.
        route: All agents that acted, in order.
        handoffs: How often the turn went from one agent to another.
        handoff: What the last specialist asks someone else to do.
        findings: What specialists have said before they passed the turn on.
        done: The changes that tools made.
        answer: What the person will read.
        citations: The passages that the answer cites.
        outcome: How the turn ends: `answered`, `denied`, `needs_confirmation`, `declined`,
            `escalated`, `tool_failed`, `handoff_limit`.
    """

    user_input: str
    context: Context
    deadline: float
    selected_agent: str
    route: list[str]
    handoffs: int
    handoff: str
    findings: list[str]
    done: list[str]
    answer: str
    citations: list[str]
    outcome: str
