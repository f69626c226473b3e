"""One turn of a conversation, and the command line's way to ask for it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import cast
from uuid import uuid4

import structlog
import typer
from langchain_core.runnables import RunnableConfig
from opentelemetry import trace

from security_agent.assistant import graph
from security_agent.assistant.failures import failure_of
from security_agent.assistant.state import Context, TurnState
from security_agent.config import AppConfig

_ENTRY_AGENT = "supervisor"
_REMEMBERED_TURNS = 20
_logger = structlog.stdlib.get_logger("security_agent.turn")


@dataclass(frozen=True)
class TurnResult:
    """What came of a turn."""

    answer: str
    outcome: str
    agent: str
    route: tuple[str, ...]
    citations: tuple[str, ...]
    pending_action: dict[str, object] | None


def run_turn(user_input: str, context: Context, *, confirm: bool | None = None) -> TurnResult:
    """Answer one message of a session.

    Args:
        user_input: What the person said.
        context: The session's memory, changed in place: gets `session_id` when it has none, a
            `trace_id` of its own for each turn, and the next `turn_id`.
        confirm: The person's word on a waiting change, when it was given apart from the message.

    Raises:
        TurnFailedError: the turn can't be answered.
    """
    _stamp(context)
    started = time.monotonic()
    graph.emit("turn.started", context, entry_agent=_ENTRY_AGENT)
    state: TurnState = {
        "user_input": user_input,
        "context": {**context, "confirm": confirm},
        "deadline": started + AppConfig().limits.turn_seconds,
    }
    outcome = "error"
    try:
        limits = AppConfig().limits
        config: RunnableConfig = {"recursion_limit": 2 * limits.handoffs + 10}
        ended = cast(TurnState, graph.build_graph().invoke(state, config))
        outcome = "ok"
    except Exception as error:
        failure = failure_of(error)
        _logger.warning("turn.failed", code=failure.code, exc_info=failure.status == 500)
        raise failure from error
    finally:
        seconds = time.monotonic() - started
        graph.TELEMETRY.observe_turn(seconds, entry_agent=_ENTRY_AGENT, outcome=outcome)
        graph.emit(
            "turn.finished", context, entry_agent=_ENTRY_AGENT, outcome=outcome, seconds=seconds
        )
    context["pending_action"] = ended["context"].get("pending_action")
    _remember(context, ended)
    return _result(ended, context)


def _stamp(context: Context) -> None:
    context.setdefault("session_id", uuid4().hex)
    context["turn_id"] = str(int(context.get("turn_id", 0)) + 1)
    span = trace.get_current_span().get_span_context()
    context["trace_id"] = (
        trace.format_trace_id(span.trace_id) if span.is_valid else secrets.token_hex(16)
    )


def _remember(context: Context, ended: TurnState) -> None:
    turn = {
        "turn_id": context["turn_id"],
        "trace_id": context["trace_id"],
        "message": ended["user_input"],
        "agent": (ended.get("route") or [_ENTRY_AGENT])[-1],
        "answer": ended["answer"],
        "outcome": ended.get("outcome", "answered"),
    }
    context["turns"] = [*context.get("turns", []), turn][-_REMEMBERED_TURNS:]


def _result(ended: TurnState, context: Context) -> TurnResult:
    route = tuple(ended.get("route", []))
    return TurnResult(
        answer=ended["answer"],
        outcome=ended.get("outcome", "answered"),
        agent=route[-1] if route else _ENTRY_AGENT,
        route=route,
        citations=tuple(ended.get("citations", [])),
        pending_action=context["pending_action"],
    )


def chat(message: str, confirm: bool | None = None) -> None:
    """Ask one question and print the answer; a change asks for confirmation in the terminal.

    Raises:
        TurnFailedError: the question can't be answered.
    """
    context: Context = {}
    result = run_turn(message, context)
    if result.pending_action is not None:
        typer.echo(result.answer)
        agreed = typer.confirm("Confirm?") if confirm is None else confirm
        result = run_turn(message, context, confirm=agreed)
    typer.echo(result.answer)
    for citation in result.citations:
        typer.echo(f"  [{citation}]")
