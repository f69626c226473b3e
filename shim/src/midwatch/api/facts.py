"""Facts without a duration that only the application's code knows. None of them raises."""

from __future__ import annotations

from collections.abc import Mapping

from midwatch.api import arguments
from midwatch.api.tallies import TALLIES
from midwatch.instruments.agent_context import current_agent
from midwatch.instruments.recorder import get_recorder


def route(selected_agent: str, *, detail: str | None = None) -> None:
    """A router chose an agent.

    Args:
        selected_agent: the agent.
        detail: why, in words.
    """
    get_recorder().route(
        arguments.name(selected_agent), detail=arguments.optional_text(detail), by="hand"
    )


def handoff(from_agent: str, to_agent: str, *, detail: str | None = None) -> None:
    """An agent handed over to another; a loop within the turn is found and counted.

    Args:
        from_agent: who hands over.
        to_agent: who takes over.
        detail: why, in words.
    """
    get_recorder().handoff(
        arguments.name(from_agent),
        arguments.name(to_agent),
        detail=arguments.optional_text(detail),
        by="hand",
    )


def decision(
    agent: str,
    decision: str,
    confidence: float | None = None,
    *,
    correct: bool | None = None,
    detail: str | None = None,
) -> None:
    """An agent decided.

    Args:
        agent: who decided.
        decision: what, as a short code such as `reorder`.
        confidence: how sure it was, from 0 to 1.
        correct: whether the decision has proved right, if that is known.
        detail: why, in words.
    """
    sure = arguments.number(confidence)
    recorder = get_recorder()
    if recorder.enabled and isinstance(correct, bool):
        TALLIES.decided(arguments.name(agent), correct)
    recorder.decision(
        arguments.name(agent),
        arguments.name(decision),
        None if sure is None else min(max(sure, 0.0), 1.0),
        correct=correct if isinstance(correct, bool) else None,
        detail=arguments.optional_text(detail),
        by="hand",
    )


def message(from_agent: str, to_agent: str) -> None:
    """An agent sent another a message.

    Args:
        from_agent: who speaks.
        to_agent: who listens.
    """
    get_recorder().message(arguments.name(from_agent), arguments.name(to_agent), by="hand")


def state_change(from_state: str, to_state: str, *, agent: str = "") -> None:
    """The state of a session or of an agent changed.

    Args:
        from_state: the state before.
        to_state: the state after.
        agent: whose state it is; by default that of the agent that acts here.
    """
    get_recorder().state_change(
        arguments.name(agent) or current_agent() or "session",
        arguments.name(from_state),
        arguments.name(to_state),
        by="hand",
    )


def outcome(outcome: str, success: bool = True) -> None:
    """The session reached a business outcome.

    Args:
        outcome: which, as a short code such as `qualified`.
        success: whether it is the wished one.
    """
    get_recorder().outcome(arguments.name(outcome), success is True, by="hand")


def event(name: str, metadata: Mapping[str, object] | None = None) -> None:
    """Anything else worth a line, under the application's own name.

    Args:
        name: the event, such as `cache.refreshed`.
        metadata: what there is to say about it.
    """
    get_recorder().event(arguments.name(name, "event"), arguments.mapping(metadata), by="hand")
