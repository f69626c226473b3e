"""Which workflow runs, so that the agents in it are seen taking over from each other."""

from __future__ import annotations

import threading
from typing import cast

from opentelemetry.context import Context, create_key, get_value, set_value

from midwatch.instruments.agent_context import current_agent
from midwatch.instruments.recorder import get_recorder

_KEY = create_key("midwatch-workflow")


class Transitions:
    """The agents of one workflow, as they begin and end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._finished = ""

    def begins(self, agent: str) -> None:
        """An agent begins: it takes over from the one around it, else from the last that ended.

        Agents that work side by side take over from nobody.
        """
        with self._lock:
            finished, self._finished = self._finished, ""
        source = current_agent() or finished
        if source and source != agent:
            # As instrumentation: what the code says itself of the same handoff counts once with it.
            get_recorder().handoff(source, agent, by="instrumentation")

    def ends(self, agent: str) -> None:
        """An agent has ended."""
        with self._lock:
            self._finished = agent


def with_workflow(transitions: Transitions, context: Context) -> Context:
    """A context within the workflow."""
    return set_value(_KEY, transitions, context)


def agent_begins(agent: str) -> None:
    """Tell the workflow that runs here, if any, that an agent begins."""
    transitions = cast("Transitions | None", get_value(_KEY))
    if transitions is not None:
        transitions.begins(agent)


def agent_ends(agent: str) -> None:
    """Tell the workflow that runs here, if any, that an agent has ended."""
    transitions = cast("Transitions | None", get_value(_KEY))
    if transitions is not None:
        transitions.ends(agent)
