"""Keeps the newest messages of a long history, and says how many are left out."""

from __future__ import annotations

import json
from collections.abc import Sequence

from midwatch.pipeline.content_names import INPUT_MESSAGES, OUTPUT_MESSAGES

CUT_ROLE = "midwatch"
"""The role of the entry that stands for the messages that were left out."""


def cut_messages(name: str, text: str, most_bytes: int) -> str:
    """The JSON list of messages with the oldest left out, if it is one and too long."""
    if len(text) * 4 <= most_bytes or name not in (INPUT_MESSAGES, OUTPUT_MESSAGES):
        return text
    if len(text.encode("utf-8", "replace")) <= most_bytes:
        return text
    try:
        messages = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(messages, list):
        return text
    return joined([dumped(message) for message in messages], most_bytes)


def joined(messages: Sequence[str], most_bytes: int) -> str:
    """A JSON list of messages that are JSON already; the newest that fit, at least the last."""
    room = most_bytes
    first = len(messages)
    while first > 0:
        room -= size(messages[first - 1]) + 1
        if room < 0 and first < len(messages):
            break
        first -= 1
    kept = messages[first:]
    if first:
        kept = [cut_entry(first, sum(map(len, messages[:first]))), *kept]
    return f"[{','.join(kept)}]"


def cut_entry(messages: int, characters: int) -> str:
    """The entry that says what was left out at its place."""
    part = {"type": "cut", "messages": messages, "characters": characters}
    return dumped({"role": CUT_ROLE, "parts": [part]})


def size(text: str) -> int:
    """The bytes of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def dumped(value: object) -> str:
    """The value as compact JSON; what JSON does not know becomes its text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
