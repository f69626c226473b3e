"""`ToolTracer` and `SimulationEventCapture`, interfaces of S5 (simulation tracing)."""

from __future__ import annotations

import contextvars
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import context, trace
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.trace import INVALID_SPAN, Span, Status, StatusCode

from midwatch.api import arguments, told
from midwatch.api.ambient import Ambient
from midwatch.api.logged import utc_now
from midwatch.api.safely import safely
from midwatch.api.simulation_records import SimulationTrace
from midwatch.api.spans import end_span, set_content, set_known, start_span
from midwatch.api.work import UNKNOWN
from midwatch.instruments.agent_context import current_agent
from midwatch.instruments.reconcile import Reconciler
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.turn_state import TURN_KEY
from midwatch.instruments.turns import TurnScope, quiet_detach, start_turn
from midwatch.pipeline.clock import token_hex
from midwatch.pipeline.content_names import TOOL_ARGUMENTS, TOOL_RESULT
from midwatch.registry.attributes import CALL_ID
from midwatch.registry.span_attributes import (
    EVENT_TYPE,
    INPUT,
    OUTPUT,
    PARTICIPANTS,
    TOOL_STATUS,
    TRIGGER_SOURCE,
)

MAX_OPEN = 1000
"""The events, or joint works, that are open at once; the oldest ends when there are more."""

MAX_KEPT = 200
"""The records of what has ended that are kept."""

_OF_A_TOOL = ("agent", "tool")


class ToolTracer:
    """Tells of tools that code runs by itself.

    What an execution was and how long it took may be told one after the other, in either order: of
    each tool as many calls are counted as the more complete of the two tells of.

    Args:
        agent: who runs them, if it is not the agent that acts where they are told of.
    """

    def __init__(self, agent: str = "") -> None:
        self._agent = arguments.name(agent)
        self._reports = Reconciler()

    @safely
    def trace_tool_execution(self, tool_name: str, inputs: object, outputs: object) -> None:
        """A tool was executed; outputs that are an exception or have an `error` tell of a failure.

        Args:
            tool_name: the tool.
            inputs: what it was given; leaves the process by content policy only.
            outputs: what it gave back; the same.
        """
        agent, tool = self._who(tool_name)
        failed = isinstance(outputs, BaseException) or (
            isinstance(outputs, Mapping) and bool(outputs.get("error"))
        )
        status = "error" if failed else "ok"
        operation = gen_ai.GenAiOperationNameValues.EXECUTE_TOOL.value
        attributes = {gen_ai.GEN_AI_OPERATION_NAME: operation, gen_ai.GEN_AI_TOOL_NAME: tool}
        span = start_span(f"{operation} {tool}", attributes)
        try:
            set_known(span, {TOOL_STATUS.name: status})
            set_content(span, TOOL_ARGUMENTS, inputs)
            set_content(span, TOOL_RESULT, outputs)
            if failed:
                span.set_status(Status(StatusCode.ERROR))
            if self._reports.is_new("hand", "tool", _OF_A_TOOL, (agent, tool)):
                get_recorder().tool_call(agent, tool, status, None, by="hand")
        finally:
            end_span(span)

    @safely
    def capture_tool_performance(self, tool_name: str, execution_time: float) -> None:
        """A tool took so many seconds.

        Args:
            tool_name: the tool.
            execution_time: the seconds.
        """
        agent, tool = self._who(tool_name)
        took = arguments.seconds(execution_time)
        if took is None:
            return
        if self._reports.is_new("instrumentation", "tool", _OF_A_TOOL, (agent, tool)):
            get_recorder().tool_call(agent, tool, "ok", took, by="hand")
        else:
            get_recorder().tool_latency(agent, tool, took, by="hand")

    def _who(self, tool_name: object) -> tuple[str, str]:
        return self._agent or current_agent() or UNKNOWN, arguments.name(tool_name, UNKNOWN)


@dataclass(eq=False)
class _OpenEvent:
    record: SimulationTrace
    span: Span = INVALID_SPAN
    turn: TurnScope | None = None
    context: context.Context = field(default_factory=context.Context)
    ambient: Ambient = field(default_factory=Ambient)


