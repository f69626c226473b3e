"""`LLMCallLogger`, the interface of S4 (execution logs): logs calls of models."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, TypedDict, TypeVar, Unpack, overload

from midwatch.api.llm_call_logs import INFERENCE, STREAM, LLMCallLog
from midwatch.api.logged import runs
from midwatch.api.streams import async_stream_in, stream_in

_Chunk = TypeVar("_Chunk")


class StreamFields(TypedDict, total=False):
    """What may be said of a stream beside its model and its prompt."""

    execution_log_id: object
    report_id: object
    completion_id: object
    metadata: Mapping[str, Any] | None


class LLMCallFields(StreamFields, total=False):
    """What may be said of a call beside its model."""

    call_type: str
    prompt: object
    is_streaming: bool


class LLMCallLogger:
    """Logs calls of models. No method waits for anything or raises; each result may be awaited.

    `token_prices` may be set or extended: US dollars for a thousand tokens, such as
    `{"custom-model": {"input": 0.001, "output": 0.002}}`. It goes before the price table, which
    prices all other models; what neither knows is counted as unpriced.

    Args:
        db: taken for the sake of the interface; the rows reach the ledger as spans.
    """

    def __init__(self, db: object = None) -> None:
        self.db = db
        self.token_prices: dict[str, dict[str, float]] = {}

    def log_llm_call(
        self,
        provider: str,
        model_id: str,
        call_type: str = INFERENCE,
        prompt: object = None,
        is_streaming: bool = False,
        execution_log_id: object = None,
        report_id: object = None,
        completion_id: object = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> LLMCallLog:
        """A call as a block (`with` or `async with`) or as a decorator.

        What the block raises is recorded (a cancellation as such) and raised on.

        Args:
            provider: openai, anthropic, google and so on.
            model_id: the model.
            call_type: inference or inference_stream.
            prompt: what it is asked.
            is_streaming: whether the answer is a stream.
            execution_log_id: the execution that it belongs to, by default the one around it.
            report_id: the report that it is for.
            completion_id: the completion that it is for.
            metadata: what else there is to say.
        """
        return LLMCallLog(
            lambda: self.token_prices,
            provider,
            model_id,
            call_type,
            prompt,
            is_streaming,
            execution_log_id,
            report_id,
            completion_id,
            metadata,
        )

    def start_llm_call(
        self, provider: str, model_id: str, **fields: Unpack[LLMCallFields]
    ) -> LLMCallLog:
        """Start a call by hand; takes what `log_llm_call` takes.

        What follows in this context belongs to it until its end.
        """
        log = self.log_llm_call(provider, model_id, **fields)
        log.start()
        return log

    @overload
    def log_streaming_call(
        self,
        provider: str,
        model_id: str,
        prompt: object,
        stream_generator: AsyncIterable[_Chunk],
        **fields: Unpack[StreamFields],
    ) -> AsyncIterator[_Chunk]: ...
    @overload
    def log_streaming_call(
        self,
        provider: str,
        model_id: str,
        prompt: object,
        stream_generator: Iterable[_Chunk],
        **fields: Unpack[StreamFields],
    ) -> Iterator[_Chunk]: ...
    def log_streaming_call(
        self,
        provider: str,
        model_id: str,
        prompt: object,
        stream_generator: Any,
        **fields: Unpack[StreamFields],
    ) -> Any:
        """The same stream, its chunks counted; one that is given up is cancelled and not failed.

        Args:
            provider: openai, anthropic, google and so on.
            model_id: the model.
            prompt: what it is asked.
            stream_generator: the answer, synchronous or asynchronous.
            **fields: what else `log_llm_call` takes.
        """
        log = self.log_llm_call(provider, model_id, STREAM, prompt, **fields)
        if hasattr(stream_generator, "__aiter__"):
            return async_stream_in(log, stream_generator, log.chunk)
        return stream_in(log, stream_generator, log.chunk)

    def end_llm_call(
        self,
        llm_call_log: LLMCallLog,
        status: str = "completed",
        response: object = None,
        error_message: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        chunks_count: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> LLMCallLog:
        """End a call that was started by hand; a second end changes nothing.

        Args:
            llm_call_log: what `start_llm_call` gave.
            status: completed, failed or cancelled.
            response: the answer.
            error_message: what went wrong.
            input_tokens: the tokens of the prompt.
            output_tokens: the tokens of the answer.
            chunks_count: the chunks of a stream.
            metadata: what is added to the metadata.
        """
        log = llm_call_log
        if runs(log, LLMCallLog):
            log.response = log.response if response is None else response
            log.input_tokens = log.input_tokens if input_tokens is None else input_tokens
            log.output_tokens = log.output_tokens if output_tokens is None else output_tokens
            log.chunks_count = log.chunks_count if chunks_count is None else chunks_count
            log.merge(metadata)
            log.finish(status, error_message)
        return log
