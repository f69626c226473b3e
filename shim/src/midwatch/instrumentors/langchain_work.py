"""What agents do inside of their runs: they call tools and models."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langchain_core.outputs import LLMResult
from opentelemetry.context import set_value
from opentelemetry.trace import SpanKind
from opentelemetry.util.genai._inference_invocation import CLIENT_INFERENCE_CONTEXT_KEY
from opentelemetry.util.types import AttributeValue

from midwatch.instrumentors import langchain_models as models
from midwatch.instrumentors.langchain_context import enter_stream
from midwatch.instrumentors.langchain_ends import How, how_it_ended, tool_status
from midwatch.instrumentors.langchain_keeper import AGENT_NAME, RunKeeper
from midwatch.instrumentors.langchain_runs import Kind, Run
from midwatch.instruments.agent_context import with_tool
from midwatch.instruments.model_calls import UNKNOWN, ModelCalls
from midwatch.registry.span_attributes import LLM_CACHED, TOOL_STATUS


class WorkTracker:
    """Follows tool calls and model calls.

    Args:
        keeper: opens and closes runs.
        calls: records model calls.
    """

    def __init__(self, keeper: RunKeeper, calls: ModelCalls) -> None:
        self._keeper = keeper
        self._recorder = keeper.recorder
        self._calls = calls
        keeper.on_given_up(self._given_up)

    def tool_started(
        self, run_id: UUID, parent_run_id: UUID | None, name: str, call_id: str
    ) -> None:
        """A tool is called."""
        parent = self._keeper.runs.get(parent_run_id)
        run = self._keeper.open(run_id, parent, Kind.TOOL, name or UNKNOWN)
        attributes: dict[str, AttributeValue] = {
            "gen_ai.tool.name": run.name,
            "gen_ai.tool.type": "function",
        }
        if call_id:
            attributes["gen_ai.tool.call.id"] = call_id
        if run.agent:
            attributes[AGENT_NAME] = run.agent
        self._keeper.start_span(run, f"execute_tool {run.name}", "execute_tool", attributes)
        # Tells a protocol by which the tool is called that the call has its span.
        run.context = with_tool(run.name, run.context)
        self._keeper.tell(run, self._recorder.tool_started, run.agent or UNKNOWN, run.name)

    def tool_ended(self, run_id: UUID, output: object, error: BaseException | None = None) -> None:
        """A tool returns or raises; a result may say itself that it is an error."""
        run = self._keeper.runs.take(run_id)
        if run is None:
            return
        how = how_it_ended(error)
        status = "ok"
        if error is not None and how is How.ERROR:
            status = tool_status(error)
        elif getattr(output, "status", None) == "error":
            status = "error"
        if how in (How.OK, How.ERROR):
            # A call that waits for a person or was given up is no finished call.
            self._keeper.tell(
                run,
                self._recorder.tool_call,
                run.agent or UNKNOWN,
                run.name,
                status,
                run.seconds,
                error=type(error).__qualname__ if error is not None and status != "ok" else None,
            )
        if run.span.is_recording():
            run.span.set_attribute(
                TOOL_STATUS.name, status if how is not How.CANCELLED else how.value
            )
        self._keeper.close(run, how, error)

    def model_started(
        self,
        run_id: UUID,
        parent_run_id: UUID | None,
        operation: str,
        metadata: Mapping[str, Any],
        invocation_params: Mapping[str, Any],
    ) -> None:
        """A model is called."""
        parent = self._keeper.runs.get(parent_run_id)
        call = models.begin_call(metadata, invocation_params)
        run = self._keeper.open(run_id, parent, Kind.MODEL, call.model)
        run.call = call
        attributes = call.request_attributes()
        if run.agent:
            attributes[AGENT_NAME] = run.agent
        self._keeper.start_span(
            run, f"{operation} {call.model}", operation, attributes, SpanKind.CLIENT
        )
        # Tells a provider's own instrumentation that the call has its span: it adds what it knows
        # to the data here, and counts nothing.
        run.context = set_value(CLIENT_INFERENCE_CONTEXT_KEY, call.data, run.context)
        enter_stream(run)

    def model_chunk(self, run_id: UUID) -> None:
        """A chunk of a streamed answer arrives."""
        run = self._keeper.runs.get(run_id)
        if run is not None and run.call is not None:
            run.call.chunk()

    def model_ended(
        self, run_id: UUID, response: LLMResult | None, error: BaseException | None = None
    ) -> None:
        """A model has answered, or the call ends with an exception."""
        run = self._keeper.runs.take(run_id)
        if run is None or run.call is None:
            return
        answer = (
            models.Answer()
            if response is None
            else models.read_answer(response, with_text=self._calls.wants_content)
        )
        self._finish_call(run, run.call, answer, error)
        self._keeper.close(run, how_it_ended(error), error)

    def _given_up(self, run: Run) -> None:
        if run.call is not None:
            self._finish_call(run, run.call, models.Answer(), CancelledError())

    def _finish_call(
        self,
        run: Run,
        progress: models.CallProgress,
        answer: models.Answer,
        error: BaseException | None,
    ) -> None:
        call, cost = models.finish_call(
            progress, run.agent, run.seconds, answer, error, self._calls
        )
        if run.span.is_recording():
            run.span.set_attributes(models.response_attributes(progress, call, answer))
        if answer.cached:
            # LangChain's own cache answered: no model was called and nothing was spent.
            run.span.set_attribute(LLM_CACHED.name, True)
            self._calls.mark(run.span)
            return
        self._calls.finished(run.span, call, cost, run.context)
