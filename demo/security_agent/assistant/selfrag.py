"""The self-RAG loop: retrieve, grade, answer, judge; then final, retry or escalate."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from security_agent.assistant import prompts
from security_agent.assistant.knowledge import Passage

MAX_ATTEMPTS = 3
_LONGEST_FOLLOW_UP = 12
_REFERS = re.compile(
    r"\b(it|its|that|this|these|those|they|them|then|there)\b|^\W*(and|but)\b", re.I
)
_CITATION = re.compile(r"\[([a-z0-9-]+#[a-z0-9-]+)\]")
_JSON = re.compile(r"\{.*\}", re.DOTALL)

Ask = Callable[[Sequence[BaseMessage]], str]


@dataclass(frozen=True)
class SelfRagSteps:
    """What the loop needs of the world: a search, and two models to ask."""

    search: Callable[[str], list[Passage]]
    ask: Ask
    write: Ask


@dataclass(frozen=True)
class Attempt:
    """One round of the loop and what was decided after it."""

    number: int
    query: str
    retrieved: tuple[Passage, ...]
    relevant: tuple[Passage, ...]
    answer: str
    citations: tuple[str, ...]
    decision: str
    reason: str


def standalone(question: str, earlier: str, ask: Ask) -> str:
    """The question as it can be searched for: a follow-up gets what it refers to.

    Args:
        question: What was asked.
        earlier: The last turns of the session, or nothing.
        ask: The model.
    """
    if not earlier or len(question.split()) > _LONGEST_FOLLOW_UP or not _REFERS.search(question):
        return question
    told = HumanMessage(f"{earlier}Follow-up: {question}")
    return " ".join(ask([SystemMessage(prompts.RAG_CONDENSER), told]).split())[:500] or question


def attempts(question: str, steps: SelfRagSteps) -> Iterator[Attempt]:
    """The rounds of the loop; the last one's decision is `final` or `escalate`."""
    query = question
    for number in range(1, MAX_ATTEMPTS + 1):
        retrieved = tuple(steps.search(query))
        relevant = _graded(question, retrieved, steps.ask)
        answer = _written(question, relevant, steps.write) if relevant else ""
        citations = _citations(answer, relevant)
        grounded = bool(citations) and _is_grounded(answer, relevant, steps.ask)
        decision, reason = decide(
            attempt=number, relevant=len(relevant), citations=len(citations), grounded=grounded
        )
        yield Attempt(number, query, retrieved, relevant, answer, citations, decision, reason)
        if decision != "retry":
            return
        query = _rewritten(question, query, steps.ask)


def decide(*, attempt: int, relevant: int, citations: int, grounded: bool) -> tuple[str, str]:
    """The decision after an attempt, and its reason as a short code."""
    if grounded and citations:
        return "final", "grounded"
    reason = "irrelevant" if not relevant else "ungrounded" if citations else "no_citation"
    return ("retry" if attempt < MAX_ATTEMPTS else "escalate"), reason


def _graded(question: str, passages: Sequence[Passage], ask: Ask) -> tuple[Passage, ...]:
    listed = "\n".join(f"{i}. {p.title}. {p.text}" for i, p in enumerate(passages, start=1))
    text = ask(
        [
            SystemMessage(prompts.RAG_GRADER),
            HumanMessage(f"Question: {question}\n\nPassages:\n{listed}"),
        ]
    )
    found = _JSON.search(text)
    try:
        numbers = json.loads(found.group()).get("relevant", []) if found else []
    except ValueError:
        numbers = []
    wanted = numbers if isinstance(numbers, list) else []
    return tuple(p for i, p in enumerate(passages, start=1) if i in wanted)


def _written(question: str, passages: Sequence[Passage], write: Ask) -> str:
    listed = "\n".join(f"[{p.id}] {p.title}. {p.text}" for p in passages)
    return write(
        [
            SystemMessage(prompts.RAG_ANSWER),
            HumanMessage(f"Question: {question}\n\nPassages:\n{listed}"),
        ]
    ).strip()


def _citations(answer: str, passages: Sequence[Passage]) -> tuple[str, ...]:
    """The passages that the answer really cites, in their order of use; made-up ids don't count."""
    known = {passage.id for passage in passages}
    return tuple(dict.fromkeys(i for i in _CITATION.findall(answer) if i in known))


def _is_grounded(answer: str, passages: Sequence[Passage], ask: Ask) -> bool:
    listed = "\n".join(f"[{p.id}] {p.text}" for p in passages)
    verdict = ask(
        [
            SystemMessage(prompts.RAG_JUDGE),
            HumanMessage(f"Answer: {answer}\n\nPassages:\n{listed}"),
        ]
    )
    return verdict.strip().lower().startswith("grounded")


def _rewritten(question: str, query: str, ask: Ask) -> str:
    text = ask(
        [
            SystemMessage(prompts.RAG_REWRITER),
            HumanMessage(f"Question: {question}\nLast query: {query}"),
        ]
    )
    return " ".join(text.split())[:300] or question
