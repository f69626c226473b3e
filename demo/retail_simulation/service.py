"""The running simulation: days pass, events arise, agents decide, effects follow, records stay."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel

from retail_simulation.agents import Workflow, WorkflowResult
from retail_simulation.effects import carry_out
from retail_simulation.engine import Engine
from retail_simulation.models import (
    EventType,
    RecordedConflict,
    RecordedDecision,
    SimulationTrace,
    TriggerEvent,
)
from retail_simulation.shelf import Shelf
from retail_simulation.triggers import TriggerDetector, facts_about

MOST_EVENTS_PER_DAY = 3
MOST_WAITING = 8
_KEPT_TRACES = 500
_KEPT_DECISIONS = 1500
_KEPT_CONFLICTS = 500


class BusyError(RuntimeError):
    """Too many requests already wait for the simulation."""


@dataclass(frozen=True)
class DaysReport:
    """What happened in the days that were asked for."""

    days: int
    day: int
    events: int
    decisions: int
    fallback_decisions: int
    conflicts: int
    revenue_cents: int


class SimulationService:
    """One simulation with its agents and a bounded memory of what they did."""

    def __init__(self, model: BaseChatModel, seed: int) -> None:
        self._workflow = Workflow(model, lambda: self.engine)
        self._turn = asyncio.Lock()
        self._waiting = 0
        self.traces: deque[SimulationTrace] = deque(maxlen=_KEPT_TRACES)
        self.decisions: deque[RecordedDecision] = deque(maxlen=_KEPT_DECISIONS)
        self.conflicts: deque[RecordedConflict] = deque(maxlen=_KEPT_CONFLICTS)
        self._reset(seed)

    async def run_days(self, days: int, seed: int | None = None) -> DaysReport:
        """Let days pass; with a seed the simulation begins anew from it.

        Raises:
            BusyError: Too many requests wait already.
        """
        async with self._in_turn():
            if seed is not None:
                self._reset(seed)
            revenue_before = self.engine.books.revenue_cents
            results: list[WorkflowResult] = []
            for _ in range(days):
                self.engine.advance()
                for severity, event_type, shelf in self._detector.detect(self.engine):
                    event = self._event(event_type, shelf, severity, "simulation")
                    results.append((await self._handle(event))[1])
            return DaysReport(
                days=days,
                day=self.engine.day,
                events=len(results),
                decisions=sum(len(result.decisions) for result in results),
                fallback_decisions=sum(
                    decision.source == "fallback"
                    for result in results
                    for decision in result.decisions
                ),
                conflicts=sum(len(result.conflicts) for result in results),
                revenue_cents=self.engine.books.revenue_cents - revenue_before,
            )

    async def inject(
        self, event_type: EventType, store_id: str, product_id: str, severity: float
    ) -> SimulationTrace:
        """Make an event happen now and return what became of it.

        Raises:
            UnknownShelfError: There is no such store or product.
            BusyError: Too many requests wait already.
        """
        async with self._in_turn():
            shelf = self.engine.shelf(store_id, product_id)
            _make_true(event_type, shelf)
            event = self._event(event_type, shelf, severity, "injected")
            return (await self._handle(event))[0]

    def state(self) -> dict[str, Any]:
        """Return the chain as it stands and how much is remembered of its past."""
        return self.engine.summary() | {
            "events_handled": self._events,
            "remembered": {
                "events": len(self.traces),
                "decisions": len(self.decisions),
                "conflicts": len(self.conflicts),
            },
        }

    def _reset(self, seed: int) -> None:
        self.engine = Engine(seed)
        self._detector = TriggerDetector(MOST_EVENTS_PER_DAY)
        self._events = 0
        for records in (self.traces, self.decisions, self.conflicts):
            records.clear()

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        """Serialise requests, because they share one world, and bound how many wait."""
        if self._waiting >= MOST_WAITING:
            raise BusyError(f"{MOST_WAITING} requests already wait for the simulation")
        self._waiting += 1
        try:
            async with self._turn:
                yield
        finally:
            self._waiting -= 1

    def _event(
        self,
        event_type: EventType,
        shelf: Shelf,
        severity: float,
        source: Literal["simulation", "injected"],
    ) -> TriggerEvent:
        self._events += 1
        return TriggerEvent(
            event_id=f"event-{self.engine.seed}-{self._events}",
            type=event_type,
            source=source,
            day=self.engine.day,
            store_id=shelf.store.store_id,
            product_id=shelf.product.product_id,
            severity=severity,
            facts=facts_about(shelf, self.engine),
        )

    async def _handle(self, event: TriggerEvent) -> tuple[SimulationTrace, WorkflowResult]:
        started = datetime.now(UTC)
        result = await self._workflow.run(event, f"simulation-{self.engine.seed}")
        shelf = self.engine.shelf(event.store_id, event.product_id)
        effects = [carry_out(decision, shelf, self.engine) for decision in result.accepted]
        trace = SimulationTrace(
            trace_id=event.event_id.replace("event", "workflow"),
            event_type=event.type,
            trigger_source=event.source,
            start_time=started,
            end_time=datetime.now(UTC),
            participating_agents=result.participants,
            event_data=event,
            outcome={
                "status": "acted" if effects else "held",
                "effects": [effect.model_dump(mode="json") for effect in effects],
                "messages": [message.model_dump(mode="json") for message in result.messages],
                "conflicts": len(result.conflicts),
            },
        )
        self._remember(trace, result)
        return trace, result

    def _remember(self, trace: SimulationTrace, result: WorkflowResult) -> None:
        event = trace.event_data
        carried_out = {decision.agent for decision in result.accepted}
        self.traces.append(trace)
        for decision in result.decisions:
            self.decisions.append(
                RecordedDecision(
                    **dict(decision),
                    trace_id=trace.trace_id,
                    event_id=event.event_id,
                    day=event.day,
                    accepted=decision.agent in carried_out,
                )
            )
        for conflict in result.conflicts:
            self.conflicts.append(
                RecordedConflict(
                    **dict(conflict),
                    trace_id=trace.trace_id,
                    event_id=event.event_id,
                    day=event.day,
                )
            )


def _make_true(event_type: EventType, shelf: Shelf) -> None:
    """A competitor's price drop that is injected must be there to be seen."""
    if event_type is EventType.COMPETITOR_PRICE_DROP:
        lower = shelf.product.base_price_cents * 80 // 100
        shelf.competitor_price_cents = min(shelf.competitor_price_cents, lower)
