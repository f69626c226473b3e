"""Who handed over to whom: the choices of a graph's nodes, confirmed by the node that runs next."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class _Choice:
    """A node chose where to go; `agent` is who acted when it did."""

    agent: str
    destinations: frozenset[str]
    step: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """An agent begins because it was chosen, by `from_agent` if an agent acted before."""

    from_agent: str
    to_agent: str


@dataclass(slots=True)
class GraphRoutes:
    """The choices that one run of a graph has seen and not yet used up.

    A choice counts when the chosen node begins, in the same graph: a command to a parent graph that
    passes through subgraphs counts once, where it lands, and a choice of the end counts nowhere. A
    choice that leads to plumbing (a guard, a retrieval) counts for the agent behind it.
    """

    last_agent: str = ""
    _choices: list[_Choice] = field(default_factory=list)
    _carried: str | None = None
    _counted: set[tuple[int, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def chose(self, agent: str, destinations: Iterable[str], step: int) -> None:
        """Note that a node which ran in this step chose these nodes to run next."""
        names = frozenset(destinations)
        if names:
            with self._lock:
                self._choices.append(_Choice(agent or self.last_agent, names, step))

    def plumbing_begins(self, node: str, step: int) -> str:
        """A node that is no agent begins; returns the agent for which it works."""
        with self._lock:
            choice = self._choice_of(node, step)
            if choice is not None:
                self._carried = choice.agent
            return self.last_agent if choice is None else choice.agent

    def agent_begins(self, node: str, agent: str, step: int) -> Arrival | None:
        """An agent's node begins; returns how it was chosen, None when nothing chose it.

        Several runs of one node in one step (a fan-out) arrive once.
        """
        with self._lock:
            choice = self._choice_of(node, step)
            source = choice.agent if choice is not None else self._carried
            self._carried = None
            self.last_agent = agent
            first = (step, node) not in self._counted
            self._counted = {entry for entry in self._counted if entry[0] == step}
            self._counted.add((step, node))
            return Arrival(source, agent) if source is not None and first else None

    def _choice_of(self, node: str, step: int) -> _Choice | None:
        self._choices = [choice for choice in self._choices if choice.step >= step - 1]
        for choice in self._choices:
            if choice.step < step and node in choice.destinations:
                return choice
        return None


def destinations_of(chosen: object) -> Sequence[str]:
    """The node names in what a node may choose: a name, a `Send`, or a sequence of both."""
    if isinstance(chosen, str):
        return (chosen,)
    node = getattr(chosen, "node", None)
    if isinstance(node, str):
        return (node,)
    if isinstance(chosen, list | tuple | set | frozenset):
        return tuple(name for item in chosen for name in destinations_of(item))
    return ()
