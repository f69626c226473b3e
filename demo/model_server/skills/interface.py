"""What a skill is: one thing that the scripted model knows how to do.

A skill recognises an ordinary prompt (usually by the role that its system prompt describes) and
answers as a plausible model would. Skills know nothing of HTTP: the server turns a `Reply` into
a completion or a stream, counts tokens, and applies latency and transport faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool; the server gives it an id when the skill leaves it empty."""

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True)
class Message:
    """One message of the conversation; `content` is its text, parts joined."""

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True)
class Tool:
    """A tool that the caller offers, with the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelRequest:
    """A chat request as a skill sees it.

    Attributes:
        model: The name the caller asked for.
        messages: The conversation, oldest first.
        tools: The tools that the caller offers.
        required_tool: The tool that the caller insists on: a name, `"*"` for any, `""` for none.
        json_schema: The schema of a structured answer, when the caller asked for one.
        json_object: Whether the caller asked for any JSON object.
        faults: Names of the active faults that change *what* is said (`handoff-loop`,
            `one-sided-routing`, `irrelevant-retrieval`) and that apply to this request.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    required_tool: str = ""
    json_schema: Mapping[str, object] | None = None
    json_object: bool = False
    faults: frozenset[str] = frozenset()

    @property
    def system_text(self) -> str:
        """All system and developer messages, joined."""
        return "\n".join(m.content for m in self.messages if m.role in {"system", "developer"})

    @property
    def last_user_text(self) -> str:
        """The newest user message, or an empty text."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")

    def tool_results(self) -> tuple[str, ...]:
        """The texts of the tool messages after the newest user message."""
        results: list[str] = []
        for message in reversed(self.messages):
            if message.role == "user":
                break
            if message.role == "tool":
                results.append(message.content)
        return tuple(reversed(results))


@dataclass(frozen=True)
class UsageOverride:
    """Token counts that replace what the server would count itself; `None` keeps its count."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True)
class Reply:
    """What the model says: a text, tool calls, or both."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: UsageOverride = UsageOverride()


class Skill(Protocol):
    """One thing that the scripted model knows how to do."""

    @property
    def name(self) -> str:
        """A unique name `<application>.<role>`; a fault filter takes it or `<application>`."""

    def matches(self, request: ModelRequest) -> bool:
        """Whether this skill is meant; cheap, and true for one skill only."""

    def reply(self, request: ModelRequest, random: Random) -> Reply:
        """Answer; `random` is seeded by the server's seed and the request, nothing else."""
