"""What the nodes of a graph are, and which keys of its state hold facts, as the settings say."""

# ruff: noqa: RUF009 (each call declares a field)
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from midwatch.config import kinds
from midwatch.config.reading import setting

FACT_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "decision": ("agent", "decision", "confidence", "detail"),
        "message": ("from_agent", "to_agent"),
        "conflict": ("conflict_type", "resolution", "participants"),
        "collaboration": ("workflow_type", "participants"),
        "state": ("agent",),
    }
)
"""The kinds of facts that a key of the state may hold, each with what is read off an item."""

_STATE_FACT = re.compile(
    r"^(?P<key>[^:()=;\s]+)\s*:\s*(?P<kind>\w+)\s*(?:\((?P<fields>[^()]*)\))?$"
)
_S3 = "S3 (multi-agent observability)"
_S5 = "S5 (simulation tracing)"


@dataclass(frozen=True)
class NodeNames:
    """Patterns of node names (`*` and `?` as in file names), each with the name to show for it.

    An empty name shows the node's own.
    """

    patterns: tuple[tuple[str, str], ...] = ()

    def __contains__(self, node: object) -> bool:
        if not self.patterns:
            return False
        return isinstance(node, str) and any(
            fnmatchcase(node, pattern) for pattern, _ in self.patterns
        )

    def __str__(self) -> str:
        return ",".join(f"{one}={name}" if name else one for one, name in self.patterns) or "none"

    def name_of(self, node: str) -> str:
        """The name to show for a node: the first pattern that fits and gives one decides."""
        if not self.patterns:
            return node
        given = (name for pattern, name in self.patterns if name and fnmatchcase(node, pattern))
        return next(given, node)


@dataclass(frozen=True)
class StateFact:
    """A key of a graph's state that holds facts of a kind; `fields` renames what is read off."""

    key: str
    kind: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NodePatterns:
    """Patterns of node names, separated by commas; with `renames` each may give a name to show."""

    renames: bool = False

    @property
    def allowed(self) -> str:
        """The form of an entry."""
        form = " or pattern=name" if self.renames else ""
        return f"node names (* and ? allowed){form}, separated by commas"

    def parse(self, given: str) -> NodeNames:
        """The patterns; one wrong entry leaves the others in force."""
        patterns: list[tuple[str, str]] = []
        wrong: list[str] = []
        for entry in _entries(given):
            pattern, equals, shown = (part.strip() for part in entry.partition("="))
            well_formed = bool(equals) == bool(shown) and "=" not in shown
            if pattern and well_formed and (self.renames or not equals):
                patterns.append((pattern, shown))
            else:
                wrong.append(entry)
        names = NodeNames(tuple(patterns))
        if wrong:
            raise kinds.WrongValueError(
                f"{self.allowed} (wrong: {', '.join(wrong)})", names, "the others"
            )
        return names


@dataclass(frozen=True)
class StateFacts:
    """Keys of graphs' states with the kind of fact that they hold."""

    @property
    def allowed(self) -> str:
        """The form of an entry, the kinds and their fields."""
        known = ", ".join(f"{kind} ({'; '.join(names)})" for kind, names in FACT_FIELDS.items())
        return (
            "key:kind or key:kind(field=name;field=name), separated by commas, with the kinds and "
            f"fields {known}"
        )

    def parse(self, given: str) -> tuple[StateFact, ...]:
        """The facts; one wrong entry leaves the others in force."""
        read = {entry: _state_fact(entry) for entry in _entries(given)}
        facts = tuple(fact for fact in read.values() if fact is not None)
        wrong = [entry for entry, fact in read.items() if fact is None]
        if wrong:
            raise kinds.WrongValueError(
                f"{self.allowed} (wrong: {', '.join(wrong)})", facts, "the others"
            )
        return facts


_NONE = NodeNames()


@dataclass(frozen=True)
class GraphSettings:
    """What the nodes of graphs are, where their names alone do not tell."""

    agents: NodeNames = setting(
        "MIDWATCH_AGENT_NODES",
        NodePatterns(renames=True),
        _NONE,
        "The nodes that are agents, whatever their names; `node=agent` shows another name.",
    )
    plumbing: NodeNames = setting(
        "MIDWATCH_PLUMBING_NODES",
        NodePatterns(),
        _NONE,
        "The nodes that are no agents but steps between them.",
    )
    ignored: NodeNames = setting(
        "MIDWATCH_IGNORED_NODES",
        NodePatterns(),
        _NONE,
        "The nodes that get no span; what happens in them belongs to what is around them.",
    )
    guardrails: NodeNames = setting(
        "MIDWATCH_GUARDRAIL_NODES",
        NodePatterns(renames=True),
        _NONE,
        "The nodes that are guardrails; their decisions are recorded. `node=gate` shows another "
        "name.",
        origin=_S3,
    )
    graders: NodeNames = setting(
        "MIDWATCH_GRADER_NODES",
        NodePatterns(),
        _NONE,
        "The nodes, or the functions of conditional edges, that grade for self-RAG.",
        origin=_S3,
    )
    routers: NodeNames = setting(
        "MIDWATCH_ROUTER_NODES",
        NodePatterns(),
        _NONE,
        "The nodes that are no agents and choose one; their choices are routes.",
        origin=_S3,
    )
    state_facts: tuple[StateFact, ...] = setting(
        "MIDWATCH_STATE_FACTS",
        StateFacts(),
        (),
        "The keys of graphs' states that hold decisions, messages, conflicts, collaborations or "
        "states.",
        origin=_S5,
    )
    resume_links: bool = setting(
        "MIDWATCH_RESUME_LINKS",
        kinds.Boolean(),
        True,
        "Keep a run's trace id in its checkpoints' metadata, so that the run that resumes it links "
        "to it.",
    )


def _entries(given: str) -> list[str]:
    return [entry.strip() for entry in given.split(",") if entry.strip()]


def _state_fact(entry: str) -> StateFact | None:
    match = _STATE_FACT.match(entry)
    if match is None or match["kind"] not in FACT_FIELDS:
        return None
    pairs = [pair.partition("=") for pair in (match["fields"] or "").split(";") if pair.strip()]
    fields = {known.strip(): given.strip() for known, _, given in pairs}
    if not all(fields.values()) or not fields.keys() <= set(FACT_FIELDS[match["kind"]]):
        return None
    return StateFact(match["key"], match["kind"], fields)