class SimulationEventCapture:
    """Makes of each event of a simulation a trace and a turn of its own.

    Between capture and end the event's trace is the current one in the context that captured it;
    elsewhere it is in `within`. `traces` has the latest events that have ended.

    Args:
        trigger_source: where events come from that do not say so.
    """

    def __init__(self, trigger_source: str = "simulation") -> None:
        self._source = arguments.name(trigger_source, UNKNOWN)
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _OpenEvent] = OrderedDict()
        self.traces: deque[SimulationTrace] = deque(maxlen=MAX_KEPT)

    def capture_trigger_event(self, trigger_data: Mapping[str, Any]) -> str:
        """An event begins work; returns its id.

        Args:
            trigger_data: the event; `event_id` (else one is made up), `event_type`,
                `trigger_source` and `participating_agents` are read. The whole leaves the process
                by content policy only.
        """
        data = arguments.mapping(trigger_data)
        event_id = told.name_in(data, "event_id", "id") or token_hex(8)
        self._begin(event_id, data)
        return event_id

    @safely
    def track_event_propagation(
        self, event_id: str, agent_responses: list[Mapping[str, Any]]
    ) -> None:
        """The event reached agents: each response is a message to its agent.

        Args:
            event_id: what `capture_trigger_event` gave.
            agent_responses: of each `agent_id` is read, and `decision` and `confidence` if the
                agent decided.
        """
        event = self._find(event_id)
        recorder = get_recorder()
        with self._inside(event):
            for response in told.each(agent_responses):
                agent = told.agent_in(response) or UNKNOWN
                if agent not in event.record.participating_agents:
                    event.record.participating_agents.append(agent)
                recorder.message(event.record.trigger_source, agent, by="hand")
                decision = told.name_in(response, "decision")
                if decision:
                    sure = arguments.number(told.first(response, "confidence"))
                    recorder.decision(agent, decision, sure, by="hand")

    @safely
    def finalize_event_trace(self, event_id: str, final_outcome: Mapping[str, Any]) -> None:
        """The event's work has ended.

        Args:
            event_id: what `capture_trigger_event` gave.
            final_outcome: `outcome` (or `status`) is read as the business outcome, and `success`;
                an `error` or a status such as `failed` is no success.
        """
        event = self._find(event_id)
        with self._lock:
            self._open.pop(arguments.name(event_id), None)
        self._end(event, arguments.mapping(final_outcome))

    @contextmanager
    def within(self, event_id: str) -> Iterator[None]:
        """The event's trace is the current one in the block, in whatever thread or task."""
        with self._lock:
            event = self._open.get(arguments.name(event_id))
        if event is None:
            yield
            return
        with self._inside(event):
            yield

    @safely
    def _begin(self, event_id: str, data: dict[str, Any]) -> None:
        if not get_recorder().enabled:
            return
        record = SimulationTrace(
            trace_id="",
            event_type=told.name_in(data, "event_type", "type") or UNKNOWN,
            trigger_source=told.name_in(data, "trigger_source", "source") or self._source,
            start_time=utc_now(),
            participating_agents=told.participants_in(data),
            event_data=data,
        )
        event = _OpenEvent(record)
        # A root, whatever runs here: begun where nothing else does.
        contextvars.Context().run(_open_root, event, event_id)
        with self._lock:
            late = [self._open.pop(event_id, None)]
            self._open[event_id] = event
            if len(self._open) > MAX_OPEN:
                late.append(self._open.popitem(last=False)[1])
        for one in late:
            if one is not None:
                self._end(one, {"status": "cancelled"})
        event.ambient.start(event.context, None if event.turn is None else event.turn.turn)

    def _find(self, event_id: object) -> _OpenEvent:
        with self._lock:
            event = self._open.get(arguments.name(event_id))
        if event is None:
            raise LookupError("no event of that id is open; it is what capture_trigger_event gave")
        return event

    @contextmanager
    def _inside(self, event: _OpenEvent) -> Iterator[None]:
        token = context.attach(event.context)
        if event.turn is not None:
            event.turn.enter()
        try:
            yield
        finally:
            if event.turn is not None:
                event.turn.leave()
            quiet_detach(token)

    def _end(self, event: _OpenEvent, outcome: dict[str, Any]) -> None:
        record, success = event.record, told.succeeded(outcome)
        name = told.name_in(outcome, "outcome", "status") or ("completed" if success else "failed")
        with self._inside(event):
            get_recorder().outcome(name, success, by="hand")
        set_known(event.span, {PARTICIPANTS.name: record.participating_agents})
        set_content(event.span, OUTPUT.name, outcome)
        if event.turn is not None:
            cancelled = name == "cancelled"
            event.turn.turn.outcome = "ok" if success else "cancelled" if cancelled else "error"
            contextvars.copy_context().run(event.turn.finish)
        if not success and name != "cancelled":
            event.span.set_status(Status(StatusCode.ERROR))
        end_span(event.span)
        record.end_time, record.outcome = utc_now(), outcome
        self.traces.append(record)
        event.ambient.end()


def _open_root(event: _OpenEvent, event_id: str) -> None:
    """Begin the event's span and its turn, with nothing around them."""
    record = event.record
    operation = "invoke_workflow"
    event.span = start_span(
        f"{operation} {record.event_type}",
        {
            gen_ai.GEN_AI_OPERATION_NAME: operation,
            "gen_ai.workflow.name": record.event_type,
            EVENT_TYPE.name: record.event_type,
            TRIGGER_SOURCE.name: record.trigger_source,
            CALL_ID.name: event_id,
        },
    )
    set_content(event.span, INPUT.name, record.event_data)
    record.trace_id = f"{event.span.get_span_context().trace_id:032x}"
    inside = trace.set_span_in_context(event.span)
    context.attach(inside)
    event.turn = start_turn(by="hand")
    event.turn.leave()
    event.context = context.set_value(TURN_KEY, event.turn.turn, inside)
