"""Opens and closes runs and their spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec
from uuid import UUID

from opentelemetry.context import Context, create_key
from opentelemetry.trace import (
    INVALID_SPAN,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
)
from opentelemetry.trace.propagation import _SPAN_KEY
from opentelemetry.util.types import AttributeValue

from midwatch.instrumentors.langchain_ends import How
from midwatch.instrumentors.langchain_runs import Kind, Run, Runs
from midwatch.instruments.agent_context import current_agent, turn_of, with_agent
from midwatch.instruments.recorder import Recorder
from midwatch.pipeline.present import enter_context, leave_context, present_context
from midwatch.registry.span_attributes import RUN_OUTCOME

OPERATION = "gen_ai.operation.name"
AGENT_NAME = "gen_ai.agent.name"
CONVERSATION = "gen_ai.conversation.id"
_ERROR_TYPE = "error.type"
_ANCHOR = create_key("midwatch-run")

_Given = ParamSpec("_Given")


class RunKeeper:
    """Keeps the open runs; knows how their spans begin and end.

    Args:
        tracer: makes the spans.
        recorder: records what runs mean.
    """

    def __init__(self, tracer: Tracer, recorder: Recorder) -> None:
        self.recorder = recorder
        self.runs = Runs()
        self.seconds = 0.0
        """Time of the shim that the recorder is not told yet."""
        self._tracer = tracer
        self._tell_given_up: list[Callable[[Run], None]] = []

    def on_given_up(self, tell: Callable[[Run], None]) -> None:
        """Have each run told that is still open when what it is in ends, before it is closed."""
        self._tell_given_up.append(tell)

    def open(self, run_id: UUID, parent: Run | None, kind: Kind, name: str, agent: str = "") -> Run:
        """A run without a span of its own; it passes its parent's context on."""
        context = _context_below(parent)
        run = Run(run_id, parent, kind, name, context, current_agent(context), turn_of(context))
        if parent is not None:
            run.conversation, run.anchor = parent.conversation, parent.anchor
        if agent and agent != run.agent:
            self.act_as(run, agent)
        for lost in self.runs.add(run):
            self._end_span(lost, How.CANCELLED, None)
        return run

    def tell(
        self, run: Run, fact: Callable[_Given, object], *given: _Given.args, **more: _Given.kwargs
    ) -> None:
        """Tell the recorder a fact in the run's context."""
        token = enter_context(run.context)
        try:
            fact(*given, **more)
        finally:
            leave_context(token)

    def tell_seconds(self) -> None:
        """Tell the recorder the time of the shim; done when no run is open, to be cheap.

        Threads may lose each other's additions, or take them for their own: the figure is as good
        as a sum of some microseconds needs to be.
        """
        self.recorder.spend(max(self.seconds, 0.0))
        self.seconds = 0.0

    def act_as(self, run: Run, agent: str) -> None:
        """Say which agent acts in the run."""
        run.agent = agent
        run.context = with_agent(agent, run.context)

    def start_span(
        self,
        run: Run,
        span_name: str,
        operation: str,
        attributes: Mapping[str, AttributeValue],
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> None:
        """Give the run a span, from the run's start on, and make it its context."""
        given: dict[str, AttributeValue] = {OPERATION: operation} if operation else {}
        if run.conversation:
            given[CONVERSATION] = run.conversation
        given.update(attributes)
        run.span = self._tracer.start_span(
            span_name, run.context, kind, given, start_time=run.started_ns
        )
        run.anchor = run.run_id
        # One copy of the context for both: with `set_value` it would be four.
        within: dict[str, object] = {**run.context, _SPAN_KEY: run.span, _ANCHOR: run.run_id}
        run.context = Context(within)

    def close(self, run: Run, how: How, error: BaseException | None = None) -> None:
        """End the run's span; whatever is still open inside of it was given up."""
        if run.children:
            self.give_up_children(run)
        self._end_span(run, how, error)

    def give_up_children(self, run: Run) -> None:
        """Close what is still open inside of a run that ends."""
        if not run.children:
            return
        for run_id in self.runs.open_children(run):
            child = self.runs.take(run_id)
            if child is not None:
                self.give_up_children(child)
                for tell in self._tell_given_up:
                    tell(child)
                self._end_span(child, How.CANCELLED, None)

    def _end_span(self, run: Run, how: How, error: BaseException | None) -> None:
        span = run.span
        if span is INVALID_SPAN:
            return
        if span.is_recording():
            if how is How.ERROR and error is not None:
                kind = type(error)
                span.set_attribute(_ERROR_TYPE, f"{kind.__module__}.{kind.__qualname__}")
                span.set_status(Status(StatusCode.ERROR, self.recorder.content.described(error)))
            elif how is not How.OK:
                span.set_attribute(RUN_OUTCOME.name, how.value)
        span.end()


def _context_below(parent: Run | None) -> Context:
    """The context of a run that begins now, below its parent.

    Where the present code runs inside of the parent, its own context is the better one: it has what
    the application put there, a span of its own for example.
    """
    present = present_context()
    if parent is None:
        return present
    # The same object, since the anchor is handed on: a UUID compares in Python.
    inside = parent.anchor is not None and present.get(_ANCHOR) is parent.anchor
    return present if inside else parent.context


def integer(metadata: Mapping[str, Any], key: str) -> int:
    """A number of the metadata, 0 if there is none."""
    value = metadata.get(key)
    return value if isinstance(value, int) else 0
