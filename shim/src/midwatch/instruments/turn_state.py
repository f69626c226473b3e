"""The turn that runs: who it belongs to and what has happened in it so far."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal

from opentelemetry.context import create_key
from opentelemetry.trace import INVALID_SPAN, Span

from midwatch.instruments.reconcile import By, Reconciler
from midwatch.pipeline.clock import perf_counter, time_ns, token_hex
from midwatch.pipeline.present import present_context
from midwatch.registry import attributes

NEARBY_SECONDS = 5.0
"""What the application says this long before or after a turn is about that turn."""

LOOP_REPEATS = 3
"""The same handoff this often in one turn is a loop."""


@dataclass(eq=False)
class Turn:
    """One turn of a conversation, from the user's message to the answer.

    `outcome` is decided when the turn ends unless it is set before. `closing` is called then.
    `announced` says that the beginning of the turn is written.
    """

    session_id: str = ""
    turn_id: str = field(default_factory=lambda: token_hex(8))
    entry_agent: str = ""
    by: By = "instrumentation"
    outcome: str = ""
    error: str = ""
    steps: int = 0
    llm_calls: int = 0
    cost_usd: Decimal = Decimal(0)
    overhead_seconds: float = 0.0
    started: float = field(default_factory=perf_counter)
    ended: float | None = None
    span: Span = INVALID_SPAN
    facts: Reconciler = field(default_factory=Reconciler)
    began_ns: int = field(default_factory=time_ns)
    told: dict[str, object] = field(default_factory=dict)
    closing: list[Callable[[], None]] = field(default_factory=list)
    announced: bool = False
    _handoffs: dict[tuple[str, str], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def announce(self) -> bool:
        """Whether the beginning of the turn is still to be written; true once."""
        with self._lock:
            announced, self.announced = self.announced, True
        return not announced

    def adopt(self, session_id: str, turn_id: str) -> None:
        """Take over the application's own ids: they go before those that were made up."""
        if turn_id and self.by == "instrumentation":
            self.turn_id = turn_id
        self.session_id = self.session_id or session_id
        self.describe()

    def describe(self) -> None:
        """Write the ids on the turn's span."""
        if not self.span.is_recording():
            return
        self.span.set_attribute(attributes.TURN_ID.name, self.turn_id)
        if self.session_id:
            self.span.set_attribute(attributes.SESSION_ID.name, self.session_id)
            self.span.set_attribute(attributes.CONVERSATION_ID.name, self.session_id)

    def entered(self, agent: str) -> None:
        """Note an agent that begins to work; the first is the turn's entry agent."""
        if not self.entry_agent:
            self.entry_agent = agent

    def stepped(self) -> None:
        """Count one agent invocation."""
        with self._lock:
            self.steps += 1

    def called_model(self, cost_usd: Decimal | None) -> None:
        """Count one model call and its cost, if that is known."""
        with self._lock:
            self.llm_calls += 1
            self.cost_usd += cost_usd or Decimal(0)

    def handed_over(self, from_agent: str, to_agent: str) -> int:
        """Note a handoff; returns how often the turn has made it when that is a loop, else 0."""
        way = (from_agent, to_agent)
        with self._lock:
            repeats = self._handoffs[way] = self._handoffs.get(way, 0) + 1
        return repeats if repeats >= LOOP_REPEATS else 0


CURRENT_TURN: ContextVar[Turn | None] = ContextVar("midwatch_turn", default=None)
FINISHED_TURN: ContextVar[Turn | None] = ContextVar("midwatch_finished_turn", default=None)


@dataclass(frozen=True)
class ToldStart:
    """The application said that a turn begins before instrumentation saw one."""

    session_id: str
    turn_id: str
    at: float = field(default_factory=perf_counter)


TOLD_START: ContextVar[ToldStart | None] = ContextVar("midwatch_told_start", default=None)

TURN_KEY = create_key("midwatch-turn")
"""Carries the turn in the OpenTelemetry context, which instrumentation takes across threads."""


def current_turn() -> Turn | None:
    """The turn that runs in this context, if any."""
    turn = CURRENT_TURN.get()
    if turn is not None:
        return turn
    carried = present_context().get(TURN_KEY)
    return carried if isinstance(carried, Turn) and carried.ended is None else None


def finished_turn() -> Turn | None:
    """The turn that ended a moment ago in this context: the application may still report on it."""
    turn = FINISHED_TURN.get()
    if turn is None or turn.ended is None:
        return None
    return turn if perf_counter() - turn.ended < NEARBY_SECONDS else None


def take_told_start() -> ToldStart | None:
    """What the application said a moment ago about the turn that begins now; once."""
    told = TOLD_START.get()
    if told is None:
        return None
    TOLD_START.set(None)
    return told if perf_counter() - told.at < NEARBY_SECONDS else None
