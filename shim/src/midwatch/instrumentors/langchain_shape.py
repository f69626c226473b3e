"""The shape of a graph: which agents a node's choice can lead to, and who supervises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from weakref import WeakKeyDictionary

from midwatch.instrumentors.langchain_nodes import NodeRules

_BRANCH = "branch:to:"
_JOIN = "join:"
_GATHERING = frozenset({"BinaryOperatorAggregate", "DeltaChannel", "Topic"})


class GraphShape:
    """Reads the ways between a compiled graph's nodes off the writes that they declare.

    Args:
        nodes: LangGraph's own nodes by name.
        rules: tell agents from plumbing.
        channels: LangGraph's own channels by the state's key.
    """

    def __init__(
        self, nodes: Mapping[str, object], rules: NodeRules, channels: Mapping[str, object]
    ) -> None:
        self.gathers = frozenset(key for key, channel in channels.items() if _adds(channel))
        """The keys to which each write adds, where the others keep what was written last."""
        self.deferred = frozenset(filter(None, map(_deferred, channels.items())))
        """The nodes that run when all others are done."""
        self.is_one_agent = rules.are_one_agent([name for name in nodes if name[:2] != "__"])
        """Whether the graph is an agent as a whole, of which no node is one by itself."""
        self._names = frozenset(name for name in nodes if not name.startswith("__"))
        self._agents = frozenset(name for name in self._names if rules.is_agent(name))
        self._behind: dict[tuple[str, frozenset[str]], frozenset[str]] = {}
        self._commands = {name: frozenset(_commands(node)) for name, node in nodes.items()}
        self._ways = {
            name: frozenset(_ways(node, self._names)) | self._commands[name]
            for name, node in nodes.items()
        }

    def declared_commands(self, node: str) -> frozenset[str]:
        """Where the node says that its commands may go to; empty if it does not say."""
        return self._commands.get(node, frozenset())

    def agents_behind(
        self, node: str, destinations: frozenset[str] = frozenset()
    ) -> frozenset[str]:
        """The other agents that the node can reach over these destinations (by default over any).

        Plumbing on the way is passed through.
        """
        behind = self._behind.get((node, destinations))
        if behind is None:
            behind = self._behind[(node, destinations)] = self._look_behind(node, destinations)
        return behind

    def _look_behind(self, node: str, destinations: frozenset[str]) -> frozenset[str]:
        ahead, seen = list(destinations or self._names), {node}
        found: set[str] = set()
        while ahead:
            name = ahead.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self._agents:
                found.add(name)
            else:
                ahead.extend(self._ways.get(name, ()))
        return frozenset(found)

    @cached_property
    def supervisor(self) -> str:
        """The one agent that can hand to every other; empty if there is none, or several."""
        able = [
            agent
            for agent in self._agents
            if len(self._agents) > 2
            and (ways := self._ways[agent])
            and self.agents_behind(agent, ways) == self._agents - {agent}
        ]
        return able[0] if len(able) == 1 else ""


class GraphShapes:
    """The shapes of the graphs that have run, each read once."""

    def __init__(self, rules: NodeRules) -> None:
        self._rules = rules
        self._known: WeakKeyDictionary[object, GraphShape] = WeakKeyDictionary()

    def of(self, nodes: Mapping[str, object], channels: Mapping[str, object]) -> GraphShape | None:
        """The shape of the graph with these nodes and channels."""
        first = next(iter(nodes.values()), None)
        if first is None:
            return None
        shape = self._known.get(first)
        if shape is None:
            shape = self._known[first] = GraphShape(nodes, self._rules, channels)
        return shape


def _deferred(item: tuple[str, object]) -> str:
    name, channel = item
    waits = type(channel).__name__.endswith("AfterFinish")
    return next(iter(_node_of(name)), "") if waits else ""


def _adds(channel: object) -> bool:
    return not _GATHERING.isdisjoint(base.__name__ for base in type(channel).__mro__)


def _commands(node: object) -> Iterator[str]:
    for writer in getattr(node, "writers", ()):
        for entry in getattr(writer, "writes", ()):
            for channel, *_ in getattr(entry, "static", None) or ():
                yield from _node_of(channel)


def _ways(node: object, names: frozenset[str]) -> Iterator[str]:
    for writer in getattr(node, "writers", ()):
        for entry in getattr(writer, "writes", ()):
            yield from _node_of(getattr(entry, "channel", ""))
        declared = getattr(writer, "_is_channel_writer", ())
        if declared is None:
            # A conditional edge that does not say where it leads may lead anywhere.
            yield from names
        for entry, _label in declared or ():
            yield from _node_of(getattr(entry, "channel", ""))


def _node_of(channel: object) -> Iterator[str]:
    name = channel if isinstance(channel, str) else ""
    if name.startswith(_BRANCH):
        yield name.removeprefix(_BRANCH)
    elif name.startswith(_JOIN):
        yield name.rpartition(":")[2]
