"""What a node that the user calls a guardrail or a grader decided, as far as the graph shows it.

A guardrail's decision is, in this order: what its update says (`decision`, `verdict`, `outcome` and
the like, or a truth value such as `allowed` or `blocked`); an interrupt is to escalate; where it
went (to the end, or to a node that is named for refusing or for a person); a text that it changed
is redacted; everything else is allowed. A grader's is what its update says, or where it went.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from midwatch.instrumentors.langchain_updates import Update, read

_END = "__end__"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_DECISION_KEYS = ("decision", "verdict", "outcome", "action", "status", "result", "grade")
_REASON_KEYS = ("reason", "reason_code", "rule", "category")
_LONGEST_REASON = 64


def _kinds(**words: str) -> dict[str, str]:
    return {word: kind for kind, listed in words.items() for word in listed.split()}


_GATE_WORDS = _kinds(
    allow="allow allowed approve approved accept accepted clean pass passed permit permitted safe",
    deny="deny denied block blocked reject rejected refuse refused forbid forbidden unsafe",
    escalate="escalate escalated review human escalation",
    redact="redact redacted mask masked scrub scrubbed sanitize sanitized sanitise sanitised",
)
_GATE_TRUTHS = {
    **dict.fromkeys(("allowed", "approved", "is_allowed", "is_safe", "passed", "safe"), "allow"),
    **dict.fromkeys(("blocked", "denied", "flagged", "is_blocked", "rejected", "unsafe"), "deny"),
}
_OPPOSITE = {"allow": "deny", "deny": "allow"}
_GRADE_WORDS = _kinds(
    final="final answer finish generate generation relevant respond useful yes",
    retry="again no irrelevant query requery retrieve retrieval retry rewrite search transform",
    escalate="escalate escalated escalation fallback handoff human operator",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and the short code of its reason, empty if none is told."""

    decision: str
    reason: str = ""


def of_guardrail(
    inputs: object, updates: Sequence[Update], chosen: Sequence[str], *, interrupted: bool
) -> Verdict:
    """What a guardrail decided."""
    for item in _told(updates):
        word = _word_of(read(item, _DECISION_KEYS), _GATE_WORDS) or _truth_of(item)
        if word:
            return Verdict(word, _reason_of(item))
    if interrupted:
        return Verdict("escalate", "interrupt")
    if chosen:
        words = [_word_of(name, _GATE_WORDS) for name in chosen]
        refused = all(name == _END for name in chosen) or "deny" in words
        if refused:
            return Verdict("deny", "route")
        if "escalate" in words:
            return Verdict("escalate", "route")
    return Verdict("redact", "changed") if _changes_text(inputs, updates) else Verdict("allow")


def of_grader(updates: Sequence[Update], chosen: Sequence[str]) -> Verdict | None:
    """What a grader decided; None when neither its update nor its way tells."""
    for item in _told(updates):
        word = _word_of(read(item, _DECISION_KEYS), _GRADE_WORDS)
        if word:
            return Verdict(word, _reason_of(item))
    for name in chosen:
        word = "final" if name == _END else _word_of(name, _GRADE_WORDS)
        if word:
            return Verdict(word, name.strip("_"))
    return None


def graded_documents(inputs: object, updates: Sequence[Update]) -> tuple[int, int] | None:
    """How many documents a grader was given and how many it left."""
    if not isinstance(inputs, Mapping):
        return None
    for update in updates:
        for key, kept in update.items():
            given = inputs.get(key)
            if isinstance(given, list | tuple) and isinstance(kept, list | tuple):
                return len(given), len(kept)
    return None


def _told(updates: Sequence[Update]) -> Iterator[object]:
    """The updates themselves, then the records in them."""
    yield from updates
    for update in updates:
        for value in update.values():
            if isinstance(value, Mapping) or hasattr(value, "decision"):
                yield value


def _word_of(value: object, words: Mapping[str, str]) -> str:
    if not isinstance(value, str):
        return ""
    found = (words.get(word.lower()) for word in _WORD.findall(value))
    return next((kind for kind in found if kind), "")


def _truth_of(item: object) -> str:
    for name, kind in _GATE_TRUTHS.items():
        value = read(item, (name,))
        if isinstance(value, bool):
            return kind if value else _OPPOSITE[kind]
    return ""


def _reason_of(item: object) -> str:
    reason = read(item, _REASON_KEYS)
    # A code is a label's value; a sentence is not, and may hold what the user wrote.
    is_code = isinstance(reason, str) and len(reason) <= _LONGEST_REASON
    return reason if is_code and not re.search(r"\s", reason) else ""


def _changes_text(inputs: object, updates: Sequence[Update]) -> bool:
    if not isinstance(inputs, Mapping):
        return False
    return any(
        isinstance(new, str) and isinstance(old := inputs.get(key), str) and new != old
        for update in updates
        for key, new in update.items()
    )
