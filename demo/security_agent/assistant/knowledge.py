"""The knowledge base: Markdown files, cut at their headings, found by their embeddings."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from langchain_core.embeddings import Embeddings

from security_agent.assistant.llm import get_embeddings

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
_NOT_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Passage:
    """One section of a document."""

    id: str
    title: str
    text: str


def load_passages(directory: Path = CORPUS) -> tuple[Passage, ...]:
    """The sections of all documents; `FileNotFoundError` when there is none."""
    passages = [p for path in sorted(directory.glob("*.md")) for p in _sections(path)]
    if not passages:
        raise FileNotFoundError(f"no Markdown document with sections in {directory}")
    return tuple(passages)


def _sections(path: Path) -> list[Passage]:
    head, *sections = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    title = head.strip().removeprefix("# ")
    passages = []
    for section in sections:
        heading, _, body = section.partition("\n")
        anchor = _NOT_WORD.sub("-", heading.lower()).strip("-")
        text = " ".join(body.split())
        passages.append(Passage(f"{path.stem}#{anchor}", f"{title}: {heading}", text))
    return passages


@lru_cache(maxsize=1)
def get_knowledge_base() -> KnowledgeBase:
    """The process's knowledge base."""
    return KnowledgeBase(get_embeddings(), load_passages())


class KnowledgeBase:
    """Finds the passages nearest to a query; embeds the corpus at the first question."""

    def __init__(self, embeddings: Embeddings, passages: Sequence[Passage]) -> None:
        self._embeddings = embeddings
        self._passages = tuple(passages)
        self._vectors: list[list[float]] = []
        self._lock = threading.Lock()

    def search(self, query: str, count: int = 4) -> list[Passage]:
        """The `count` nearest passages, nearest first."""
        vectors = self._corpus_vectors()
        wanted = self._embeddings.embed_query(query)
        scored = sorted(
            zip(vectors, self._passages, strict=True),
            key=lambda pair: -sum(a * b for a, b in zip(pair[0], wanted, strict=True)),
        )
        return [passage for _vector, passage in scored[:count]]

    def _corpus_vectors(self) -> list[list[float]]:
        with self._lock:
            if not self._vectors:
                texts = [f"{passage.title}. {passage.text}" for passage in self._passages]
                self._vectors = self._embeddings.embed_documents(texts)
            return self._vectors
