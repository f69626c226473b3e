"""A skill's reply as OpenAI's completion: ids, usage, finish reason, and the chunks of a stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from model_server.skills import ModelRequest, Reply
from model_server.tokens import PromptCache, count_tokens, tokenize

Json = dict[str, Any]

_REASONING_MODELS = ("gpt-5", "o1", "o3", "o4")


@dataclass(frozen=True)
class Usage:
    """Token counts of one completion; cached and reasoning tokens are parts of the totals."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def multiplied(self, factor: float) -> Usage:
        """All counts times a factor."""
        return Usage(
            *(
                round(count * factor)
                for count in (
                    self.prompt_tokens,
                    self.completion_tokens,
                    self.cached_tokens,
                    self.reasoning_tokens,
                )
            )
        )

    def as_json(self) -> Json:
        """OpenAI's usage object."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


@dataclass(frozen=True)
class Completion:
    """One completion, ready to be sent whole or in chunks, with its usage when it is `counted`."""

    id: str
    created: int
    model: str
    fingerprint: str
    reply: Reply
    finish_reason: str
    usage: Usage
    counted: bool = True

    def as_json(self) -> Json:
        """The body of an answer that is no stream."""
        message: Json = {
            "role": "assistant",
            "content": self.reply.text or None,
            "refusal": None,
            "annotations": [],
        }
        if self.reply.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
                }
                for call in self.reply.tool_calls
            ]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": self.finish_reason,
        }
        usage: Json = {"usage": self.usage.as_json()} if self.counted else {}
        return {**self._head("chat.completion"), "choices": [choice], **usage}

    def chunks(self, include_usage: bool) -> Iterator[Json]:
        """The chunks of a stream, without the closing `[DONE]`."""
        include_usage = include_usage and self.counted
        head = self._head("chat.completion.chunk")
        if include_usage:
            head["usage"] = None
        for delta in self._deltas():
            yield {**head, "choices": [_choice(delta, None)]}
        yield {**head, "choices": [_choice({}, self.finish_reason)]}
        if include_usage:
            yield {**head, "choices": [], "usage": self.usage.as_json()}

    def _deltas(self) -> Iterator[Json]:
        yield {
            "role": "assistant",
            "content": "" if self.reply.text or not self.reply.tool_calls else None,
            "refusal": None,
        }
        for piece in tokenize(self.reply.text):
            yield {"content": piece}
        for index, call in enumerate(self.reply.tool_calls):
            function = {"name": call.name, "arguments": ""}
            yield {
                "tool_calls": [
                    {"index": index, "id": call.id, "type": "function", "function": function}
                ]
            }
            for piece in tokenize(json.dumps(dict(call.arguments))):
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}

    def _head(self, kind: str) -> Json:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": self.fingerprint,
        }


def _choice(delta: Json, finish_reason: str | None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def prompt_tokens(request: ModelRequest) -> list[str]:
    """The tokens of the whole prompt in the order in which a provider caches it."""
    parts = [
        f"{tool.name} {tool.description} {json.dumps(tool.parameters)}" for tool in request.tools
    ]
    for message in request.messages:
        calls = "".join(f"{c.name}{json.dumps(dict(c.arguments))}" for c in message.tool_calls)
        parts.append(f"<{message.role}>{message.content}{calls}")
    return tokenize("\n".join(parts))


def complete(
    request: ModelRequest,
    reply: Reply,
    *,
    cache: PromptCache,
    random: Random,
    created: int,
    seed: int,
    max_tokens: int | None,
) -> Completion:
    """Give a reply its ids, cut it at `max_tokens`, and count its tokens."""
    prompt = prompt_tokens(request)
    reply, finish_reason = _limited(_with_call_ids(reply, random), max_tokens)
    answer = count_tokens(reply.text) + sum(
        count_tokens(call.name + json.dumps(dict(call.arguments))) for call in reply.tool_calls
    )
    counted = _counted(request.model, reply, prompt, answer, cache, random)
    digest = hashlib.blake2b(f"{seed}:{request.model}".encode(), digest_size=5).hexdigest()
    return Completion(
        id=f"chatcmpl-{random.getrandbits(116):029x}",
        created=created,
        model=request.model,
        fingerprint=f"fp_{digest}",
        reply=reply,
        finish_reason=finish_reason,
        usage=counted,
    )


def _counted(
    model: str, reply: Reply, prompt: list[str], answer: int, cache: PromptCache, random: Random
) -> Usage:
    override = reply.usage
    cached = cache.cached_tokens(model, prompt)
    thinks = model.startswith(_REASONING_MODELS)
    reasoning = override.reasoning_tokens
    if reasoning is None:
        reasoning = 64 * random.randint(1, 5) if thinks else 0
    return Usage(
        prompt_tokens=len(prompt) if override.prompt_tokens is None else override.prompt_tokens,
        completion_tokens=(
            answer + reasoning if override.completion_tokens is None else override.completion_tokens
        ),
        cached_tokens=cached if override.cached_tokens is None else override.cached_tokens,
        reasoning_tokens=reasoning,
    )


def _with_call_ids(reply: Reply, random: Random) -> Reply:
    calls = tuple(
        call if call.id else replace(call, id=f"call_{random.getrandbits(96):024x}")
        for call in reply.tool_calls
    )
    return replace(reply, tool_calls=calls)


def _limited(reply: Reply, max_tokens: int | None) -> tuple[Reply, str]:
    pieces = tokenize(reply.text)
    if max_tokens is not None and len(pieces) > max_tokens:
        return replace(reply, text="".join(pieces[:max_tokens]), tool_calls=()), "length"
    return reply, "tool_calls" if reply.tool_calls else "stop"
