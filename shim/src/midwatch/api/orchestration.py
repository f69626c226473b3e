"""`OrchestrationTracer`, an interface of S5 (simulation tracing): agents that work together."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import context

from midwatch.api import arguments, told
from midwatch.api.ambient import Ambient
from midwatch.api.joint_work import UNRESOLVED, CollaborationScope, conflict
from midwatch.api.safely import safely
from midwatch.api.simulation import MAX_KEPT, MAX_OPEN
from midwatch.api.simulation_records import CollaborationSpan
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.turn_state import current_turn
from midwatch.instruments.turns import quiet_detach
from midwatch.pipeline.clock import token_hex

_ABANDONED = "abandoned"
_MOST_MESSAGES = 100


@dataclass(eq=False)
class _OpenWork:
    scope: CollaborationScope
    record: CollaborationSpan
    context: context.Context = field(default_factory=context.Context)
    ambient: Ambient = field(default_factory=Ambient)


class OrchestrationTracer:
    """Tells how an orchestrator coordinates agents and settles their conflicts.

    Work that nobody ends has ended when its turn ends. `collaborations` has the latest that ended.

    Args:
        workflow_type: the kind of work that does not say of which kind it is.
    """

    def __init__(self, workflow_type: str = "workflow") -> None:
        self._type = arguments.name(workflow_type, "workflow")
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _OpenWork] = OrderedDict()
        self.collaborations: deque[CollaborationSpan] = deque(maxlen=MAX_KEPT)

    def trace_workflow_start(
        self,
        workflow_id: str,
        participating_agents: Sequence[str],
        *,
        workflow_type: str | None = None,
    ) -> str:
        """Agents begin to work together; returns the id of their coordination.

        What follows in this context belongs to it until its end.

        Args:
            workflow_id: the application's id of the work.
            participating_agents: the agents.
            workflow_type: the kind of work, such as `markdown`.
        """
        coordination_id = token_hex(8)
        self._begin(coordination_id, workflow_id, participating_agents, workflow_type)
        return coordination_id

    @safely
    def trace_agent_coordination(
        self, coordination_id: str, messages: list[Mapping[str, Any]]
    ) -> None:
        """Agents sent each other messages.

        Args:
            coordination_id: what `trace_workflow_start` gave.
            messages: of each `from_agent` and `to_agent` (or `sender` and `receiver`) are read.
        """
        work = self._find(coordination_id)
        with _inside(work):
            for message in told.each(messages):
                get_recorder().message(*told.parties_in(message), by="hand")
                if len(work.record.coordination_messages) < _MOST_MESSAGES:
                    work.record.coordination_messages.append(message)

    @safely
    def trace_conflict_resolution(self, conflict_data: Mapping[str, Any]) -> None:
        """A conflict between agents was settled, or was not.

        Args:
            conflict_data: `conflict_type`, `resolution` (without it the conflict is unresolved) and
                `agents` are read, and `coordination_id` if it belongs to other work than what is
                going on here.
        """
        data = arguments.mapping(conflict_data)
        work = self._open_of(told.name_in(data, "coordination_id")) or self._innermost()
        told_now = told.name_in(data, "resolution", "resolution_outcome", "strategy")
        kind = told.name_in(data, "conflict_type", "type") or "unknown"
        with _inside(work):
            conflict(kind, told_now or UNRESOLVED, participants=told.participants_in(data))
        if work is not None and len(work.record.conflicts_detected) < _MOST_MESSAGES:
            work.record.conflicts_detected.append(data)

    @safely
    def trace_workflow_end(
        self,
        coordination_id: str,
        outcome: str = "ok",
        resolution_outcome: Mapping[str, Any] | None = None,
    ) -> None:
        """The agents' work has ended.

        Args:
            coordination_id: what `trace_workflow_start` gave.
            outcome: ok or error.
            resolution_outcome: what came out of it.
        """
        self._find(coordination_id)
        told_now = None if resolution_outcome is None else arguments.mapping(resolution_outcome)
        self._end(arguments.name(coordination_id), arguments.name(outcome, "ok"), told_now)

    @safely
    def _begin(
        self, coordination_id: str, workflow_id: object, agents: object, workflow_type: object
    ) -> None:
        kind, names = arguments.name(workflow_type, self._type), arguments.names(agents)
        scope = CollaborationScope(kind, names, arguments.name(workflow_id))
        scope.begin()
        span_id = f"{scope.span.get_span_context().span_id:016x}"
        work = _OpenWork(scope, CollaborationSpan(span_id, kind, names))
        with scope.in_force():
            work.context = context.get_current()
        with self._lock:
            self._open[coordination_id] = work
            late = next(iter(self._open)) if len(self._open) > MAX_OPEN else None
        if late is not None:
            self._end(late, _ABANDONED, None)
        work.ambient.start(work.context)
        turn = current_turn()
        if turn is not None:
            turn.closing.append(lambda: self._end(coordination_id, turn.outcome or "ok", None))

    def _end(self, coordination_id: str, outcome: str, told_now: dict[str, Any] | None) -> None:
        with self._lock:
            work = self._open.pop(coordination_id, None)
        if work is None:
            return
        work.scope.outcome = outcome
        work.record.resolution_outcome = told_now or {"success": outcome == "ok"}
        with work.scope.in_force():
            work.scope.end(None)
        work.ambient.end()
        self.collaborations.append(work.record)

    def _open_of(self, coordination_id: str) -> _OpenWork | None:
        with self._lock:
            return self._open.get(coordination_id)

    def _innermost(self) -> _OpenWork | None:
        """The work that is in force here, of this tracer's."""
        with self._lock:
            works = list(self._open.values())
        return next((work for work in reversed(works) if work.ambient.is_innermost), None)

    def _find(self, coordination_id: object) -> _OpenWork:
        work = self._open_of(arguments.name(coordination_id))
        if work is None:
            raise LookupError("no work of that id is open; it is what trace_workflow_start gave")
        return work


@contextmanager
def _inside(work: _OpenWork | None) -> Iterator[None]:
    if work is None:
        yield
        return
    token = context.attach(work.context)
    try:
        yield
    finally:
        quiet_detach(token)
