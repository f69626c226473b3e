"""The gates: what may reach the model, and what may reach the person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from security_agent.assistant.prompts import PRIVATE_FRAGMENTS

MAX_INPUT_CHARACTERS = 4000

_INJECTION = re.compile(
    r"\b(ignore|disregard|forget|override)\b"
    r".{0,40}\b(previous|prior|above|earlier|all|your|system)\b.{0,40}\b(instruction|prompt|rule|guideline|polic)"
    r"|\b(reveal|print|show|repeat|output|leak)\b.{0,40}\b(system|hidden|initial|secret)\b"
    r".{0,20}\b(prompt|instruction|message)"
    r"|\byou are now\b|\bdeveloper mode\b|\bjailbreak|\bDAN mode\b|\bpretend (to be|you are)\b"
    r"|\bwithout (asking for )?confirmation\b"
    r"|\b(skip|bypass|disable)\b.{0,30}\b(confirmation|gate|guardrail)s?\b",
    re.IGNORECASE | re.DOTALL,
)
_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S),
    re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    re.compile(r"\bsk-[A-Za-z0-9_-]{16,}\b"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{30,}\b"),
    re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    re.compile(r"(?i)\b(?:password|passwd|pwd|secret|api[_-]?key|token)\s*[:=]\s*\S{6,}"),
)
_OFF_TOPIC = re.compile(
    r"\b(recipe|poem|lyrics|song|joke|horoscope|football|soccer|movie|dating|weather|vacation"
    r"|homework|lottery|celebrity|cook(ing)?|bake|stock (tip|price)s?|crypto ?currency)\b",
    re.IGNORECASE,
)
_ON_TOPIC = re.compile(
    r"\b(secur|attack|alert|block|firewall|incident|malware|ransom|phish|password|login"
    r"|log(s|ging)?\b|protect|mode|vulnerab|patch|access|threat|intrusion"
    r"|ddos|leak|breach|report|status|policy)",
    re.IGNORECASE,
)
_CLAIM = re.compile(
    r"\b(?:has been|have been|was|were|is now|i(?:'ve| have)?)\s+(?:been\s+)?"
    r"(?:blocked|unblocked|set to|switched|changed|enabled|disabled)",
    re.IGNORECASE,
)
_REDACTED = "[redacted]"


@dataclass(frozen=True)
class GateDecision:
    """What a gate decided about a text, and the text to go on with."""

    gate: str
    decision: str
    reason: str
    text: str


def check_input(text: str) -> GateDecision:
    """The input gate: a denial ends the turn, a redaction goes on with the text without secrets."""
    if len(text) > MAX_INPUT_CHARACTERS:
        reply = f"That is too long: please keep it under {MAX_INPUT_CHARACTERS} characters."
        return GateDecision("input", "deny", "too_long", reply)
    if _INJECTION.search(text):
        reply = (
            "I can't follow instructions that try to change my rules or skip confirmations. Ask me"
            " what you need and I will help within them."
        )
        return GateDecision("input", "deny", "prompt_injection", reply)
    clean = _without_secrets(text)
    if _OFF_TOPIC.search(clean) and not _ON_TOPIC.search(clean):
        reply = (
            "I only help with security operations: status and alerts, protection mode and block"
            " list, and our policies and playbooks."
        )
        return GateDecision("input", "deny", "off_topic", reply)
    if clean != text:
        return GateDecision("input", "redact", "secret", clean)
    return GateDecision("input", "allow", "clean", text)


def check_output(
    text: str, *, agent: str, citations: Sequence[str], done: Sequence[str], escalated: bool
) -> GateDecision:
    """The output gate: removes leaks and refuses claims that nothing supports.

    Args:
        text: The answer.
        agent: Who answers.
        citations: What the answer cites.
        done: The changes that tools really made in this turn.
        escalated: Whether the answer only says that a person will take over.
    """
    if agent == "rag_agent" and not citations and not escalated:
        reply = "I could not support an answer from our documents, so I won't guess."
        return GateDecision("output", "deny", "missing_citation", reply)
    if agent == "config_manager" and not done and _CLAIM.search(text):
        reply = "I did not make a change: no tool reported one. Please check the status."
        return GateDecision("output", "deny", "unsupported_claim", reply)
    if any(fragment in text for fragment in PRIVATE_FRAGMENTS):
        lines = [line for line in text.splitlines() if not _is_private(line)]
        return GateDecision("output", "redact", "prompt_leak", "\n".join(lines).strip())
    clean = _without_secrets(text)
    if clean != text:
        return GateDecision("output", "redact", "secret", clean)
    return GateDecision("output", "allow", "clean", text)


def _is_private(line: str) -> bool:
    return any(fragment in line for fragment in PRIVATE_FRAGMENTS)


def _without_secrets(text: str) -> str:
    for pattern in _SECRETS:
        text = pattern.sub(_REDACTED, text)
    return text
