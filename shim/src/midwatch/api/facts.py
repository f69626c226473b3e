"""Facts without a duration that only the application's code knows. None of them raises."""

from __future__ import annotations

from collections.abc import Mapping

from midwatch.instruments.recorder import get_recorder


def route(selected_agent: str, *, detail: str | None = None) -> None:
    """A router chose an agent."""
    get_recorder().route(selected_agent, detail=detail, by="hand")


def handoff(from_agent: str, to_agent: str, *, detail: str | None = None) -> None:
    """An agent handed over to another; a loop within the turn is found and counted."""
    get_recorder().handoff(from_agent, to_agent, detail=detail, by="hand")


def guardrail(gate: str, decision: str, reason: str, *, detail: str | None = None) -> None:
    """A guardrail decided allow, deny, escalate or redact."""
    get_recorder().guardrail(gate, decision, reason, detail=detail, by="hand")


def selfrag_decision(decision: str, reason: str, *, attempt: int | None = None) -> None:
    """Self-RAG decided, usually final, retry or escalate."""
    get_recorder().selfrag_decision(decision, reason, attempt=attempt, by="hand")


def event(name: str, metadata: Mapping[str, object] | None = None) -> None:
    """Anything else worth a line, under the application's own name."""
    get_recorder().event(name, metadata, by="hand")
