"""Reading the dicts that applications hand to S5's tracers: several names may mean one thing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from midwatch.api import arguments

_FAILED = frozenset({"error", "failed", "failure", "cancelled", "rejected"})

_AGENT = ("agent_id", "agent", "name")
_FROM = ("from_agent", "sender", "source", "from", "agent_id")
_TO = ("to_agent", "receiver", "recipient", "target", "to")
_PARTICIPANTS = ("participating_agents", "participants", "agents")


def first(told: Mapping[str, Any], *names: str) -> Any:
    """The value of the first of the names that has one."""
    return next((told[name] for name in names if told.get(name) not in (None, "")), None)


def name_in(told: Mapping[str, Any], *names: str) -> str:
    """The same as a short text."""
    return arguments.name(first(told, *names))


def agent_in(told: Mapping[str, Any]) -> str:
    """The agent that it is about."""
    return name_in(told, *_AGENT)


def parties_in(told: Mapping[str, Any]) -> tuple[str, str]:
    """Who speaks and who listens."""
    return name_in(told, *_FROM) or "unknown", name_in(told, *_TO) or "unknown"


def participants_in(told: Mapping[str, Any]) -> list[str]:
    """The agents that take part."""
    return arguments.names(first(told, *_PARTICIPANTS))


def succeeded(told: Mapping[str, Any]) -> bool:
    """Whether an outcome tells of a success: what says nothing about it does."""
    success = told.get("success")
    if isinstance(success, bool):
        return success
    return not told.get("error") and name_in(told, "status", "outcome").lower() not in _FAILED


def each(told: object) -> Iterable[dict[str, Any]]:
    """The dicts in a list, made safe; one alone is a list of one."""
    if isinstance(told, Mapping):
        told = [told]
    if not isinstance(told, list | tuple):
        return []
    return [arguments.mapping(one) for one in told[:1000]]
