"""CrewAI, followed by its own events: crews, flows, agents, tools, models and guardrails.

Its event bus hands events to listeners in other threads. They are read where they are emitted,
since only there the code that works for the crew runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any

import wrapt
from crewai.events.event_bus import CrewAIEventsBus
from opentelemetry.context import Context, attach
from opentelemetry.trace import get_tracer

from midwatch.instrumentors.crewai_reading import (
    delegation,
    name_of_agent,
    name_of_workflow,
    read_call,
)
from midwatch.instrumentors.framework_models import ToldCall, begin_call, end_call
from midwatch.instrumentors.framework_work import FrameworkWork, Work, context_below
from midwatch.instruments.model_calls import ModelCalls, process_model_calls, watch_spans
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.recording import SCOPE
from midwatch.instruments.turns import quiet_detach

_Call = Callable[..., Any]
_STACK: ContextVar[tuple[str, ...]] = ContextVar("midwatch_crewai", default=())
_PLUMBING = "AgentExecutor"
"""The flow by which CrewAI runs each agent."""


class CrewAiInstrumentation:
    """Instruments everything that emits events."""

    def instrument(self) -> None:
        """Wrap the emission of events."""
        recorder, tracer = get_recorder(), get_tracer(SCOPE)
        calls = process_model_calls(recorder)
        watch_spans(calls)
        work = FrameworkWork(tracer, recorder, "crewai")
        follower = EventFollower(work, calls)

        def around_emit(
            wrapped: _Call, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:
            result = wrapped(*args, **kwargs)
            with work.safely():
                follower.follow(args[1] if len(args) > 1 else kwargs["event"])
            return result

        async def around_aemit(
            wrapped: _Call, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:
            result = await wrapped(*args, **kwargs)
            with work.safely():
                follower.follow(args[1] if len(args) > 1 else kwargs["event"])
            return result

        wrapt.wrap_function_wrapper(CrewAIEventsBus, "emit", around_emit)
        wrapt.wrap_function_wrapper(CrewAIEventsBus, "aemit", around_aemit)
        calls.prices.load()


class _Open:
    """What has begun and not ended; without a token it only passes its parent's work on."""

    __slots__ = ("before", "call", "end", "kind", "token", "work")

    def __init__(
        self,
        kind: str,
        work: Work | None,
        end: Callable[[Work, BaseException | None], None] | None = None,
        call: ToldCall | None = None,
    ) -> None:
        self.kind = kind
        self.work = work
        self.end = end
        self.call = call
        self.before = sys.exc_info()[1]
        self.token: Token[Context] | None = None
        context = call.context if call is not None else work.context if end and work else None
        if context is not None:
            self.token = attach(context)


class EventFollower:
    """Turns events into spans, metrics and events of ours.

    Args:
        work: records crews, agents and tools.
        calls: records model calls that no instrumented client makes.
    """

    def __init__(self, work: FrameworkWork, calls: ModelCalls) -> None:
        self._work = work
        self._calls = calls
        self._tracer = get_tracer(SCOPE)
        self._open: dict[str, _Open] = {}
        self._begin: Mapping[str, Callable[[Any, Work | None], _Open]] = {
            "crew_kickoff_started": self._workflow,
            "flow_started": self._workflow,
            "agent_execution_started": self._agent,
            "lite_agent_execution_started": self._agent,
            "tool_usage_started": self._tool,
            "llm_call_started": self._model,
        }

    def follow(self, event: Any) -> None:
        """Take in an event, in the context of the code that emits it."""
        kind = str(event.type)
        if kind == "llm_stream_chunk":
            running = self._top()
            if running is not None and running.call is not None:
                running.call.chunks += 1
        elif kind.endswith("_started"):
            top = self._top()
            begin = self._begin.get(kind, self._nothing)
            self._open[event.event_id] = begin(event, top.work if top is not None else None)
            _STACK.set((*_STACK.get(), event.event_id))
        else:
            if kind == "llm_guardrail_completed":
                self._guardrail(event)
            self._ended(kind.rpartition("_")[0], event)

    def _top(self) -> _Open | None:
        """What has begun last in this context and is still open."""
        return next((self._open[key] for key in reversed(_STACK.get()) if key in self._open), None)

    def _ended(self, kind: str, event: Any) -> None:
        """The last of its kind in this context has ended.

        CrewAI's own pairing is not relied on: where an end is told twice, it closes what is around.
        """
        stack = _STACK.get()
        for place in range(len(stack) - 1, -1, -1):
            found = self._open.get(stack[place])
            if found is not None and found.kind == kind:
                for left in reversed(stack[place:]):
                    # The ends of those inside were never told: an exception went past them.
                    self._end(left, event)
                _STACK.set(stack[:place])
                return

    def _workflow(self, event: Any, parent: Work | None) -> _Open:
        name = name_of_workflow(event)
        if name == _PLUMBING:
            return self._nothing(event, parent)
        work = self._work.begin_workflow(name, parent=parent)
        return _Open(_kind(event), work, self._work.end_workflow)

    def _agent(self, event: Any, parent: Work | None) -> _Open:
        work = self._work.begin_agent(name_of_agent(event), parent=parent)
        return _Open(_kind(event), work, self._work.end_agent)

    def _tool(self, event: Any, parent: Work | None) -> _Open:
        work = self._work.begin_tool(str(event.tool_name), parent)
        told = delegation(event)
        if told is not None:
            asks, colleague = told
            with work.current():
                if asks:
                    self._work.recorder.message(work.agent, colleague)
                else:
                    self._work.recorder.handoff(work.agent, colleague)
        return _Open(_kind(event), work, self._work.end_tool)

    def _model(self, event: Any, parent: Work | None) -> _Open:
        call = begin_call(context_below(parent))
        return _Open(_kind(event), parent, call=call)

    def _nothing(self, event: Any, parent: Work | None) -> _Open:
        return _Open(_kind(event), parent)

    def _guardrail(self, event: Any) -> None:
        """A guardrail that fails has the agent try again."""
        gate = str(event.guardrail_name or event.guardrail_type or "guardrail")
        decision, reason = ("allow", "none") if event.success else ("deny", "failed")
        self._work.recorder.guardrail(gate, decision, reason)

    def _end(self, event_id: str, event: Any) -> None:
        was = self._open.pop(event_id, None)
        if was is None:
            return
        if was.token is not None:
            quiet_detach(was.token)
        raised = sys.exc_info()[1]
        failed = str(event.type).endswith(("_failed", "_error"))
        error = raised if failed and raised is not was.before else None
        told = str(getattr(event, "error", "") or "_OTHER") if failed and error is None else ""
        if was.call is not None:
            was.call.told = told
            read_call(event, was.call)
            end_call(was.call, self._tracer, self._calls, error)
        elif was.end is not None and was.work is not None:
            was.work.told = told
            was.end(was.work, error)


def _kind(event: Any) -> str:
    return str(event.type).removesuffix("_started")
