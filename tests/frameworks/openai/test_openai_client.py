"""The OpenAI client in its own environment: chat, responses, embeddings, structured output."""

from __future__ import annotations

import asyncio
from typing import Any

import midwatch
import openai
import pytest
from opentelemetry.trace import StatusCode
from pydantic import BaseModel

MODEL = "gpt-4o-mini"
ANSWERED = "gpt-4o-mini-2024-07-18"
MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]
COST = (600 * 0.15 + 400 * 0.075 + 500 * 0.60) / 1e6
CHAT_USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 500,
    "total_tokens": 1500,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 100},
}
RESPONSE_USAGE = {
    "input_tokens": 1000,
    "output_tokens": 500,
    "total_tokens": 1500,
    "input_tokens_details": {"cached_tokens": 400},
    "output_tokens_details": {"reasoning_tokens": 100},
}


def completion(text: str = "hello") -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": ANSWERED,
        "system_fingerprint": "fp_0123456789",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": CHAT_USAGE,
    }


def response(status: str = "completed", usage: Any = RESPONSE_USAGE) -> dict[str, Any]:
    text = {"type": "output_text", "text": "hello", "annotations": []}
    message = {
        "type": "message",
        "id": "m1",
        "status": "completed",
        "role": "assistant",
        "content": [text],
    }
    return {
        "id": "r1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": ANSWERED,
        "output": [message] if status == "completed" else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }


def response_events(words: int = 3) -> list[tuple[str, dict[str, Any]]]:
    begun = response("in_progress", None)
    deltas = [
        (
            "response.output_text.delta",
            {
                "type": "response.output_text.delta",
                "item_id": "m1",
                "output_index": 0,
                "content_index": 0,
                "sequence_number": number + 1,
                "delta": f"word{number} ",
                "logprobs": [],
            },
        )
        for number in range(words)
    ]
    return [
        (
            "response.created",
            {"type": "response.created", "sequence_number": 0, "response": begun},
        ),
        *deltas,
        (
            "response.completed",
            {
                "type": "response.completed",
                "sequence_number": words + 1,
                "response": response(),
            },
        ),
    ]


def chunks(*, usage: bool, words: int = 3) -> list[Any]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {
            "id": "c1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": ANSWERED,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }

    told: list[Any] = [chunk({"role": "assistant", "content": f"w{n} "}) for n in range(words)]
    told.append(chunk({}, "stop"))
    if usage:
        told.append({**chunk({}), "choices": [], "usage": CHAT_USAGE})
    return [*told, "[DONE]"]


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.url, api_key="k", max_retries=0) as made:
        yield made


class Verdict(BaseModel):
    good: bool


def by_chat(server, client) -> None:
    server.will_answer(completion())
    client.chat.completions.create(model=MODEL, messages=MESSAGES)


def by_structured_output(server, client) -> None:
    server.will_answer(completion('{"good": true}'))
    parsed = client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Verdict)
    assert parsed.choices[0].message.parsed.good


def by_responses(server, client) -> None:
    server.will_answer(response())
    client.responses.create(model=MODEL, input="hi")


def by_responses_stream(server, client) -> None:
    server.will_stream(response_events())
    list(client.responses.create(model=MODEL, input="hi", stream=True))


def by_chat_stream(server, client) -> None:
    server.will_stream(chunks(usage=True))
    stream = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    list(stream)


def by_responses_async(server, client) -> None:
    server.will_answer(response())

    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k") as asking:
            await asking.responses.create(model=MODEL, input="hi")

    asyncio.run(ask())


WAYS = [
    by_chat,
    by_structured_output,
    by_responses,
    by_responses_stream,
    by_chat_stream,
    by_responses_async,
]


@pytest.mark.parametrize("call", WAYS)
def test_a_call_is_recorded_once_with_agent_tokens_and_cost(seen, server, client, call):
    with midwatch.agent("clerk"):
        call(server, client)
    labels = {"agent": "clerk", "provider": "openai", "model": ANSWERED}
    assert seen.count("agent.llm.requests", status="ok", **labels) == 1
    tokens = {
        kind: seen.count("agent.llm.tokens", token_type=kind, **labels)
        for kind in ("input", "output", "cache_read", "reasoning")
    }
    assert tokens == {"input": 1000, "output": 500, "cache_read": 400, "reasoning": 100}
    assert seen.count("agent.llm.cost_usd", **labels) == pytest.approx(COST)
    span = seen.span(f"chat {MODEL}")
    assert span.attributes["midwatch.llm.cost_usd"] == pytest.approx(COST)
    assert span.attributes["gen_ai.agent.name"] == "clerk"


