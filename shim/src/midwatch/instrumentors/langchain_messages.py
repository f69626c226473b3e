"""LangChain's messages as the GenAI conventions write them, with every text as it may leave."""

from __future__ import annotations

import json.encoder
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage

from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.content_cut import cut_entry, dumped, size

_ROLES: Mapping[str, str] = {
    "human": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "function": "tool",
}
_TEXT_BLOCKS: Mapping[str, str] = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
    "reasoning": "reasoning",
    "thinking": "thinking",
}
_quote = json.encoder.encode_basestring


@dataclass(frozen=True, slots=True)
class Captured:
    """Messages as JSON by the conventions, and as a person reads them."""

    messages: str
    instructions: str
    text: str


def capture(policy: ContentPolicy, messages: Sequence[BaseMessage]) -> Captured:
    """The messages as they may leave: the newest that fit, with a word on what was left out.

    What begins the messages as the system's is also among the instructions, not the messages.
    """
    first = 0
    while first < len(messages) and messages[first].type == "system":
        first += 1
    system = [_text_part(policy, message.text) for message in messages[:first]]
    entries, lines, room = [], [], policy.max_bytes
    index = len(messages)
    while index > first and room > 0:
        index -= 1
        entry, line = _message(policy, messages[index], room)
        entries.append(entry)
        lines.append(line)
        room -= size(entry)
    if index > first:
        left_out = sum(len(message.text) for message in messages[first:index])
        entries.append(cut_entry(index - first, left_out))
        lines.append(f"[cut: {index - first} messages]")
    lines.extend(
        f"system: {policy.content(message.text)}" for message in reversed(messages[:first])
    )
    vouch = policy.redactor.vouch
    return Captured(
        vouch(f"[{','.join(reversed(entries))}]"),
        vouch(f"[{','.join(system)}]") if system else "",
        vouch("\n".join(reversed(lines))),
    )


def capture_prompts(policy: ContentPolicy, prompts: Sequence[str]) -> Captured:
    """The prompts of a completion model, each as a user's message."""
    texts = [policy.content(prompt) or "" for prompt in prompts]
    entries = [f'{{"role":"user","parts":[{_quoted_part(text)}]}}' for text in texts]
    vouch = policy.redactor.vouch
    return Captured(vouch(f"[{','.join(entries)}]"), "", vouch("\n".join(texts)))


def capture_answers(policy: ContentPolicy, answers: Sequence[tuple[BaseMessage | str, str]]) -> str:
    """Answers as JSON by the conventions, each with its finish reason."""
    entries: list[str] = []
    for answer, reason in answers:
        if isinstance(answer, str):
            parts = [_text_part(policy, answer)]
        else:
            parts, _ = _parts(policy, answer, policy.max_bytes)
        entries.append(
            f'{{"role":"assistant","parts":[{",".join(parts)}],"finish_reason":{_quote(reason)}}}'
        )
    return policy.redactor.vouch(f"[{','.join(entries)}]")


def _message(policy: ContentPolicy, message: BaseMessage, room: int) -> tuple[str, str]:
    kind = message.type
    role = _ROLES.get(kind) or str(getattr(message, "role", "") or kind)
    parts, text = _parts(policy, message, room)
    return f'{{"role":{_quote(role)},"parts":[{",".join(parts)}]}}', f"{kind}: {text}"


def _parts(policy: ContentPolicy, message: BaseMessage, room: int) -> tuple[list[str], str]:
    content = message.content
    if message.type == "tool":
        text = whole(policy.head(message.text, room))
        called = _quote(str(getattr(message, "tool_call_id", "") or ""))
        return [f'{{"type":"tool_call_response","id":{called},"response":{_quote(text)}}}'], text
    if isinstance(content, str):
        text = whole(policy.head(content, room))
        parts = [_quoted_part(text)] if text else []
    else:
        parts, texts = _blocks(policy, content, room)
        text = "".join(texts)
    if message.type not in ("ai", "AIMessageChunk"):
        return parts, text
    for call in getattr(message, "tool_calls", None) or ():
        parts.append(_tool_call(policy, call, room))
    return parts, text


def _blocks(policy: ContentPolicy, blocks: Sequence[Any], room: int) -> tuple[list[str], list[str]]:
    parts: list[str] = []
    texts: list[str] = []
    for block in blocks:
        kind = "text" if isinstance(block, str) else str(block.get("type") or "unknown")
        if kind in _TEXT_BLOCKS:
            given = block if isinstance(block, str) else block.get(_TEXT_BLOCKS[kind])
            text = whole(policy.head(str(given or ""), room))
            room -= len(text)
            parts.append(_quoted_part(text, "text" if kind != "reasoning" else kind))
            if _TEXT_BLOCKS[kind] == "text":
                texts.append(text)
        elif kind not in ("tool_use", "tool_call", "function_call"):
            # Pictures and files are named, not kept; calls of tools have parts of their own.
            parts.append(f'{{"type":{_quote(policy.scrub(kind))}}}')
    return parts, texts


def _tool_call(policy: ContentPolicy, call: Mapping[str, Any], room: int) -> str:
    name, call_id = str(call.get("name") or ""), str(call.get("id") or "")
    arguments = json_of(policy, call.get("args"))
    kept = policy.head(arguments, max(room, 1))
    # What is cut is no JSON any more.
    written = arguments if kept == arguments and arguments[:1] in ("{", "[") else _quote(kept)
    return (
        f'{{"type":"tool_call","id":{_quote(call_id)},"name":{_quote(policy.scrub(name))},'
        f'"arguments":{written}}}'
    )


def json_of(policy: ContentPolicy, value: object) -> str:
    """A value as JSON, each text in it as it may leave; a text stays as it is."""
    if isinstance(value, str):
        return whole(policy.scrub(value))
    clean = policy.attribute("arguments", {"": value} if value is not None else None)
    inner = clean.get("") if isinstance(clean, Mapping) else None
    return policy.redactor.vouch(whole(dumped(inner)))


def whole(text: str) -> str:
    """The text without halves of characters, which UTF-8 cannot write."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def _text_part(policy: ContentPolicy, text: str) -> str:
    return _quoted_part(whole(policy.content(text) or ""))


def _quoted_part(text: str, kind: str = "text") -> str:
    return f'{{"type":"{kind}","content":{_quote(text)}}}'
