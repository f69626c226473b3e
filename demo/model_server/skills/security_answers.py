"""The words of the security roles: summaries of tool results, and answers from passages."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

from model_server.embeddings import content_words

Passages = list[tuple[str, str]]

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_PASSAGE = re.compile(r"^(?:(\d+)\.|\[([^\]]+)\]) (.*)$", re.MULTILINE)
_NEAR = {
    "block": "deny ban address",
    "patch": "vulnerability update deadline",
    "mode": "strict balanced protection",
    "leak": "exposed secret data",
    "login": "credential password account",
    "attack": "incident intrusion alert",
    "supplier": "third party access",
    "mail": "phishing message",
}
_MORE_WORDS = ("procedure", "response", "policy", "steps")


def summary(results: Sequence[str], random: Random) -> str:
    """What the tool results say, failures included."""
    opening = random.choice(("Here is what I see.", "This is the current picture.", "As of now:"))
    return " ".join([opening, *(_told(result) for result in results)])


def change_result(results: Sequence[str]) -> str:
    """What came of a change, in words that claim nothing which did not happen."""
    failed = [result for result in results if result.startswith("ERROR")]
    if failed:
        return f"That did not work. {_told(failed[0])}"
    body = _json(results[-1])
    if body.get("state") == "removed":
        return f"The block of {body.get('address')} is gone."
    if "mode" in body:
        return f"The protection mode is {body['mode']}."
    return "The appliance accepted it."


def question_and_passages(text: str) -> tuple[str, Passages]:
    """The question and the passages, each with its id or number, of a prompt that lists them."""
    question, _mark, listed = text.partition("\n\nPassages:\n")
    passages = [(number or key, body) for number, key, body in _PASSAGE.findall(listed)]
    return question.removeprefix("Question:").strip(), passages


def is_relevant(question: str, passage: str) -> bool:
    """Whether a passage shares enough of the question's words, or one with its title."""
    asked = set(content_words(question))
    shared = asked & set(content_words(passage))
    in_title = asked & set(content_words(passage.partition(". ")[0]))
    return len(shared) >= 2 or bool(in_title) or (bool(asked) and len(shared) / len(asked) >= 0.5)


def cited_answer(question: str, passages: Passages) -> str:
    """The up to three sentences that fit the question best, in the passages' order, with ids."""
    asked = set(content_words(question))
    scored: list[tuple[float, int, str, str]] = []
    for key, body in passages:
        title, _dot, text = body.partition(". ")
        bonus = len(asked & set(content_words(title)))
        for sentence in _SENTENCE.split(text):
            score = len(asked & set(content_words(sentence))) + bonus
            scored.append((score, len(scored), key, sentence))
    best = sorted(sorted(scored, key=lambda entry: -entry[0])[:3], key=lambda entry: entry[1])
    if not best:
        return "The passages do not answer the question."
    return " ".join(f"{sentence.rstrip('.')} [{key}]." for _s, _n, key, sentence in best)


def is_supported(answer: str, passages: str) -> bool:
    """Whether nearly all words of the answer come from the passages."""
    said = set(content_words(re.sub(r"\[[^\]]*\]", " ", answer)))
    return bool(said) and len(said & set(content_words(passages))) / len(said) >= 0.8


def other_words(question: str, random: Random) -> str:
    """A query of other words for the same thing."""
    words = content_words(question)
    near = [other for word in words for key, other in _NEAR.items() if word.startswith(key)]
    return " ".join([*words, *near, random.choice(_MORE_WORDS)])


def _told(result: str) -> str:
    if result.startswith("ERROR"):
        reason = result.removeprefix("ERROR:").strip()
        return f"I could not read everything: {reason}. Please try again or look at the console."
    body = _json(result)
    if "alerts" in body:
        return _alerts_told(body["alerts"])
    if "blocks" in body:
        names = ", ".join(str(block.get("address")) for block in body["blocks"]) or "none"
        return f"Blocked addresses: {names}."
    if "alerts_by_rule" in body:
        rules = ", ".join(f"{rule} ({count})" for rule, count in body["alerts_by_rule"].items())
        return (
            f"In the last {body['period']} {body['blocked_requests']} requests were refused; alerts"
            f" by rule: {rules}; the busiest source is {body['top_source']}."
        )
    if "open_alerts" in body:
        return (
            f"Protection mode {body['mode']}, health {body['health']}, {body['open_alerts']} open"
            f" alerts ({body['high_alerts']} high), {body['blocked']} addresses on the block list,"
            f" {body['requests_per_minute']} requests a minute."
        )
    return f"The tool answered: {result[:200]}"


def _alerts_told(alerts: list[dict[str, str]]) -> str:
    if not alerts:
        return "There is no such open alert."
    newest = "; ".join(
        f"{a['id']} {a['severity']}: {a['summary']} from {a['source']}" for a in alerts[:3]
    )
    return f"{len(alerts)} open alerts, the newest: {newest}."


def _json(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