def test_the_fingerprint_of_a_provider_is_no_label_of_ours(seen, server, client):
    by_chat(server, client)
    ours = [name for name in seen.metric_names() if name.startswith(("agent.", "midwatch."))]
    assert ours
    labels = {key for name in ours for found in seen.labels(name) for key in found}
    assert not [key for key in labels if "fingerprint" in key]


def test_a_stream_that_was_not_asked_for_its_usage_is_counted_as_missing(seen, server, client):
    server.will_stream(chunks(usage=False))
    list(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
    assert seen.count("agent.llm.requests", status="ok") == 1
    assert seen.count("agent.llm.cost_usd") == 0
    assert seen.count("midwatch.llm.usage_missing", model=ANSWERED) == 1


@pytest.mark.parametrize("call", [by_chat_stream, by_responses_stream])
def test_a_stream_counts_its_chunks_and_the_time_to_the_first(seen, server, client, call):
    call(server, client)
    assert seen.count("agent.llm.stream_chunks") >= 3
    assert seen.count("agent.llm.time_to_first_token") == 1


def test_a_response_stream_that_nobody_listens_to_any_more_is_no_error(seen, server, client):
    server.will_stream(response_events(words=50))
    with client.responses.create(model=MODEL, input="hi", stream=True) as stream:
        next(iter(stream))
    assert seen.span(f"chat {MODEL}").status.status_code is not StatusCode.ERROR
    assert seen.count("agent.llm.requests", status="error") == 0
    assert seen.count("agent.llm.requests") == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "rate_limit"), (503, "server_error"), (401, "authentication"), (404, "bad_request")],
)
def test_a_refused_response_is_counted_by_its_kind(seen, server, client, status, kind):
    server.will_answer({"error": {"message": "no", "type": "x", "code": "x"}}, status)
    with pytest.raises(openai.APIStatusError):
        client.responses.create(model=MODEL, input="hi")
    assert seen.count("agent.llm.requests", status="error", error_type=kind) == 1


def test_a_server_that_does_not_answer_is_a_timeout(seen, server, client):
    server.will_hang()
    with pytest.raises(openai.APITimeoutError):
        client.responses.create(model=MODEL, input="hi", timeout=0.1)
    assert seen.count("agent.llm.requests", status="error", error_type="timeout") == 1


def test_embeddings_are_priced(seen, server, client):
    data = [{"object": "embedding", "index": 0, "embedding": [0.1]}]
    server.will_answer(
        {
            "object": "list",
            "data": data,
            "model": "text-embedding-3-small",
            "usage": {"prompt_tokens": 1000, "total_tokens": 1000},
        }
    )
    client.embeddings.create(model="text-embedding-3-small", input="hi", encoding_format="float")
    assert seen.count("agent.llm.cost_usd", model="text-embedding-3-small") == pytest.approx(2e-5)


def test_parallel_calls_keep_their_agents(seen, server):
    for _ in range(3):
        server.will_answer(response())

    async def ask(client: openai.AsyncOpenAI, agent: str) -> None:
        async with midwatch.agent(agent):
            await client.responses.create(model=MODEL, input="hi")

    async def all_at_once() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k") as client:
            await asyncio.gather(*(ask(client, agent) for agent in ("one", "two", "three")))

    asyncio.run(all_at_once())
    for agent in ("one", "two", "three"):
        assert seen.count("agent.llm.cost_usd", agent=agent) == pytest.approx(COST)


@pytest.mark.parametrize("tier", ["default", "flex", "priority"])
def test_a_tier_of_service_costs_what_that_tier_costs(seen, server, client, tier):
    factor = {"default": 1, "flex": 0.5, "priority": 1.8}[tier]
    server.will_answer({**completion(), "model": "gpt-5-mini-2025-08-07", "service_tier": tier})
    server.will_answer({**response(), "model": "gpt-5-mini-2025-08-07", "service_tier": tier})
    client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES)
    client.responses.create(model="gpt-5-mini", input="hi")
    standard = (600 * 0.25 + 400 * 0.025 + 500 * 2.0) / 1e6
    assert seen.count("agent.llm.cost_usd") == pytest.approx(2 * factor * standard)


def test_a_tier_that_no_table_prices_is_counted_and_never_guessed(seen, server, client):
    server.will_answer({**completion(), "service_tier": "scale"})
    client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert seen.count("agent.llm.cost_usd") == 0
    assert seen.count("agent.llm.unpriced_tokens", model=ANSWERED) == 1500
