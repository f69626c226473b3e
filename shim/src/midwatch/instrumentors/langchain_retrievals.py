"""Retrievals: who looked for documents, where, and how many were found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from opentelemetry.util.types import AttributeValue

from midwatch.instrumentors.langchain_ends import how_it_ended
from midwatch.instrumentors.langchain_keeper import AGENT_NAME, RunKeeper
from midwatch.instrumentors.langchain_runs import Kind, Run
from midwatch.registry.span_attributes import RETRIEVED_DOCUMENTS

_SOURCES = ("ls_vector_store_provider", "ls_retriever_name")


class RetrievalTracker:
    """Follows retrievers.

    Args:
        keeper: opens and closes runs.
        grades: whether self-RAG is recorded, of which a retrieval is then the first step.
    """

    def __init__(self, keeper: RunKeeper, *, grades: bool) -> None:
        self._keeper = keeper
        self._grades = grades

    def started(
        self, run_id: UUID, parent_run_id: UUID | None, name: str, metadata: Mapping[str, Any]
    ) -> None:
        """A retriever begins to search."""
        parent = self._keeper.runs.get(parent_run_id)
        run = self._keeper.open(run_id, parent, Kind.RETRIEVAL, name)
        source = next((str(found) for key in _SOURCES if (found := metadata.get(key))), name)
        attributes: dict[str, AttributeValue] = {"gen_ai.data_source.id": source}
        if run.agent:
            attributes[AGENT_NAME] = run.agent
        self._keeper.start_span(run, f"retrieval {source}".rstrip(), "retrieval", attributes)

    def ended(self, run_id: UUID, documents: int, error: BaseException | None = None) -> None:
        """The search ends with so many documents, or with an exception."""
        run = self._keeper.runs.take(run_id)
        if run is None:
            return
        if error is None:
            run.span.set_attribute(RETRIEVED_DOCUMENTS.name, documents)
            if self._grades:
                retrieved = self._keeper.recorder.selfrag_retrieved
                self._keeper.tell(run, retrieved, documents, attempt=_attempt(run))
        self._keeper.close(run, how_it_ended(error), error)


def _attempt(run: Run) -> int:
    """The round of self-RAG in which a retrieval takes place."""
    around = run.parent
    while around is not None and around.memory is None:
        around = around.parent
    return 1 if around is None or around.memory is None else around.memory.gradings + 1
