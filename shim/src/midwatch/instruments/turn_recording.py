"""The facts about whole turns and about the service."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import trace

from midwatch.instruments.reconcile import By
from midwatch.instruments.recording import Recording, fact
from midwatch.instruments.turn_state import (
    TOLD_START,
    ToldStart,
    Turn,
    finished_turn,
    take_told_start,
)
from midwatch.pipeline.clock import perf_counter
from midwatch.registry import Event, attributes, events, metrics, own_metrics

_UNKNOWN = "unknown"

Told = tuple[Mapping[str, object], Mapping[str, str]]
"""What the application tells with an event: its metadata and its ids."""


class TurnRecording(Recording):
    """Records turns, chat requests and readiness."""

    @fact
    def turn_started(self, turn: Turn) -> None:
        """A turn begins; the current span is the one that gets its attributes.

        The event is written with the turn's first other one, or by the application: only then are
        the application's own ids of the turn known.
        """
        self._instruments.add(metrics.AGENT_ACTIVE_TURNS, 1)
        turn.span = trace.get_current_span()
        turn.describe()
        told = take_told_start() if turn.by == "instrumentation" else None
        if told is not None:
            turn.announce()
            turn.adopt(told.session_id, told.turn_id)
        elif turn.by == "hand":
            self._announce(turn)

    @fact
    def turn_finished(self, turn: Turn) -> None:
        """A turn ends with what it has gathered; `outcome` defaults to `ok`."""
        seconds = perf_counter() - turn.started
        entry_agent, outcome = turn.entry_agent or _UNKNOWN, turn.outcome or "ok"
        put, entry = self._instruments.put, (entry_agent,)
        put(metrics.AGENT_ACTIVE_TURNS, -1, ())
        put(metrics.AGENT_TURNS, 1, (entry_agent, outcome))
        put(metrics.AGENT_TURN_STEPS, turn.steps, entry)
        put(metrics.AGENT_TURN_LLM_CALLS, turn.llm_calls, entry)
        put(metrics.AGENT_TURN_COST_USD, float(turn.cost_usd), entry)
        if turn.facts.is_new("instrumentation", metrics.AGENT_TURN_LATENCY.name):
            put(metrics.AGENT_TURN_LATENCY, seconds, ())
        _describe(turn, entry_agent, outcome)
        metadata = {
            **turn.told,
            "entry_agent": entry_agent,
            "outcome": outcome,
            "seconds": round(seconds, 6),
            "steps": turn.steps,
            "llm_calls": turn.llm_calls,
            "cost": turn.cost_usd,
            "error": turn.error or None,
        }
        self._announce(turn)
        ids = {"session_id": turn.session_id, "turn_id": turn.turn_id}
        self._emit(turn.by, events.TURN_FINISHED, metadata, on_span=False, ids=ids)
        put(own_metrics.TURN_OVERHEAD, turn.overhead_seconds, ())
        self.sampling.turn_ended(turn.overhead_seconds, seconds)
        if outcome == "error":
            self.sampling.keep(turn.span.get_span_context())

    @fact
    def turn_observed(
        self, seconds: float, *, entry_agent: str = _UNKNOWN, outcome: str = "ok", by: By = "hand"
    ) -> None:
        """The application measured a turn itself.

        Within a turn that is recorded anyway only the latency is taken, in place of the turn's own;
        the first report just after such a turn is of that turn; otherwise the turn is counted.
        """
        turn = None if self._private else self._turn() or finished_turn()
        if turn is not None and not turn.facts.is_new(by, metrics.AGENT_TURN_LATENCY.name):
            return
        self._instruments.record(metrics.AGENT_TURN_LATENCY, seconds)
        if self._turn() is None:
            self._instruments.add(metrics.AGENT_TURNS, 1, entry_agent, outcome)

    def _told_of_turn(self, turn: Turn | None, event: Event, told: Told) -> bool:
        """Take in what the application says about a turn; false if it is an event of its own.

        A turn has one beginning and one end, however many report them.
        """
        metadata, ids = told
        if event is events.TURN_STARTED and turn is None:
            TOLD_START.set(ToldStart(ids.get("session_id", ""), ids.get("turn_id", "")))
            return False
        if event is events.TURN_STARTED and turn is not None:
            self._announce(turn, metadata)
            return True
        if event is events.TURN_FINISHED and turn is not None:
            turn.told.update(metadata)
            turn.outcome = turn.outcome or str(metadata.get("outcome") or "")
            return True
        return event is events.TURN_FINISHED and finished_turn() is not None

    @fact
    def chat_request(self, *, failed: bool) -> None:
        """A request to a chat route was answered, or failed."""
        self._instruments.add(own_metrics.CHAT_REQUESTS, 1)
        self._instruments.add(own_metrics.CHAT_FAILURES, 1 if failed else 0)

    @fact
    def ready(self, is_ready: bool) -> None:
        """The readiness route answered."""
        self._instruments.set(own_metrics.SERVICE_READY, 1 if is_ready else 0)


def _describe(turn: Turn, entry_agent: str, outcome: str) -> None:
    """Write on the turn's span what only its end knows."""
    if not turn.span.is_recording():
        return
    turn.span.set_attributes(
        {
            attributes.TURN_ENTRY_AGENT.name: entry_agent,
            attributes.TURN_OUTCOME_SPAN.name: outcome,
            attributes.TURN_STEPS.name: turn.steps,
            attributes.TURN_LLM_CALLS.name: turn.llm_calls,
            attributes.TURN_COST_USD.name: float(turn.cost_usd),
        }
    )
