"""Token usage on streams of `ChatOpenAI` at an address that is not OpenAI's."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI
from openai import DefaultAsyncHttpxClient


def listen(server: Any, asynchronous: bool, times: int = 1, **more: Any) -> list[str]:
    """The answers to as many questions, each streamed, by one model."""
    given = {"model": "gpt-4o-mini", "base_url": server.url, "api_key": "k", "max_retries": 0}

    async def listening() -> list[str]:
        async with DefaultAsyncHttpxClient() as http:
            model = ChatOpenAI(**given, http_async_client=http, **more)
            return [
                "".join([str(chunk.content) async for chunk in model.astream("hi")])
                for _ in range(times)
            ]

    if asynchronous:
        return asyncio.run(listening())
    model = ChatOpenAI(**given, **more)
    return ["".join(str(chunk.content) for chunk in model.stream("hi")) for _ in range(times)]


both_ways = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


@both_ways
def test_a_stream_is_asked_for_its_usage(shim: Any, server: Any, asynchronous: bool) -> None:
    listen(server, asynchronous)
    assert server.requests[0]["stream_options"] == {"include_usage": True}
    assert shim.count("agent.llm.tokens", token_type="output") == 500


@both_ways
def test_an_application_that_wants_no_usage_gets_none(
    shim: Any, server: Any, asynchronous: bool
) -> None:
    listen(server, asynchronous, stream_usage=False)
    assert "stream_options" not in server.requests[0]
    assert shim.count("agent.llm.requests", status="ok") == 1


@both_ways
def test_options_that_the_application_gives_are_kept(
    shim: Any, server: Any, asynchronous: bool
) -> None:
    options = {"include_obfuscation": False}
    listen(server, asynchronous, model_kwargs={"stream_options": options})
    assert server.requests[0]["stream_options"] == options


@both_ways
def test_a_server_that_refuses_the_question_is_asked_without_it(
    shim: Any, server: Any, asynchronous: bool
) -> None:
    server.knows_usage = False
    server.will_say("all quiet")
    first, second = listen(server, asynchronous, times=2)
    assert (first, second) == ("all quiet ", "hello there friend ")
    assert ["stream_options" in request for request in server.requests] == [True, False, False]
    assert shim.count("agent.llm.requests", status="ok") == 2
    assert shim.count("agent.llm.requests", status="error") == 0


@both_ways
def test_a_request_that_is_wrong_anyway_fails_as_it_would_alone(
    shim: Any, server: Any, asynchronous: bool
) -> None:
    server.will_fail(400)
    server.will_fail(400)
    with pytest.raises(openai.BadRequestError) as caught:
        listen(server, asynchronous)
    assert caught.value.__context__ is None or isinstance(
        caught.value.__context__, openai.BadRequestError
    )
    listen(server, asynchronous)
    assert "stream_options" in server.requests[-1]


@both_ways
def test_a_stream_that_is_cut_is_an_error_of_its_own_kind(
    shim: Any, server: Any, asynchronous: bool
) -> None:
    server.will_say("one two three", cut_after=2)
    with pytest.raises(openai.APIConnectionError):
        listen(server, asynchronous)
    (labels,) = shim.label_sets("agent.llm.requests")
    assert labels["error_type"] == "stream_cut"
    assert shim.count("agent.llm.stream_chunks") >= 2
