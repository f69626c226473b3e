"""The Anthropic client: each call once, with its agent, its tokens and its cost."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import midwatch
import pytest
from opentelemetry.trace import StatusCode

MODEL = "claude-sonnet-5-5"
ANSWERED = "claude-sonnet-5-5-20260929"
USAGE = {
    "input_tokens": 100,
    "output_tokens": 50,
    "cache_read_input_tokens": 400,
    "cache_creation_input_tokens": 200,
}
COST = (100 * 2 + 400 * 0.1 + 200 * 2.5 + 50 * 10) / 1e6
ASK: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "hi"}],
}


def message(**more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": ANSWERED,
        "content": [{"type": "text", "text": "hello there"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
        **more,
    }


def events(words: int = 3) -> list[tuple[str, dict[str, Any]]]:
    begin = message(content=[], stop_reason=None, usage={**USAGE, "output_tokens": 1})
    block = {"type": "text", "text": ""}
    deltas = [
        (
            "content_block_delta",
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": f"word{number} "},
            },
        )
        for number in range(words)
    ]
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        ("message_start", {"type": "message_start", "message": begin}),
        (
            "content_block_start",
            {"type": "content_block_start", "index": 0, "content_block": block},
        ),
        *deltas,
        ("content_block_stop", {"type": "content_block_stop", "index": 0}),
        ("message_delta", {"type": "message_delta", "delta": end, "usage": {"output_tokens": 50}}),
        ("message_stop", {"type": "message_stop"}),
    ]


@pytest.fixture
def client(server):
    with anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0) as made:
        yield made


def plain(server) -> None:
    server.will_answer(message())
    with anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0) as client:
        client.messages.create(**ASK)


def streamed(server) -> None:
    server.will_stream(events())
    with anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0) as client:
        list(client.messages.create(**ASK, stream=True))


def streamed_by_helper(server) -> None:
    server.will_stream(events())
    with (
        anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0) as client,
        client.messages.stream(**ASK) as stream,
    ):
        assert len(list(stream)) >= 3
        assert stream.get_final_text() == "word0 word1 word2 "


def plain_async(server) -> None:
    server.will_answer(message())

    async def ask() -> None:
        async with anthropic.AsyncAnthropic(
            base_url=server.url, api_key="k", max_retries=0
        ) as client:
            await client.messages.create(**ASK)

    asyncio.run(ask())


def streamed_async(server) -> None:
    server.will_stream(events())

    async def ask() -> None:
        async with anthropic.AsyncAnthropic(
            base_url=server.url, api_key="k", max_retries=0
        ) as client:
            async for _ in await client.messages.create(**ASK, stream=True):
                pass

    asyncio.run(ask())


def streamed_async_by_helper(server) -> None:
    server.will_stream(events())

    async def ask() -> None:
        async with (
            anthropic.AsyncAnthropic(base_url=server.url, api_key="k", max_retries=0) as client,
            client.messages.stream(**ASK) as stream,
        ):
            async for _ in stream:
                pass
            await stream.get_final_message()

    asyncio.run(ask())


STREAMS = [streamed, streamed_by_helper, streamed_async, streamed_async_by_helper]


def test_the_client_is_instrumented_on_its_import(states):
    assert states["anthropic"] == "active"


@pytest.mark.parametrize("call", [plain, plain_async, *STREAMS])
def test_a_call_is_recorded_once_with_agent_tokens_and_cost(seen, server, call):
    with midwatch.agent("writer"):
        call(server)
    assert len(server.requests) == 1
    labels = {"agent": "writer", "provider": "anthropic", "model": ANSWERED}
    assert seen.count("agent.llm.requests", status="ok", **labels) == 1
    tokens = {
        kind: seen.count("agent.llm.tokens", token_type=kind, **labels)
        for kind in ("input", "output", "cache_read", "cache_write")
    }
    assert tokens == {"input": 700, "output": 50, "cache_read": 400, "cache_write": 200}
    assert seen.count("agent.llm.cost_usd", **labels) == pytest.approx(COST)
    assert len(seen.events("llm.called")) == 1
    assert seen.count("agent.llm.unpriced_tokens") == 0


@pytest.mark.parametrize("call", [plain, plain_async, *STREAMS])
def test_the_span_says_what_it_cost_and_by_which_table(seen, server, call):
    call(server)
    span = seen.span(f"chat {MODEL}")
    assert span.attributes["midwatch.llm.cost_usd"] == pytest.approx(COST)
    assert span.attributes["midwatch.llm.price.table"] == "genai-prices"
    assert span.attributes["midwatch.llm.price.version"]
    assert span.attributes["gen_ai.provider.name"] == "anthropic"
    assert span.attributes["gen_ai.usage.input_tokens"] == 700
    assert span.attributes["gen_ai.usage.output_tokens"] == 50
    assert span.status.status_code is not StatusCode.ERROR


@pytest.mark.parametrize("call", [plain, streamed, streamed_async_by_helper])
def test_what_the_cache_keeps_for_an_hour_is_priced_as_that(seen, server, monkeypatch, call):
    kept = {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 150}
    monkeypatch.setitem(USAGE, "cache_creation", kept)
    call(server)
    span = seen.span(f"chat {MODEL}")
    assert span.attributes["midwatch.llm.cache_write_1h_tokens"] == 150
    # Twice the price of input, instead of five quarters of it.
    dearer = COST + 150 * (4 - 2.5) / 1e6
    assert span.attributes["midwatch.llm.cost_usd"] == pytest.approx(dearer)


@pytest.mark.parametrize(("tier", "part"), [("standard", 1), ("batch", 0.5)])
def test_the_tier_that_served_a_call_decides_on_its_price(seen, server, monkeypatch, tier, part):
    monkeypatch.setitem(USAGE, "service_tier", tier)
    plain(server)
    span = seen.span(f"chat {MODEL}")
    assert span.attributes["midwatch.llm.service_tier"] == tier
    assert span.attributes["midwatch.llm.cost_usd"] == pytest.approx(COST * part)


@pytest.mark.parametrize("call", STREAMS)
def test_a_stream_counts_its_chunks_and_the_time_to_the_first(seen, server, call):
    call(server)
    assert seen.count("agent.llm.stream_chunks") >= 3
    assert seen.count("agent.llm.time_to_first_token") == 1


def test_the_clients_request_is_below_the_calls_span(seen, server):
    plain(server)
    assert seen.tree(without=()) == [f"chat {MODEL}", "  POST"]
    assert "traceparent" in server.headers[0]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, "rate_limit"),
        (500, "server_error"),
        (529, "server_error"),
        (401, "authentication"),
        (400, "bad_request"),
    ],
)
def test_a_refusal_is_counted_by_its_kind(seen, server, client, status, kind):
    server.will_answer({"type": "error", "error": {"type": "x", "message": "no"}}, status)
    with pytest.raises(anthropic.APIStatusError):
        client.messages.create(**ASK)
    assert seen.count("agent.llm.requests", status="error", error_type=kind, model=MODEL) == 1
    assert seen.span(f"chat {MODEL}").status.status_code is StatusCode.ERROR


def test_a_server_that_does_not_answer_is_a_timeout(seen, server, client):
    server.will_hang()
    with pytest.raises(anthropic.APITimeoutError):
        client.messages.create(**ASK, timeout=0.1)
    assert seen.count("agent.llm.requests", status="error", error_type="timeout") == 1


def test_a_stream_that_breaks_off_is_an_error_of_its_own_kind(seen, server, client):
    server.will_stream(events()[:4], cut=True)
    with pytest.raises(Exception, match=r"peer closed|incomplete|closed"):
        list(client.messages.create(**ASK, stream=True))
    assert seen.count("agent.llm.requests", status="error", error_type="stream_cut") == 1


def test_a_stream_that_nobody_listens_to_any_more_is_no_error(seen, server, client):
    server.will_stream(events(words=50))
    with client.messages.create(**ASK, stream=True) as stream:
        for number, _ in enumerate(stream):
            if number == 3:
                break
    span = seen.span(f"chat {MODEL}")
    assert span.status.status_code is not StatusCode.ERROR
    assert seen.count("agent.llm.requests", status="error") == 0
    assert seen.count("agent.llm.requests") == 1


def test_a_task_that_is_cancelled_is_no_error(seen, server):
    server.will_hang()

    async def ask() -> None:
        async with anthropic.AsyncAnthropic(
            base_url=server.url, api_key="k", max_retries=0
        ) as client:
            asking = asyncio.ensure_future(client.messages.create(**ASK))
            async with asyncio.timeout(10):
                while not server.requests:
                    await asyncio.sleep(0.01)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    asyncio.run(ask())
    assert seen.span(f"chat {MODEL}").status.status_code is not StatusCode.ERROR
    assert seen.count("agent.llm.requests", status="cancelled") == 1


def test_parallel_calls_keep_their_agents(seen, server):
    for _ in range(3):
        server.will_answer(message())

    async def ask(client: anthropic.AsyncAnthropic, agent: str) -> None:
        async with midwatch.agent(agent):
            await client.messages.create(**ASK)

    async def all_at_once() -> None:
        async with anthropic.AsyncAnthropic(base_url=server.url, api_key="k") as client:
            await asyncio.gather(*(ask(client, agent) for agent in ("one", "two", "three")))

    asyncio.run(all_at_once())
    for agent in ("one", "two", "three"):
        assert seen.count("agent.llm.requests", agent=agent) == 1
        assert seen.count("agent.llm.cost_usd", agent=agent) == pytest.approx(COST)


def test_a_model_that_no_table_knows_is_counted_and_never_guessed(seen, server, client):
    server.will_answer(message(model="claude-of-the-house"))
    client.messages.create(**{**ASK, "model": "claude-of-the-house"})
    assert seen.count("agent.llm.unpriced_tokens", model="claude-of-the-house") == 750
    assert "midwatch.llm.cost_usd" not in seen.span("chat claude-of-the-house").attributes
