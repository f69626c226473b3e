"""Messages as models are sent them, in the forms that libraries write, as parts to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from midwatch_ledger.models.content import HIDDEN

PartKind = Literal["text", "call", "result", "hidden", "other"]


@dataclass(frozen=True)
class Part:
    """One part of a message: what was said, a tool that is called, or what a tool gave."""

    kind: PartKind
    text: str
    name: str = ""


@dataclass(frozen=True)
class Said:
    """One message."""

    role: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """Its texts, without calls and results."""
        return "\n".join(part.text for part in self.parts if part.kind in ("text", "hidden"))


def read(content: Any) -> list[Said]:
    """Return the messages of a column that holds content; what is no list of messages is one."""
    if content is None or content == "":
        return []
    if content == HIDDEN:
        return [Said("", (Part("hidden", HIDDEN),))]
    if isinstance(content, str) and content[:1] in "[{":
        try:
            content = orjson.loads(content)
        except orjson.JSONDecodeError:
            return [Said("", (Part("text", str(content)),))]
    messages = content if isinstance(content, list) else [content]
    if not all(isinstance(one, dict) and "role" in one for one in messages):
        return [Said("", (Part("text", as_text(content)),))]
    return [Said(str(one["role"]), tuple(_parts(one))) for one in messages]


def as_text(value: Any) -> str:
    """Return a value as people read it."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and len(value) == 1:
        (only,) = value.values()
        if isinstance(only, str):
            return only
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()


def _parts(message: dict[str, Any]) -> list[Part]:
    found: list[Part] = []
    for content in (message.get("parts"), message.get("content")):
        if isinstance(content, list):
            found += [_part(one) for one in content]
        elif content is not None and content != "":
            found.append(Part("result" if message["role"] == "tool" else "text", as_text(content)))
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function", call) if isinstance(call, dict) else {}
        arguments = as_text(function.get("arguments") or "")
        found.append(Part("call", arguments, str(function.get("name") or "tool")))
    return found


def _part(part: Any) -> Part:
    if not isinstance(part, dict):
        return Part("text", as_text(part))
    kind = str(part.get("type") or "text")
    if kind in ("tool_call", "tool_use", "function_call"):
        arguments = part.get("arguments", part.get("input"))
        return Part("call", "" if arguments is None else as_text(arguments), str(part.get("name")))
    if kind in ("tool_call_response", "tool_result"):
        return Part(
            "result", as_text(part.get("response", part.get("result", part.get("content"))))
        )
    text = part.get("content", part.get("text"))
    return Part("other", kind) if text is None else Part("text", as_text(text))
