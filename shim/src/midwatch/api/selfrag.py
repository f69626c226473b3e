"""Self-RAG: what was retrieved, how it was graded, and what was decided on it."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, Self, overload

from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai

from midwatch.api import arguments
from midwatch.api.spans import SpanScope, start_span
from midwatch.instruments.recorder import get_recorder
from midwatch.registry.span_attributes import RETRIEVED_DOCUMENTS

_RETRIEVAL = "retrieval"


class RetrievalScope(SpanScope):
    """One retrieval; `documents` may be set, else it is the length of what the function returns."""

    def __init__(self, attempt: int = 1) -> None:
        self.attempt = attempt
        self.documents: int | None = None

    def again(self) -> Self:
        """A fresh retrieval of the same attempt."""
        return type(self)(self.attempt)

    def _start(self) -> None:
        self.documents = None
        self.span = start_span(_RETRIEVAL, {gen_ai.GEN_AI_OPERATION_NAME: _RETRIEVAL})

    def _returned(self, result: object) -> None:
        super()._returned(result)
        if self.documents is None and isinstance(result, Sized):
            self.documents = len(result)

    def _record(self, error: BaseException | None) -> None:
        if error is not None:
            return
        documents = arguments.count(self.documents) or 0
        self.span.set_attribute(RETRIEVED_DOCUMENTS.name, documents)
        get_recorder().selfrag_retrieved(documents, attempt=self.attempt, by="hand")


class GradingScope(SpanScope):
    """One grading; `documents` and `relevant` may be set: how many were graded, and found good."""

    def __init__(self, attempt: int = 1) -> None:
        self.attempt = attempt
        self.documents: int | None = None
        self.relevant: int | None = None

    def again(self) -> Self:
        """A fresh grading of the same attempt."""
        return type(self)(self.attempt)

    def _start(self) -> None:
        self.documents = self.relevant = None
        self.span = start_span("grading")

    def _record(self, error: BaseException | None) -> None:
        if error is not None:
            return
        get_recorder().selfrag_graded(
            arguments.count(self.documents) or 0,
            arguments.count(self.relevant) or 0,
            attempt=self.attempt,
            by="hand",
        )


@overload
def selfrag_retrieved(*, attempt: int = 1) -> RetrievalScope: ...
@overload
def selfrag_retrieved(documents: int, *, attempt: int = 1) -> None: ...
def selfrag_retrieved(documents: int | None = None, *, attempt: int = 1) -> Any:
    """Self-RAG retrieved documents.

    Without a number it is a with-block or a decorator around the retrieval.

    Args:
        documents: how many.
        attempt: the number of the attempt, from 1.
    """
    number = arguments.count(attempt) or 1
    if documents is None:
        return RetrievalScope(number)
    found = arguments.count(documents) or 0
    get_recorder().selfrag_retrieved(found, attempt=number, by="hand")
    return None


@overload
def selfrag_graded(*, attempt: int = 1) -> GradingScope: ...
@overload
def selfrag_graded(documents: int, relevant: int, *, attempt: int = 1) -> None: ...
def selfrag_graded(
    documents: int | None = None, relevant: int | None = None, *, attempt: int = 1
) -> Any:
    """Self-RAG graded what it retrieved.

    Without numbers it is a with-block or a decorator around the grading.

    Args:
        documents: how many were graded.
        relevant: how many of them are relevant.
        attempt: the number of the attempt, from 1.
    """
    number = arguments.count(attempt) or 1
    if documents is None:
        return GradingScope(number)
    get_recorder().selfrag_graded(
        arguments.count(documents) or 0,
        arguments.count(relevant) or 0,
        attempt=number,
        by="hand",
    )
    return None


def selfrag_decision(decision: str, reason: str, *, attempt: int | None = None) -> None:
    """Self-RAG decided, usually final, retry or escalate.

    Args:
        decision: what.
        reason: why, as a short code.
        attempt: the number of the attempt, from 1.
    """
    get_recorder().selfrag_decision(
        arguments.name(decision),
        arguments.name(reason),
        attempt=arguments.count(attempt),
        by="hand",
    )
