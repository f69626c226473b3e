"""The callback handler: LangChain's events, guarded, handed to the trackers of runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, TypeVar, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from midwatch.instrumentors.langchain_content import ContentTracker
from midwatch.instrumentors.langchain_graphs import GraphTracker
from midwatch.instrumentors.langchain_keeper import RunKeeper
from midwatch.instrumentors.langchain_retrievals import RetrievalTracker
from midwatch.instrumentors.langchain_work import WorkTracker
from midwatch.pipeline.failures import FAILURES

_Method = TypeVar("_Method", bound=Callable[..., None])
_TAKERS: dict[str, Callable[..., None]] = {}
"""What takes an event, by the event's name; the others are of no interest."""


def _guarded(method: _Method) -> _Method:
    """Have the event that is called like the method go through `take`."""
    event = method.__name__
    _TAKERS[event] = method

    @functools.wraps(method)
    def guarded(self: MidwatchCallbackHandler, *args: Any, **kwargs: Any) -> None:
        self.take(event, args, kwargs)

    return cast("_Method", guarded)


class MidwatchCallbackHandler(BaseCallbackHandler):
    """Turns LangChain's and LangGraph's callbacks into spans, metrics and events; never raises.

    It runs inline, so that it sees events in their order and in the context of the code that causes
    them, asynchronous code included.
    """

    run_inline = True
    raise_error = False

    def __init__(
        self,
        graphs: GraphTracker,
        work: WorkTracker,
        retrievals: RetrievalTracker,
        keeper: RunKeeper,
    ) -> None:
        self._graphs = graphs
        self._work = work
        self._retrievals = retrievals
        self._content = ContentTracker(keeper)
        self.keeper = keeper

    def take(self, event: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take an event; what goes wrong is noted instead of raised, and the time is counted."""
        taker = _TAKERS.get(event)
        if taker is None:
            return
        keeper = self.keeper
        recorder = keeper.recorder
        # The recorder counts its own time, which is none of the handler's.
        began = perf_counter() - recorder.overhead_seconds
        try:
            taker(self, *args, **kwargs)
        except Exception as error:
            FAILURES.note("langchain", error)
        keeper.seconds += perf_counter() - recorder.overhead_seconds - began
        if not keeper.runs.open:
            keeper.tell_seconds()

    def __deepcopy__(self, _: dict[int, Any]) -> MidwatchCallbackHandler:
        # Applications copy configurations with their callbacks; two handlers would count twice.
        return self

    @_guarded
    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A graph, a node or another chain begins."""
        self._graphs.started(
            run_id,
            parent_run_id,
            str(kwargs.get("name") or ""),
            tags=tags or (),
            metadata=metadata or {},
            run_type=kwargs.get("run_type"),
            inputs=inputs,
        )

    @_guarded
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A graph, a node or another chain ends."""
        self._graphs.ended(run_id, outputs)

    @_guarded
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A graph, a node or another chain ends with an exception."""
        self._graphs.ended(run_id, None, error)

    @_guarded
    def on_interrupt(self, event: Any) -> None:
        """A graph stops to wait for a person."""
        self._graphs.workflows.paused(event.run_id)

    def on_resume(self, event: Any) -> None:
        """A graph goes on; what it resumes is read off its checkpoint, where it is known."""

    @_guarded
    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """A tool is called."""
        name = (serialized or {}).get("name") or kwargs.get("name") or ""
        self._work.tool_started(
            run_id, parent_run_id, str(name), str(kwargs.get("tool_call_id") or "")
        )
        self._content.tool_called(run_id, kwargs.get("inputs") or input_str)

    @_guarded
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool returns."""
        self._content.tool_returned(run_id, output)
        self._work.tool_ended(run_id, output)

    @_guarded
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool raises."""
        self._work.tool_ended(run_id, None, error)

    @_guarded
    def on_retriever_start(
        self,
        serialized: dict[str, Any] | None,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Documents are looked for."""
        name = kwargs.get("name") or (serialized or {}).get("name") or ""
        self._retrievals.started(run_id, parent_run_id, str(name), metadata or {})
        self._content.searched(run_id, query)

    @_guarded
    def on_retriever_end(self, documents: Sequence[Any], *, run_id: UUID, **kwargs: Any) -> None:
        """Documents are found."""
        self._content.found(run_id, documents)
        self._retrievals.ended(run_id, len(documents))

    @_guarded
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """The search ends with an exception."""
        self._retrievals.ended(run_id, 0, error)

    @_guarded
    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A chat model is called."""
        self._model_started("chat", messages, run_id, parent_run_id, metadata or {}, kwargs)

    @_guarded
    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A completion model is called."""
        self._model_started(
            "text_completion", prompts, run_id, parent_run_id, metadata or {}, kwargs
        )

    @_guarded
    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A chunk of a streamed answer arrives."""
        if not _closes_stream(kwargs.get("chunk")):
            self._work.model_chunk(run_id)

    @_guarded
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """A model has answered."""
        self._content.model_answered(run_id, response)
        self._work.model_ended(run_id, response)

    @_guarded
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A model call ends with an exception."""
        self._work.model_ended(run_id, None, error)

    def _model_started(
        self,
        operation: str,
        prompts: Sequence[Any],
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: Mapping[str, Any],
        given: Mapping[str, Any],
    ) -> None:
        params = given.get("invocation_params") or {}
        self._work.model_started(
            run_id,
            parent_run_id,
            operation,
            metadata,
            params,
        )
        self._content.model_called(run_id, prompts, params)


def _closes_stream(chunk: Any) -> bool:
    """Whether LangChain made the chunk up itself, to mark the end of a stream."""
    message = getattr(chunk, "message", None)
    return (
        message is not None
        and getattr(message, "chunk_position", None) == "last"
        and not message.content
        and not getattr(message, "usage_metadata", None)
    )
