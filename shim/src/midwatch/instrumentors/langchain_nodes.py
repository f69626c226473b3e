"""Which nodes of a graph are agents, and which only plumbing between them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

AGENT_NODES_VARIABLE = "MIDWATCH_AGENT_NODES"
PLUMBING_NODES_VARIABLE = "MIDWATCH_PLUMBING_NODES"

DEFAULT_GRAPH_NAME = "LangGraph"
"""What LangGraph calls a graph that was compiled without a name."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names that say "this is the model step of an agent", not which agent it is.
_GENERIC = _words(
    "agent assistant bot call_llm call_model chat chatbot generate llm model node respond"
)
# Words that name what a node does around agents; one of them makes the node plumbing ...
_PLUMBING_WORDS = _words(
    """
    approval approve confirm confirmation human interrupt
    gate guard guardrail guardrails guards moderate moderation redact sanitise sanitize
    validate validation
    dispatch dispatcher fan join merge route router routing switch
    grade grader grading retrieval retrieve rewrite rewriter
    tool toolnode tools middleware
    end entry finalise finalize format parse parser start
    checkpoint collect load log memory normalise normalize persist postprocess preprocess save trim
    """
)
# ... unless another word says that it is an agent all the same.
_AGENT_WORDS = _words(
    """
    agent analyst assistant coder coordinator critic executor expert manager orchestrator planner
    researcher reviewer specialist supervisor worker writer
    """
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True)
class NodeRules:
    """Decides by a node's name what it is; names listed by the user win over the words above.

    `agents` and `plumbing` hold node names as the graph has them.
    """

    agents: frozenset[str] = frozenset()
    plumbing: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> NodeRules:
        """The rules with the node names that the two variables list, separated by commas."""
        return cls(
            _names(environment.get(AGENT_NODES_VARIABLE, "")),
            _names(environment.get(PLUMBING_NODES_VARIABLE, "")),
        )

    def is_agent(self, node: str) -> bool:
        """Whether the node is an agent."""
        if node in self.agents:
            return True
        if node in self.plumbing or node.startswith("__") or "." in node:
            return False
        words = {word.lower() for word in _WORD.findall(node)}
        return bool(words & _AGENT_WORDS) or not words & _PLUMBING_WORDS

    def runs_tools(self, node: str) -> bool:
        """Whether a plumbing node is there to call tools, which have spans of their own."""
        return bool({"tool", "toolnode", "tools"} & {word.lower() for word in _WORD.findall(node)})

    def is_generic(self, node: str) -> bool:
        """Whether the name says nothing about which agent it is, so that the graph's name must."""
        return node not in self.agents and node.lower() in _GENERIC


def _names(listed: str) -> frozenset[str]:
    return frozenset(name.strip() for name in listed.split(",") if name.strip())
