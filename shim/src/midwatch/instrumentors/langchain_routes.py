"""Who handed over to whom: the choices of a graph's nodes, confirmed by the node that runs next."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_SEVERAL = (list, tuple, set, frozenset)


class Choice(NamedTuple):
    """A node chose where to go; `agent` is who acted when it did.

    `among_agents` says that it could have chosen another agent than it did; `declared` that the
    graph says which, so that it is no guess.
    """

    agent: str
    destinations: frozenset[str]
    step: int
    among_agents: bool = True
    declared: bool = False


class Arrival(NamedTuple):
    """An agent begins because it was chosen, by `from_agent` if an agent acted before.

    `routed` says that a router chose it among agents: a way that had to be taken, and a way back
    to whom the work came from, are handoffs only.
    """

    from_agent: str
    to_agent: str
    routed: bool


@dataclass(slots=True)
class GraphRoutes:
    """The choices that one run of a graph has seen and not yet used up.

    A choice counts when the chosen node begins, in the same graph: a command to a parent graph that
    passes through subgraphs counts once, where it lands, and a choice of the end counts nowhere. A
    choice that leads to plumbing (a guard, a retrieval) counts for the agent behind it. A choice of
    a deferred node, which runs when all others are done, waits for it.
    """

    last_agent: str = ""
    supervisor: str = ""
    deferred: frozenset[str] = frozenset()
    _choices: list[Choice] = field(default_factory=list)
    _carried: Choice | None = None
    _counted: set[tuple[int, str]] = field(default_factory=set)
    _work_from: dict[str, str] = field(default_factory=dict)
    _followed: dict[tuple[str, str], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def chose(self, choice: Choice) -> None:
        """Note that a node which ran in this step chose which nodes run next."""
        if choice.destinations:
            with self._lock:
                if not choice.agent:
                    choice = choice._replace(agent=self.last_agent)
                self._choices.append(choice)

    def plumbing_begins(self, node: str, step: int) -> str:
        """A node that is no agent begins; returns the agent for which it works."""
        with self._lock:
            choice = self._choice_of(node, step)
            if choice is not None:
                self._carried = _after(self._carried, choice)
            return self.last_agent if choice is None else choice.agent

    def agent_begins(self, node: str, agent: str, step: int) -> Arrival | None:
        """An agent's node begins; returns how it was chosen, None when nothing chose it.

        Several runs of one node in one step (a fan-out) arrive once.
        """
        with self._lock:
            choice = self._choice_of(node, step)
            choice = self._carried if choice is None else _after(self._carried, choice)
            self._carried = None
            way = (self.last_agent, agent)
            self._followed[way] = self._followed.get(way, 0) + 1
            self.last_agent = agent
            first = (step, node) not in self._counted
            self._counted = {entry for entry in self._counted if entry[0] == step}
            self._counted.add((step, node))
            if choice is None or not first:
                return None
            back = self._hands_back(choice.agent, agent)
            if choice.agent:
                back = node == self.supervisor or (back and not choice.declared)
            return Arrival(choice.agent, agent, choice.among_agents and not back)

    def most_repeated(self) -> tuple[tuple[str, str], int] | None:
        """The two agents of which one ran after the other most often, and how often."""
        with self._lock:
            ways = {way: times for way, times in self._followed.items() if way[0]}
        return max(ways.items(), key=lambda item: item[1], default=None)

    def _hands_back(self, source: str, agent: str) -> bool:
        """Whether the work goes back the way it came; if not, note which way it goes."""
        giver = source
        while giver:
            giver = self._work_from.get(giver, "")
            if giver == agent:
                return True
        if source and source != agent:
            self._work_from[agent] = source
        return False

    def _choice_of(self, node: str, step: int) -> Choice | None:
        if not self._choices:
            return None
        self._choices = [
            choice
            for choice in self._choices
            if choice.step >= step - 1 or not self.deferred.isdisjoint(choice.destinations)
        ]
        for choice in self._choices:
            recent = choice.step == step - 1 or node in self.deferred
            if choice.step < step and recent and node in choice.destinations:
                if node in self.deferred:
                    self._choices.remove(choice)
                return choice
        return None


def _after(earlier: Choice | None, choice: Choice) -> Choice:
    """A choice that continues one which led to plumbing: the agent's choice stays one."""
    if earlier is None or choice.among_agents:
        return choice
    return choice._replace(among_agents=earlier.among_agents, declared=earlier.declared)


def destinations_of(chosen: object) -> Sequence[str]:
    """The node names in what a node may choose: a name, a `Send`, or a sequence of both."""
    if isinstance(chosen, str):
        return (chosen,)
    node = getattr(chosen, "node", None)
    if isinstance(node, str):
        return (node,)
    if isinstance(chosen, _SEVERAL):
        return tuple(name for item in chosen for name in destinations_of(item))
    return ()
