"""Content on the spans of LangChain's runs, as far as the content policy lets it leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from midwatch.instrumentors.langchain_keeper import RunKeeper
from midwatch.instrumentors.langchain_messages import (
    capture,
    capture_answers,
    capture_prompts,
    json_of,
)
from midwatch.instrumentors.langchain_runs import Run
from midwatch.pipeline import content_names as names
from midwatch.pipeline.content import ContentPolicy


class ContentTracker:
    """Puts prompts, answers, arguments, results and documents on the spans of open runs.

    Args:
        keeper: has the runs, and the recorder whose policy decides.
    """

    def __init__(self, keeper: RunKeeper) -> None:
        self._keeper = keeper

    def model_called(self, run_id: UUID, prompts: Sequence[Any], params: Mapping[str, Any]) -> None:
        """A model was asked this, with these tools at hand."""
        run, policy = self._open(run_id)
        if run is None or not prompts:
            return
        if isinstance(prompts[0], str):
            captured = capture_prompts(policy, prompts)
        else:
            captured = capture(policy, [one for batch in prompts for one in batch])
        if run.call is not None:
            run.call.prompt_text = captured.text
        given = {names.INPUT_MESSAGES: captured.messages}
        if captured.instructions:
            given[names.SYSTEM_INSTRUCTIONS] = captured.instructions
        tools = params.get("tools")
        if tools and run.span.is_recording():
            given[names.TOOL_DEFINITIONS] = policy.head(json_of(policy, tools), policy.max_bytes)
        run.span.set_attributes(given)

    def model_answered(self, run_id: UUID, response: LLMResult) -> None:
        """A model answers this."""
        run, policy = self._open(run_id)
        if run is None or not run.span.is_recording():
            return
        answers = [
            _answer_of(candidate) for candidates in response.generations for candidate in candidates
        ]
        run.span.set_attribute(names.OUTPUT_MESSAGES, capture_answers(policy, answers))

    def tool_called(self, run_id: UUID, arguments: object) -> None:
        """A tool gets these arguments."""
        self._set(run_id, names.TOOL_ARGUMENTS, arguments)

    def tool_returned(self, run_id: UUID, output: object) -> None:
        """A tool returns this."""
        if isinstance(output, BaseMessage):
            output = output.text
        self._set(run_id, names.TOOL_RESULT, output)

    def searched(self, run_id: UUID, query: str) -> None:
        """Documents are looked for with these words."""
        self._set(run_id, names.RETRIEVAL_QUERY, query)

    def found(self, run_id: UUID, documents: Sequence[Any]) -> None:
        """These documents were found."""
        contents = [
            {"id": getattr(document, "id", None), "content": getattr(document, "page_content", "")}
            for document in documents
        ]
        self._set(run_id, names.RETRIEVAL_DOCUMENTS, contents)

    def _set(self, run_id: UUID, name: str, value: object) -> None:
        run, policy = self._open(run_id)
        if run is not None and run.span.is_recording() and value is not None:
            text = json_of(policy, value)
            run.span.set_attribute(name, policy.head(text, policy.max_bytes))

    def _open(self, run_id: UUID) -> tuple[Run | None, ContentPolicy]:
        """The run, if its content is to be captured, and the policy."""
        policy = self._keeper.recorder.content
        run = self._keeper.runs.get(run_id) if policy.captures else None
        if run is not None and policy.sparing:
            sampled = run.span.get_span_context().trace_flags.sampled
            run = run if sampled else None
        return run, policy


def _answer_of(candidate: Any) -> tuple[BaseMessage | str, str]:
    message = getattr(candidate, "message", None)
    told: Mapping[str, Any] = getattr(message, "response_metadata", None) or {}
    info: Mapping[str, Any] = getattr(candidate, "generation_info", None) or {}
    reason = told.get("finish_reason") or info.get("finish_reason") or "stop"
    answer = message if isinstance(message, BaseMessage) else str(getattr(candidate, "text", ""))
    return answer, str(reason)
