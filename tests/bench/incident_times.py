"""How long each incident may take until its alerts are told, and until they are told to be over."""

from __future__ import annotations

from stack.demo.run import PAGE_SECONDS

# Longest of most: sums that are stale for ten minutes, on a machine that is busy.
MESSAGE_SECONDS = 900.0
# Longest of most: a window of a quarter of an hour, then the group's interval.
OVER_SECONDS = 1020.0

_MINUTE = 60.0
# By incident. What is learned from minutes, what must be silent for half an hour.
_MESSAGE = {
    "budget-will-not-last": 20 * _MINUTE,
    "failing-turns": 30 * _MINUTE,
    "people-away": 20 * _MINUTE,
    "simulation-unasked": 42 * _MINUTE,
    "unlike-other-days": 35 * _MINUTE,
}
_OVER = {
    # Half an hour of what became of people's matters is looked at.
    "unhappy-people": 35 * _MINUTE,
    # Shares of an hour.
    "unlike-other-days": 70 * _MINUTE,
}
LONG = frozenset({*_MESSAGE, *_OVER})
"""The incidents that take longer than most."""

# How long a budget's hour or day may have to be waited for.
START_SECONDS = 45 * _MINUTE
# Critical, but not within seconds: a seventh of an hour's turns must fail, and it holds for two
# minutes; nothing must be stored for a minute, and a minute later still nothing.
_PROMISED = {"AgentErrorBudgetBurn": 20 * _MINUTE, "PrometheusStorageFailing": 3 * _MINUTE}


def message_seconds(incident: str) -> float:
    """How long an incident may last until all its alerts are told."""
    return _MESSAGE.get(incident, MESSAGE_SECONDS)


def over_seconds(incident: str) -> float:
    """How long after its end its alerts may take to be told to be over."""
    return _OVER.get(incident, OVER_SECONDS)


def promised_seconds(alert: str) -> float:
    """By when a critical alert must be everywhere, in seconds since the fault."""
    return _PROMISED.get(alert, PAGE_SECONDS)
