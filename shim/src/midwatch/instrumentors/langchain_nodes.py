"""Which nodes of a graph are agents, and which only plumbing between them."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from midwatch.config import GraphSettings

DEFAULT_GRAPH_NAME = "LangGraph"
"""What LangGraph calls a graph that was compiled without a name."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names that say "this is the model step of an agent", not which agent it is.
_GENERIC = _words(
    "agent assistant bot call_llm call_model chat chatbot generate llm model node respond"
)
# What a node does that is no agent's work; as the first word of its name it decides.
_PLUMBING_VERBS = _words(
    """
    approve check collect confirm dispatch fan finalise finalize format grade guard interrupt join
    load log merge moderate normalise normalize parse persist postprocess preprocess redact retrieve
    rewrite route sanitise sanitize save switch trim validate
    """
)
# What such a node is; one of them makes the node plumbing ...
_PLUMBING = _PLUMBING_VERBS | _words(
    """
    approval checkpoint confirmation dispatcher end entry gate grader grading guardrail guardrails
    guards human memory middleware moderation parser retrieval rewriter router routing start tool
    toolnode tools validation
    """
)
# ... unless another word says that it is an agent all the same.
_AGENT_NOUNS = _words(
    """
    agent analyst assistant coder coordinator critic executor expert manager orchestrator planner
    researcher reviewer specialist supervisor worker writer
    """
)
# Plumbing that is there to choose an agent.
_ROUTERS = _words("dispatch dispatcher route router routing start switch")
_MOST_NAMES = 1_000
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True)
class NodeRules:
    """Decides by a node's name what it is; what the user lists wins over the words above.

    Args:
        listed: what the settings say of nodes, by patterns of their names.
    """

    listed: GraphSettings = field(default_factory=GraphSettings)
    _agents: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def is_agent(self, node: str) -> bool:
        """Whether the node is an agent."""
        known = self._agents.get(node)
        if known is None:
            known = self._is_agent(node)
            if len(self._agents) < _MOST_NAMES:
                self._agents[node] = known
        return known

    def _is_agent(self, node: str) -> bool:
        if node in self.listed.agents:
            return True
        if node.startswith("__") or "." in node or self._is_listed(node):
            return False
        words = _words_of(node)
        if words and words[0] in _PLUMBING_VERBS:
            return False
        return not _AGENT_NOUNS.isdisjoint(words) or _PLUMBING.isdisjoint(words)

    def is_agent_task(self, task: str) -> bool:
        """Whether a task of a workflow that is written as a function is an agent.

        A function is a step of the workflow unless its name or the user says otherwise.
        """
        if task in self.listed.agents:
            return True
        return self.is_agent(task) and not _AGENT_NOUNS.isdisjoint(_words_of(task))

    def is_ignored(self, node: str) -> bool:
        """Whether the node gets no span."""
        return node.startswith("__") or node in self.listed.ignored

    def agent_of(self, node: str) -> str:
        """The name of the agent that the node is."""
        return self.listed.agents.name_of(node)

    def gate_of(self, node: str) -> str:
        """The name of the guardrail that the node is, empty if it is none."""
        return self.listed.guardrails.name_of(node) if node in self.listed.guardrails else ""

    def is_grader(self, node: str) -> bool:
        """Whether the node grades for self-RAG."""
        return node in self.listed.graders

    def runs_tools(self, node: str) -> bool:
        """Whether a plumbing node is there to call tools, which have spans of their own."""
        return not {"tool", "toolnode", "tools"}.isdisjoint(_words_of(node))

    def chooses(self, node: str) -> bool:
        """Whether the node's choice is that of an agent or a router, not of a guard on the way.

        An agent may choose by calling a tool, so the node that runs its tools speaks for it.
        """
        if self.is_agent(node) or self.runs_tools(node) or node in self.listed.routers:
            return True
        if node in self.listed.guardrails or node in self.listed.graders:
            return False
        return not _ROUTERS.isdisjoint(_words_of(node))

    def is_generic(self, node: str) -> bool:
        """Whether the name says nothing about which agent it is, so that the graph's name must."""
        return node not in self.listed.agents and node.lower() in _GENERIC

    def are_one_agent(self, nodes: Sequence[str]) -> bool:
        """Whether all nodes are steps of one agent: its model, its tools, and what is around."""
        return any(map(self.is_generic, nodes)) and all(
            self.is_generic(node)
            or ("." in node and not self.is_agent(node))
            or (self.runs_tools(node) and not self.is_agent(node))
            for node in nodes
        )

    def _is_listed(self, node: str) -> bool:
        listed = self.listed
        return (
            node in listed.plumbing
            or node in listed.ignored
            or node in listed.guardrails
            or node in listed.graders
            or node in listed.routers
        )


@functools.lru_cache(maxsize=1024)
def _words_of(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(name))
