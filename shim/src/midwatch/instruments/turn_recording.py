"""The facts about whole turns and about the service."""

from __future__ import annotations

from time import perf_counter

from opentelemetry import trace

from midwatch.instruments.reconcile import By
from midwatch.instruments.recording import Recording, fact
from midwatch.instruments.turn_state import FINISHED_TURN, Turn
from midwatch.registry import attributes, events, metrics, own_metrics

_OBSERVED_AFTER_SECONDS = 5.0
_UNKNOWN = "unknown"


class TurnRecording(Recording):
    """Records turns, chat requests and readiness."""

    @fact
    def turn_started(self, turn: Turn) -> None:
        """A turn begins; the current span is the one that gets its attributes."""
        self._instruments.add(metrics.AGENT_ACTIVE_TURNS, 1)
        turn.span = trace.get_current_span()
        if turn.span.is_recording():
            turn.span.set_attribute(attributes.TURN_ID.name, turn.turn_id)
            if turn.session_id:
                turn.span.set_attribute(attributes.SESSION_ID.name, turn.session_id)
                turn.span.set_attribute(attributes.CONVERSATION_ID.name, turn.session_id)
        self._emit(turn.by, events.TURN_STARTED, {}, on_span=False, ids=_ids(turn))

    @fact
    def turn_finished(self, turn: Turn) -> None:
        """A turn ends with what it has gathered; `outcome` defaults to `ok`."""
        seconds = perf_counter() - turn.started
        entry_agent, outcome = turn.entry_agent or _UNKNOWN, turn.outcome or "ok"
        instruments = self._instruments
        instruments.add(metrics.AGENT_ACTIVE_TURNS, -1)
        instruments.add(metrics.AGENT_TURNS, 1, entry_agent, outcome)
        instruments.record(metrics.AGENT_TURN_STEPS, turn.steps, entry_agent)
        instruments.record(metrics.AGENT_TURN_LLM_CALLS, turn.llm_calls, entry_agent)
        instruments.record(metrics.AGENT_TURN_COST_USD, float(turn.cost_usd), entry_agent)
        if turn.facts.is_new("instrumentation", metrics.AGENT_TURN_LATENCY.name, {}):
            instruments.record(metrics.AGENT_TURN_LATENCY, seconds)
        _describe(turn, entry_agent, outcome)
        metadata = {
            "entry_agent": entry_agent,
            "outcome": outcome,
            "seconds": round(seconds, 6),
            "steps": turn.steps,
            "llm_calls": turn.llm_calls,
            "cost": turn.cost_usd,
            "error": turn.error or None,
        }
        self._emit(turn.by, events.TURN_FINISHED, metadata, on_span=False, ids=_ids(turn))
        instruments.record(own_metrics.TURN_OVERHEAD, turn.overhead_seconds)

    @fact
    def turn_observed(
        self, seconds: float, *, entry_agent: str = _UNKNOWN, outcome: str = "ok", by: By = "hand"
    ) -> None:
        """The application measured a turn itself.

        Within a turn that is recorded anyway only the latency is taken, in place of the turn's own;
        the first report just after such a turn is of that turn; otherwise the turn is counted.
        """
        turn = None if self._private else self._turn() or _just_finished()
        if turn is not None and not turn.facts.is_new(by, metrics.AGENT_TURN_LATENCY.name, {}):
            return
        self._instruments.record(metrics.AGENT_TURN_LATENCY, seconds)
        if self._turn() is None:
            self._instruments.add(metrics.AGENT_TURNS, 1, entry_agent, outcome)

    @fact
    def chat_request(self, *, failed: bool) -> None:
        """A request to a chat route was answered, or failed."""
        self._instruments.add(own_metrics.CHAT_REQUESTS, 1)
        self._instruments.add(own_metrics.CHAT_FAILURES, 1 if failed else 0)

    @fact
    def ready(self, is_ready: bool) -> None:
        """The readiness route answered."""
        self._instruments.set(own_metrics.SERVICE_READY, 1 if is_ready else 0)


def _just_finished() -> Turn | None:
    """The turn that ended a moment ago in this context: the application may still report on it."""
    turn = FINISHED_TURN.get()
    if turn is None or turn.ended is None:
        return None
    return turn if perf_counter() - turn.ended < _OBSERVED_AFTER_SECONDS else None


def _ids(turn: Turn) -> dict[str, str]:
    return {"session_id": turn.session_id, "turn_id": turn.turn_id}


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
