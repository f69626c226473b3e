"""The model server as the real clients see it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import openai
import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai.types import CompletionUsage
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageParam,
)
from pydantic import SecretStr

ASKED: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "Tell me something about firewalls."}
]
TOOL: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks something up.",
        "parameters": {
            "type": "object",
            "properties": {
                "topic": {"type": "string", "enum": ["ports"]},
                "count": {"type": "integer", "minimum": 3},
            },
        },
    },
}


@pytest.fixture
def sync_client(model_server):
    with openai.OpenAI(
        base_url=f"{model_server.url}/v1", api_key="k", max_retries=0, timeout=2
    ) as client:
        yield client


def create(client: openai.OpenAI, **more: Any) -> ChatCompletion:
    fields = {"model": "gpt-4.1-mini", "messages": ASKED, **more}
    answer = client.chat.completions.create(**fields)
    assert isinstance(answer, ChatCompletion)
    return answer


def create_stream(client: openai.OpenAI, **more: Any) -> openai.Stream[ChatCompletionChunk]:
    fields = {"model": "gpt-4.1-mini", "messages": ASKED, **more, "stream": True}
    stream = client.chat.completions.create(**fields)
    assert isinstance(stream, openai.Stream)
    return stream


def usage_of(answer: ChatCompletion | ChatCompletionChunk) -> CompletionUsage:
    assert answer.usage is not None
    return answer.usage


def reasoning_tokens_of(usage: CompletionUsage) -> int:
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens is not None
    return usage.completion_tokens_details.reasoning_tokens


def cached_tokens_of(usage: CompletionUsage) -> int:
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens is not None
    return usage.prompt_tokens_details.cached_tokens


def test_a_completion_has_text_ids_usage_and_a_finish_reason(sync_client):
    answer = create(sync_client)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.id.startswith("chatcmpl-")
    usage = usage_of(answer)
    assert usage.prompt_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_the_same_request_gets_the_same_text_under_a_new_id(sync_client):
    first, second = create(sync_client), create(sync_client)
    assert first.choices[0].message.content == second.choices[0].message.content
    assert first.id != second.id


def test_a_stream_gives_the_text_of_the_completion_and_then_the_usage(sync_client):
    whole = create(sync_client)
    chunks = list(create_stream(sync_client, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices == []
    assert usage_of(chunks[-1]).completion_tokens == usage_of(whole).completion_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_stream_has_no_usage_unless_it_was_asked_for(sync_client):
    chunks = list(create_stream(sync_client))
    assert chunks
    assert all(chunk.usage is None for chunk in chunks)


def test_a_required_tool_is_called_with_arguments_that_fit_its_schema(sync_client):
    answer = create(sync_client, tools=[TOOL], tool_choice="required")
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.id.startswith("call_")
    assert json.loads(call.function.arguments) == {"topic": "ports", "count": 3}


def test_streamed_tool_calls_come_in_pieces_that_join_to_the_arguments(sync_client):
    chunks = list(create_stream(sync_client, tools=[TOOL], tool_choice="required"))
    pieces = [
        call.function
        for chunk in chunks
        if chunk.choices
        for call in chunk.choices[0].delta.tool_calls or []
        if call.function
    ]
    assert len(pieces) > 2
    assert pieces[0].name == "look_up"
    arguments = "".join(piece.arguments or "" for piece in pieces)
    assert json.loads(arguments) == {"topic": "ports", "count": 3}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_structured_answer_fits_its_schema(sync_client):
    schema = {
        "type": "object",
        "properties": {"risk": {"enum": ["low"]}, "ports": {"items": {"type": "integer"}}},
    }
    answer = create(
        sync_client,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    )
    assert json.loads(answer.choices[0].message.content or "")["risk"] == "low"


def test_reasoning_models_count_reasoning_tokens_within_the_completion(sync_client):
    usage = usage_of(create(sync_client, model="gpt-5-mini"))
    assert 0 < reasoning_tokens_of(usage) < usage.completion_tokens
    assert reasoning_tokens_of(usage_of(create(sync_client))) == 0


def test_a_long_prompt_is_cached_from_its_second_use_on_in_steps_of_128_tokens(sync_client):
    messages = [
        {"role": "system", "content": "A long rule. " * 700},
        {"role": "user", "content": f"Now? {time.time_ns()}"},
    ]
    create(sync_client, messages=messages)
    cached = cached_tokens_of(usage_of(create(sync_client, messages=messages)))
    assert cached >= 1024
    assert cached % 128 == 0


def test_max_tokens_cuts_the_answer_and_says_so(sync_client):
    answer = create(sync_client, max_tokens=4)
    assert answer.choices[0].finish_reason == "length"
    assert usage_of(answer).completion_tokens == 4


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("rate-limit", openai.RateLimitError),
        ("server-error", openai.InternalServerError),
        ("malformed-body", json.JSONDecodeError),
    ],
)
def test_faults_raise_the_clients_own_exceptions(model_server, sync_client, fault, error, stream):
    model_server.fault(fault)
    with pytest.raises(error):
        list(create_stream(sync_client)) if stream else create(sync_client)


def test_a_held_connection_raises_a_timeout(model_server, sync_client):
    model_server.fault("timeout")
    with pytest.raises(openai.APITimeoutError):
        create(sync_client.with_options(timeout=0.2))


def test_a_cut_stream_breaks_after_the_given_number_of_chunks(model_server, sync_client):
    model_server.fault("cut-stream", after_chunks=2)
    stream = create_stream(sync_client)
    assert [next(stream).object for _chunk in range(2)] == ["chat.completion.chunk"] * 2
    with pytest.raises(openai.APIConnectionError):
        next(stream)


def test_a_rate_limit_says_when_to_try_again_and_the_client_does(model_server, sync_client):
    model_server.fault("rate-limit", retry_after_seconds=0.1)
    with pytest.raises(openai.RateLimitError) as caught:
        create(sync_client)
    assert caught.value.response.headers["retry-after"] == "0.1"
    assert caught.value.code == "rate_limit_exceeded"
    model_server.delete("/control/faults/rate-limit")
    model_server.fault("rate-limit", retry_after_seconds=0.01, probability=0.5)
    assert create(sync_client.with_options(max_retries=30)).choices


def test_expensive_multiplies_the_token_counts(model_server, sync_client):
    usual = usage_of(create(sync_client))
    model_server.fault("expensive", factor=12)
    assert usage_of(create(sync_client)).prompt_tokens == 12 * usual.prompt_tokens


def test_slow_adds_its_seconds(model_server, sync_client):
    model_server.fault("slow", extra_seconds=0.3)
    started = time.perf_counter()
    create(sync_client)
    assert time.perf_counter() - started >= 0.3


def test_latency_can_be_set_for_one_model(model_server, sync_client):
    change = {"model": "gpt-4o", "base_seconds": 0.3, "per_token_seconds": 0, "jitter": 0}
    assert model_server.put("/control/latency", change).status_code == 200
    started = time.perf_counter()
    create(sync_client, model="gpt-4o")
    slow = time.perf_counter() - started
    assert slow >= 0.3


def test_an_async_client_streams_and_fails_as_the_sync_one_does(model_server):
    async def run() -> str:
        async with openai.AsyncOpenAI(
            base_url=f"{model_server.url}/v1", api_key="k", max_retries=0
        ) as client:
            stream = await client.chat.completions.create(
                model="gpt-4.1-mini", messages=ASKED, stream=True
            )
            text = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
            model_server.fault("rate-limit")
            with pytest.raises(openai.RateLimitError):
                await client.chat.completions.create(model="gpt-4.1-mini", messages=ASKED)
            return text

    assert "firewalls" in asyncio.run(run())


def test_chat_openai_gets_text_tool_calls_and_usage(model_server):
    llm = ChatOpenAI(
        model="gpt-4.1-mini",
        base_url=f"{model_server.url}/v1",
        api_key=SecretStr("k"),
        stream_usage=True,
    )
    answer = llm.invoke([HumanMessage("Hello?")])
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["total_tokens"] > 0
    called = llm.bind_tools([dict(TOOL)], tool_choice="look_up").invoke([HumanMessage("Hello?")])
    assert called.tool_calls[0]["args"] == {"topic": "ports", "count": 3}
    chunks = list(llm.stream([HumanMessage("Hello?")]))
    assert "".join(str(chunk.text) for chunk in chunks) == answer.text


def test_similar_texts_have_near_embeddings(model_server):
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=f"{model_server.url}/v1",
        api_key=SecretStr("k"),
        dimensions=512,
        check_embedding_ctx_length=False,
    )
    texts = [
        "How do we block an attacking address?",
        "Blocking addresses of attackers",
        "Supplier contracts end after ninety days",
    ]
    first, near, far = embeddings.embed_documents(texts)
    assert len(first) == 512
    assert dot(first, near) > 3 * max(dot(first, far), 0.01)
    assert embeddings.embed_query(texts[0]) == pytest.approx(first)


def dot(one: list[float], two: list[float]) -> float:
    return sum(a * b for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(
    ("more", "error", "named"),
    [
        ({"model": "gpt-99"}, openai.NotFoundError, "gpt-4.1-mini"),
        ({"n": 2}, openai.BadRequestError, "n=1"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"messages": [{"role": "owner", "content": "x"}]}, openai.BadRequestError, "role"),
        (
            {"messages": [{"role": "tool", "content": "x", "tool_call_id": "call_1"}]},
            openai.BadRequestError,
            "tool_calls",
        ),
        (
            {"messages": [{"role": "user", "content": "word " * 130_000}]},
            openai.BadRequestError,
            "maximum context length",
        ),
    ],
)
def test_wrong_requests_are_refused_with_the_reason(sync_client, more, error, named):
    with pytest.raises(error, match=named):
        create(sync_client, **more)


def test_a_request_without_a_key_is_refused(model_server):
    answer = model_server.get("/v1/models")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


def test_the_list_of_models_fails_with_the_server_but_knows_no_rate_limit(
    model_server, sync_client
):
    model_server.fault("rate-limit")
    assert "gpt-4.1-mini" in [model.id for model in sync_client.models.list()]
    model_server.fault("server-error", skill="security")
    assert list(sync_client.models.list())
    model_server.fault("server-error")
    with pytest.raises(openai.InternalServerError):
        sync_client.models.list()
