"""One method for each fact that an agent, or what instruments it, can report."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from opentelemetry.metrics import NoOpMeterProvider

from midwatch.config import load_settings
from midwatch.instruments.cooperation import CooperationRecording
from midwatch.instruments.facts import ModelCall
from midwatch.instruments.reconcile import By
from midwatch.instruments.recording import event_of, fact
from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.content_logs import govern_own_log_lines
from midwatch.pipeline.events import JsonLinesSink
from midwatch.pipeline.rendering import RenderReader, local_meter_provider
from midwatch.registry import events, mcp_metrics, metrics

__all__ = ["By", "ModelCall", "Recorder", "get_recorder"]

_MCP_REQUESTS = {
    "client": mcp_metrics.MCP_CLIENT_OPERATION_DURATION,
    "server": mcp_metrics.MCP_SERVER_OPERATION_DURATION,
}
_OF_A_TOOL = ("agent", "tool")
_MCP_SESSIONS = {
    "client": mcp_metrics.MCP_CLIENT_SESSION_DURATION,
    "server": mcp_metrics.MCP_SERVER_SESSION_DURATION,
}


class Recorder(CooperationRecording):
    """Records each fact once: on the metric, as an event, and on the current span.

    No method raises. `by` says who reports: the application's own calls (`hand`) or
    instrumentation; when both report one fact within a turn it is recorded once. With
    `event=False` the fact is only counted, for an application that emits its events itself.
    """

    @fact
    def route(
        self,
        selected_agent: str,
        *,
        detail: str | None = None,
        event: bool = True,
        by: By = "instrumentation",
    ) -> None:
        """A router chose an agent."""
        self._count(by, metrics.AGENT_ROUTE, selected_agent)
        if event:
            metadata = {"selected_agent": selected_agent, "detail": detail}
            self._emit(by, events.ROUTE_SELECTED, metadata)

    @fact
    def handoff(
        self,
        from_agent: str,
        to_agent: str,
        *,
        detail: str | None = None,
        event: bool = True,
        by: By = "instrumentation",
    ) -> None:
        """An agent handed over to another; a repetition within the turn is counted as a loop."""
        is_new = self._count(by, metrics.AGENT_HANDOFF, from_agent, to_agent)
        if event:
            metadata = {"from_agent": from_agent, "to_agent": to_agent, "detail": detail}
            self._emit(by, events.HANDOFF, metadata)
        turn = self._turn()
        if not is_new or turn is None:
            return
        turn.entered(from_agent)
        repeats = turn.handed_over(from_agent, to_agent)
        if repeats:
            self.handoff_loop(from_agent, to_agent, repeats=repeats, by=by)

    @fact
    def handoff_loop(
        self,
        from_agent: str,
        to_agent: str,
        *,
        repeats: int | None = None,
        by: By = "instrumentation",
    ) -> None:
        """A turn repeats a handoff; `handoff` finds that itself."""
        self._keep_trace()
        self._count(by, metrics.AGENT_HANDOFF_LOOPS, from_agent, to_agent)
        metadata = {"from_agent": from_agent, "to_agent": to_agent, "repeats": repeats}
        self._emit(by, events.HANDOFF_LOOP, metadata)

    @fact
    def tool_started(self, agent: str, tool: str, *, by: By = "instrumentation") -> None:
        """An agent calls a tool."""
        self._emit(by, events.TOOL_STARTED, {"agent": agent, "tool": tool}, on_span=False)

    @fact
    def tool_call(
        self,
        agent: str,
        tool: str,
        status: str,
        seconds: float | None,
        *,
        error: str | None = None,
        event: bool = True,
        by: By = "instrumentation",
    ) -> None:
        """A tool call ended; status is one of ok, error, denied, timeout."""
        is_new = self._count(by, metrics.AGENT_TOOL_CALLS, agent, tool, status)
        if is_new and seconds is not None:
            self._tool_latency(agent, tool, seconds, by)
        if event:
            metadata = {
                "agent": agent,
                "tool": tool,
                "status": status,
                "seconds": None if seconds is None else round(seconds, 6),
                "error": error,
            }
            self._emit(by, events.TOOL_FINISHED, metadata, on_span=False)

    @fact
    def tool_latency(
        self, agent: str, tool: str, seconds: float, *, by: By = "instrumentation"
    ) -> None:
        """How long a tool call took that is counted by itself."""
        self._tool_latency(agent, tool, seconds, by)

    def _tool_latency(self, agent: str, tool: str, seconds: float, by: By) -> None:
        turn, metric = self._turn(), metrics.AGENT_TOOL_LATENCY
        if turn is None or turn.facts.is_new(by, metric.name, _OF_A_TOOL, (agent, tool)):
            self._instruments.record(metric, seconds, agent, tool)

    @fact
    def guardrail(
        self,
        gate: str,
        decision: str,
        reason: str,
        *,
        detail: str | None = None,
        event: bool = True,
        inferred: bool = False,
        by: By = "instrumentation",
    ) -> None:
        """A guardrail decided; decision is one of allow, deny, escalate, redact.

        What is `inferred` from a graph gives way to what the application says of the same gate.
        """
        if decision == "deny":
            self._keep_trace()
        known_by = ("gate",) if inferred else None
        self._count(by, metrics.AGENT_GUARDRAIL, gate, decision, reason, known_by=known_by)
        if event:
            metadata = {"gate": gate, "decision": decision, "reason": reason, "detail": detail}
            self._emit(by, events.GUARDRAIL_DECIDED, metadata, known_by=known_by)

    @fact
    def selfrag_retrieved(
        self, documents: int, *, attempt: int = 1, by: By = "instrumentation"
    ) -> None:
        """Self-RAG retrieved documents."""
        metadata = {"documents": documents, "attempt": attempt}
        self._emit(by, events.SELFRAG_RETRIEVED, metadata)

    @fact
    def selfrag_graded(
        self, documents: int, relevant: int, *, attempt: int = 1, by: By = "instrumentation"
    ) -> None:
        """Self-RAG graded what it retrieved."""
        metadata = {"documents": documents, "relevant": relevant, "attempt": attempt}
        self._emit(by, events.SELFRAG_GRADED, metadata)

    @fact
    def selfrag_decision(
        self,
        decision: str,
        reason: str,
        *,
        attempt: int | None = None,
        event: bool = True,
        inferred: bool = False,
        by: By = "instrumentation",
    ) -> None:
        """Self-RAG decided, usually one of final, retry, escalate.

        What is `inferred` from a graph gives way to what the application says itself.
        """
        known_by = () if inferred else None
        self._count(by, metrics.AGENT_SELFRAG_DECISION, decision, reason, known_by=known_by)
        if event:
            metadata = {"decision": decision, "reason": reason, "attempt": attempt}
            self._emit(by, events.SELFRAG_DECIDED, metadata, known_by=known_by)

    @fact
    def invocation(
        self, agent: str, status: str, seconds: float, *, by: By = "instrumentation"
    ) -> None:
        """An agent's run ended; status is one of ok, error, interrupted, cancelled."""
        turn = self._turn()
        if not self._count_in(turn, by, metrics.AGENT_INVOCATIONS, (agent, status)):
            return
        self._instruments.put(metrics.AGENT_INVOCATION_LATENCY, seconds, (agent,))
        if turn is not None:
            turn.entered(agent)
            turn.stepped()

    @fact
    def mcp_request(
        self, side: str, method: str, tool: str, error_type: str, seconds: float
    ) -> None:
        """A request over the Model Context Protocol ended, at its `client` or `server` side."""
        metric = _MCP_REQUESTS["server" if side == "server" else "client"]
        self._instruments.record(metric, seconds, method, tool, error_type)

    @fact
    def mcp_session(self, side: str, error_type: str, seconds: float) -> None:
        """A session over the Model Context Protocol ended, at its `client` or `server` side."""
        metric = _MCP_SESSIONS["server" if side == "server" else "client"]
        self._instruments.record(metric, seconds, error_type)

    @fact
    def event(
        self,
        name: str,
        metadata: Mapping[str, object] | None = None,
        *,
        trace_id: str | None = None,
        session_id: str | None = None,
        turn_id: str | None = None,
        by: By = "hand",
    ) -> None:
        """Any event, of the registry or the application's own, with the ids the application has."""
        ids = {"trace_id": trace_id, "session_id": session_id, "turn_id": turn_id}
        given = {name: str(value) for name, value in ids.items() if value is not None}
        event, turn = event_of(name), self._turn()
        if turn is not None:
            turn.adopt(given.get("session_id", ""), given.get("turn_id", ""))
        if not self._private and self._told_of_turn(turn, event, (metadata or {}, given)):
            return
        self._emit(by, event, metadata or {}, ids=given)


_recorder_lock = threading.Lock()
_recorder: Recorder | None = None


def get_recorder() -> Recorder:
    """The recorder of this process.

    Before `midwatch.init()` it records on a meter provider of its own, so that `/metrics` and JSON
    lines work without any set-up; afterwards on the one that exports.
    """
    global _recorder
    if _recorder is None:
        with _recorder_lock:
            if _recorder is None:
                _recorder = _local_recorder()
    return _recorder


def _local_recorder() -> Recorder:
    settings = load_settings()
    if not settings.enabled:
        return Recorder(NoOpMeterProvider(), service=settings.service_name, enabled=False)
    reader = RenderReader()
    path = settings.trace_jsonl_path
    recorder = Recorder(
        local_meter_provider(reader),
        [JsonLinesSink(path)] if path else [],
        service=settings.service_name,
        reader=reader,
    )
    recorder.content = ContentPolicy.from_settings(settings)
    govern_own_log_lines(recorder.content)
    return recorder
