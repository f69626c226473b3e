"""`AgentTelemetry`: what applications call by hand, on the same instruments as everything else."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from midwatch.api.arguments import flag, mapping, name
from midwatch.api.arguments import seconds as as_seconds
from midwatch.config import Settings, load_settings
from midwatch.instruments.exposition import note_rendering
from midwatch.instruments.recorder import Recorder, get_recorder
from midwatch.pipeline.events import JsonLinesSink
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.rendering import (
    OWN_PREFIXES,
    RenderReader,
    join_families,
    local_meter_provider,
)


class AgentTelemetry:
    """Counts what agents do, emits events, and renders both for `/metrics` and a JSON-lines file.

    One made by hand renders its own numbers only; what it is told is exported with the process's
    telemetry all the same. `get_agent_telemetry()` gives the one that renders the whole process.
    No method raises.

    Args:
        namespace: the prefix of the rendered names; by default that of `AGENT_METRICS_NAMESPACE`.
        trace_jsonl_path: the file that gets the events of this object; by default none.
        enabled: false turns every method into nothing; by default `AGENT_OBSERVABILITY_ENABLED`.
    """

    def __init__(
        self,
        namespace: str | None = None,
        trace_jsonl_path: str | os.PathLike[str] | None = None,
        enabled: bool | None = None,
    ) -> None:
        settings = load_settings()
        self.namespace = settings.metrics_namespace if namespace is None else name(namespace)
        self.enabled = settings.enabled if enabled is None else flag(enabled)
        self._rendered: Recorder | None = None
        self._recorders: tuple[Recorder, ...] = ()
        if self.enabled:
            reader = RenderReader()
            self._rendered = Recorder(
                local_meter_provider(reader),
                _sinks(trace_jsonl_path, settings),
                service=settings.service_name,
                private=True,
                reader=reader,
            )
            self._recorders = (self._rendered, get_recorder())

    def inc_route(self, selected_agent: str) -> None:
        """A router chose an agent."""
        for recorder in self._recorders:
            recorder.route(name(selected_agent), event=False, by="hand")

    def inc_handoff(self, from_agent: str, to_agent: str) -> None:
        """An agent handed over to another."""
        for recorder in self._recorders:
            recorder.handoff(name(from_agent), name(to_agent), event=False, by="hand")

    def observe_tool_call(self, agent: str, tool: str, status: str, seconds: float) -> None:
        """A tool call ended with status ok, error, denied or timeout."""
        for recorder in self._recorders:
            recorder.tool_call(
                name(agent), name(tool), name(status), as_seconds(seconds), event=False, by="hand"
            )

    def inc_guardrail(self, gate: str, decision: str, reason: str) -> None:
        """A guardrail decided allow, deny, escalate or redact."""
        for recorder in self._recorders:
            recorder.guardrail(name(gate), name(decision), name(reason), event=False, by="hand")

    def inc_selfrag_decision(self, decision: str, reason: str) -> None:
        """Self-RAG decided, usually final, retry or escalate."""
        for recorder in self._recorders:
            recorder.selfrag_decision(name(decision), name(reason), event=False, by="hand")

    def observe_turn(
        self, seconds: float, *, entry_agent: str = "unknown", outcome: str = "ok"
    ) -> None:
        """A turn ended."""
        took = as_seconds(seconds)
        if took is None:
            return
        for recorder in self._recorders:
            recorder.turn_observed(
                took, entry_agent=name(entry_agent), outcome=name(outcome), by="hand"
            )

    def emit_event(
        self,
        event: str,
        trace_id: str | None = None,
        session_id: str | None = None,
        turn_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Write an event; ids that are not given are those of the current turn and span."""
        if not self.enabled:
            return
        told = mapping(metadata)
        for recorder in self._recorders:
            recorder.event(
                name(event, "event"),
                told,
                trace_id=None if trace_id is None else name(trace_id),
                session_id=None if session_id is None else name(session_id),
                turn_id=None if turn_id is None else name(turn_id),
                by="hand",
            )

    def render_prometheus(self) -> str:
        """The metrics as Prometheus text, names prefixed with the namespace."""
        note_rendering()
        if not self.enabled or self._rendered is None:
            return ""
        return join_families(self._rendered.families(self.namespace, OWN_PREFIXES))


class ProcessTelemetry(AgentTelemetry):
    """The telemetry of the whole process: one recorder both records and renders."""

    def __init__(self) -> None:
        settings = load_settings()
        self.namespace = settings.metrics_namespace
        self.enabled = settings.enabled
        self._rendered = get_recorder()
        self._recorders = (self._rendered,)


def _sinks(path: str | os.PathLike[str] | None, settings: Settings) -> list[JsonLinesSink]:
    """The object's own file, unless the process writes to the same one."""
    if path is None or (isinstance(path, str) and not path):
        return []
    try:
        sink = JsonLinesSink(path)
    except Exception as error:
        FAILURES.note("api.agenttelemetry", error)
        return []
    return [] if settings.enabled and sink.path == settings.trace_jsonl_path else [sink]


_lock = threading.Lock()
_process_telemetry: AgentTelemetry | None = None


def get_agent_telemetry() -> AgentTelemetry:
    """The telemetry of the whole process, on the shared instruments."""
    global _process_telemetry
    with _lock:
        if _process_telemetry is None:
            _process_telemetry = ProcessTelemetry()
        return _process_telemetry
