"""The Google GenAI client: each call once, with its agent, its tokens and its cost."""

from __future__ import annotations

import asyncio
from typing import Any

import midwatch
import pytest
from google import genai
from google.genai import errors, types
from opentelemetry.trace import StatusCode

MODEL = "gemini-3.5-flash"
USAGE = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 400,
    "candidatesTokenCount": 40,
    "thoughtsTokenCount": 10,
    "totalTokenCount": 1050,
}


def answer(text: str = "hello there", *, usage: Any = USAGE, model: str = MODEL) -> dict[str, Any]:
    candidate: dict[str, Any] = {
        "content": {"role": "model", "parts": [{"text": text}]},
        "finishReason": "STOP",
        "index": 0,
    }
    found: dict[str, Any] = {"candidates": [candidate], "modelVersion": model, "responseId": "r1"}
    return {**found, "usageMetadata": usage} if usage else found


def client_of(server: Any, **options: Any) -> genai.Client:
    http = types.HttpOptions(base_url=server.url, **options)
    return genai.Client(api_key="k", http_options=http)


def plain(server: Any) -> None:
    server.will_answer(answer())
    with client_of(server) as client:
        client.models.generate_content(model=MODEL, contents="hi")


def streamed(server: Any) -> None:
    server.will_stream([answer("one ", usage=None), answer("two ", usage=None), answer("three")])
    with client_of(server) as client:
        list(client.models.generate_content_stream(model=MODEL, contents="hi"))


def plain_async(server: Any) -> None:
    server.will_answer(answer())

    async def ask() -> None:
        async with client_of(server).aio as client:
            await client.models.generate_content(model=MODEL, contents="hi")

    asyncio.run(ask())


def streamed_async(server: Any) -> None:
    server.will_stream([answer("one ", usage=None), answer("two ", usage=None), answer("three")])

    async def ask() -> None:
        async with client_of(server).aio as client:
            async for _ in await client.models.generate_content_stream(model=MODEL, contents="hi"):
                pass

    asyncio.run(ask())


WAYS = [plain, streamed, plain_async, streamed_async]


def test_the_client_is_instrumented_on_its_import_though_it_is_newer_than_the_official_bound(
    states,
):
    assert int(genai.__version__.partition(".")[0]) >= 3
    assert states["google-genai"] == "active"


@pytest.mark.parametrize("call", WAYS)
def test_a_call_is_recorded_once_with_agent_tokens_and_cost(seen, server, call):
    with midwatch.agent("researcher"):
        call(server)
    assert len(server.requests) == 1
    assert seen.count("agent.llm.requests", status="ok", agent="researcher", model=MODEL) == 1
    tokens = {
        kind: seen.count("agent.llm.tokens", token_type=kind, agent="researcher")
        for kind in ("input", "output", "cache_read", "reasoning")
    }
    assert tokens == {"input": 1000, "output": 50, "cache_read": 400, "reasoning": 10}
    assert seen.count("agent.llm.cost_usd", agent="researcher") > 0
    assert seen.count("agent.llm.unpriced_tokens") == 0
    assert len(seen.events("llm.called")) == 1


@pytest.mark.parametrize("call", WAYS)
def test_the_span_says_what_it_cost_and_by_which_table(seen, server, call):
    call(server)
    span = seen.span(f"generate_content {MODEL}")
    assert span.attributes["midwatch.llm.cost_usd"] > 0
    assert span.attributes["midwatch.llm.price.table"] == "genai-prices"
    assert span.attributes["gen_ai.usage.input_tokens"] == 1000
    assert span.status.status_code is not StatusCode.ERROR


@pytest.mark.parametrize("call", [streamed, streamed_async])
def test_a_stream_counts_its_chunks_and_the_time_to_the_first(seen, server, call):
    call(server)
    assert seen.count("agent.llm.stream_chunks") == 3
    assert seen.count("agent.llm.time_to_first_token") == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "rate_limit"), (503, "server_error"), (403, "authentication"), (400, "bad_request")],
)
def test_a_refusal_is_counted_by_its_kind(seen, server, status, kind):
    server.will_answer({"error": {"code": status, "message": "no", "status": "X"}}, status)
    with client_of(server) as client, pytest.raises(errors.APIError):
        client.models.generate_content(model=MODEL, contents="hi")
    assert seen.count("agent.llm.requests", status="error", error_type=kind) == 1


def test_a_server_that_does_not_answer_is_a_timeout(seen, server):
    server.will_hang()
    with client_of(server, timeout=100) as client, pytest.raises(Exception, match="time"):
        client.models.generate_content(model=MODEL, contents="hi")
    assert seen.count("agent.llm.requests", status="error", error_type="timeout") == 1


def test_a_stream_that_breaks_off_is_an_error_of_its_own_kind(seen, server):
    server.will_stream([answer("one ", usage=None)], cut=True)
    with client_of(server) as client, pytest.raises(Exception, match=r"closed|incomplete"):
        list(client.models.generate_content_stream(model=MODEL, contents="hi"))
    assert seen.count("agent.llm.requests", status="error", error_type="stream_cut") == 1


def test_a_stream_that_nobody_listens_to_any_more_is_no_error(seen, server):
    server.will_stream([answer(f"{number} ", usage=None) for number in range(50)])
    with client_of(server) as client:
        stream = client.models.generate_content_stream(model=MODEL, contents="hi")
        next(stream)
        stream.close()
    assert seen.count("agent.llm.requests", status="error") == 0
    assert seen.count("agent.llm.requests") == 1
    assert seen.span(f"generate_content {MODEL}").status.status_code is not StatusCode.ERROR


def test_an_answer_without_usage_is_counted_as_such(seen, server):
    server.will_answer(answer(usage=None))
    with client_of(server) as client:
        client.models.generate_content(model=MODEL, contents="hi")
    assert seen.count("midwatch.llm.usage_missing", model=MODEL) == 1
    assert seen.span(f"generate_content {MODEL}").attributes["midwatch.llm.usage_missing"] is True


def test_a_model_that_no_table_knows_is_counted_and_never_guessed(seen, server):
    server.will_answer(answer(model="gemini-of-the-house"))
    with client_of(server) as client:
        client.models.generate_content(model="gemini-of-the-house", contents="hi")
    assert seen.count("agent.llm.unpriced_tokens", model="gemini-of-the-house") == 1050


def test_embeddings_are_calls_too(seen, server):
    server.will_answer({"embeddings": [{"values": [0.1, 0.2], "statistics": {"tokenCount": 7}}]})
    with client_of(server) as client:
        client.models.embed_content(model="gemini-embedding-001", contents="hi")
    assert seen.count("agent.llm.requests", status="ok", model="gemini-embedding-001") == 1
