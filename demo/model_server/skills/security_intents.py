"""What a request to the security assistant is about, clause by clause."""

from __future__ import annotations

import re

AGENTS = ("monitor", "config_manager", "rag_agent")

ADDRESS = re.compile(
    r"\b(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?\b|\b[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}", re.I
)
MODE = re.compile(
    r"\b(strict|balanced|monitor(?=(?:ing)?[ -](?:only[ -])?mode)|(?<=to )monitor\b)", re.I
)
_CLAUSE = re.compile(
    r"\s*(?:[.;!?](?=\s|$)|,\s*(?:and|then)\b|\band then\b|\band\b|\bthen\b)\s*", re.I
)
_CHANGE = re.compile(r"\b(unblock|block|ban|switch|set|change|put|turn|go|enable|return)\b", re.I)
_QUESTION = re.compile(
    r"^\W*(?:how (?!many|healthy|busy|are things)|when|why|who|explain|describe|tell me about"
    r"|should|which steps"
    r"|what (?:should|do|does|is (?:our|a|the (?:policy|procedure|process|difference))"
    r"|are (?:our|the (?:rules|signs|steps))))\b"
    r"|\b(?:polic(?:y|ies)|procedure|playbook|runbook|deadline|best practice|signs of|recommend)",
    re.I,
)
_LOOK = re.compile(
    r"\b(?:status|alerts?|report|summary|overview|happening|going on|blocked|block list|current"
    r"|health(?:y)?|traffic|how many|how busy|show|list|mode|threats?|sensors?|appliance|right now"
    r"|at the moment|most severe)\b",
    re.I,
)
_COURTESY = re.compile(
    r"^\W*(hi|hello|hey|good (morning|evening|day))\b|\b(thanks|thank you)\b", re.I
)


def clauses(text: str) -> list[tuple[str, str]]:
    """The clauses that ask for something, each with the agent whose duty it is."""
    found = [(part, _agent_of(part)) for part in _CLAUSE.split(text) if part and part.strip()]
    return [(part, agent) for part, agent in found if agent]


def agents_for(text: str, last_agent: str = "") -> list[str]:
    """The agents that a request needs, in the order of its clauses.

    Nobody for mere courtesy; what is about nothing in particular goes to who answered last.
    """
    agents = list(dict.fromkeys(agent for _part, agent in clauses(text)))
    if agents or _COURTESY.search(text):
        return agents
    return [last_agent or "rag_agent"]


def beyond(text: str, agent: str) -> str:
    """The part of a request that is not this agent's duty, in its own words."""
    return "; ".join(part.strip() for part, other in clauses(text) if other != agent)


def own(text: str, agent: str) -> str:
    """The part of a request that is this agent's duty; all of it when no clause is."""
    return "; ".join(part.strip() for part, other in clauses(text) if other == agent) or text


def mode_in(text: str) -> str:
    """The protection mode that a text names, or nothing."""
    found = MODE.search(text)
    return found.group(1).lower() if found else ""


def _agent_of(clause: str) -> str:
    if _QUESTION.search(clause):
        return "rag_agent"
    changes = _CHANGE.search(clause) is not None
    if changes and (ADDRESS.search(clause) or MODE.search(clause)):
        return "config_manager"
    return "monitor" if _LOOK.search(clause) else ""
