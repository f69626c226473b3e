"""Opens and closes runs and their spans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from opentelemetry.context import get_current
from opentelemetry.trace import INVALID_SPAN, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace import set_span_in_context as with_span
from opentelemetry.util.types import AttributeValue

from midwatch.instrumentors.langchain_ends import How
from midwatch.instrumentors.langchain_runs import Kind, Run, Runs
from midwatch.instruments.agent_context import current_agent, turn_of, with_agent
from midwatch.instruments.recorder import Recorder

OPERATION = "gen_ai.operation.name"
AGENT_NAME = "gen_ai.agent.name"
CONVERSATION = "gen_ai.conversation.id"
OUTCOME = "midwatch.run.outcome"
_ERROR_TYPE = "error.type"
_LONGEST_MESSAGE = 500


class RunKeeper:
    """Keeps the open runs; knows how their spans begin and end.

    Args:
        tracer: makes the spans.
        recorder: records what runs mean.
    """

    def __init__(self, tracer: Tracer, recorder: Recorder) -> None:
        self.recorder = recorder
        self.runs = Runs()
        self._tracer = tracer

    def open(
        self, run_id: UUID, parent: Run | None, kind: Kind, name: str, agent: str | None = None
    ) -> Run:
        """A run without a span of its own; it passes its parent's context on."""
        context = parent.context if parent is not None else get_current()
        run = Run(run_id, parent, kind, name, context)
        if parent is not None:
            run.turn, run.conversation = parent.turn, parent.conversation
            run.agent = parent.agent
        else:
            run.turn, run.agent = turn_of(context), current_agent(context)
        if agent:
            run.agent = agent
        for lost in self.runs.add(run):
            self._end_span(lost, How.CANCELLED, None)
        return run

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
        run.context = with_span(run.span, run.context)
        if run.agent and run.kind is Kind.AGENT:
            run.context = with_agent(run.agent, run.context)

    def close(self, run: Run, how: How, error: BaseException | None = None) -> None:
        """End the run's span; whatever is still open inside of it was given up."""
        for run_id in self.runs.open_children(run):
            child = self.runs.take(run_id)
            if child is not None:
                self.close(child, How.CANCELLED)
        self._end_span(run, how, error)

    def _end_span(self, run: Run, how: How, error: BaseException | None) -> None:
        span = run.span
        if span is INVALID_SPAN:
            return
        if span.is_recording():
            if how is How.ERROR and error is not None:
                kind = type(error)
                span.set_attribute(_ERROR_TYPE, f"{kind.__module__}.{kind.__qualname__}")
                span.set_status(Status(StatusCode.ERROR, str(error)[:_LONGEST_MESSAGE]))
            elif how is not How.OK:
                span.set_attribute(OUTCOME, how.value)
        span.end()


def integer(metadata: Mapping[str, Any], key: str) -> int:
    """A number of the metadata, 0 if there is none."""
    value = metadata.get(key)
    return value if isinstance(value, int) else 0
