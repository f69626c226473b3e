"""Model calls: each recorded once, with agent, tokens and cost, however it was made."""

from __future__ import annotations

import asyncio
import operator
from decimal import Decimal
from typing import Annotated, Any, TypedDict

import httpx2
import openai
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langgraph.graph import START, StateGraph
from midwatch.instruments.prices import PriceTable
from midwatch.pipeline.content import ContentPolicy
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, OpenAI
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode
from pydantic import SecretStr

MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]
ANSWERED = "gpt-4o-mini-2024-07-18"
COST = 0.00042


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def chat(server: Any, **more: Any) -> ChatOpenAI:
    given = {"model": "gpt-4o-mini", "base_url": server.url, "api_key": "k", "max_retries": 0}
    return ChatOpenAI(**{**given, **more})


def client(server: Any) -> OpenAI:
    return OpenAI(base_url=server.url, api_key="k", max_retries=0)


def by_langchain(server: Any) -> None:
    chat(server).invoke("hi")


def by_langchain_stream(server: Any) -> None:
    list(chat(server).stream("hi"))


def by_langchain_async(server: Any) -> None:
    async def ask() -> None:
        async with DefaultAsyncHttpxClient() as http:
            await chat(server, http_async_client=http).ainvoke("hi")

    asyncio.run(ask())


def by_langchain_async_stream(server: Any) -> None:
    async def listen() -> None:
        async with DefaultAsyncHttpxClient() as http:
            async for _ in chat(server, http_async_client=http).astream("hi"):
                pass

    asyncio.run(listen())


def by_client(server: Any) -> None:
    client(server).chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)


def by_client_stream(server: Any) -> None:
    stream = client(server).chat.completions.create(
        model="gpt-4o-mini",
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
    )
    list(stream)


def by_client_async(server: Any) -> None:
    async def ask() -> None:
        async with AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as asking:
            await asking.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)

    asyncio.run(ask())


EVERY_WAY = [
    by_langchain,
    by_langchain_stream,
    by_langchain_async,
    by_langchain_async_stream,
    by_client,
    by_client_stream,
    by_client_async,
]


@pytest.mark.parametrize("call", EVERY_WAY)
def test_each_call_is_recorded_once_with_tokens_and_cost(shim: Any, server: Any, call: Any) -> None:
    call(server)
    assert len(server.requests) == 1
    assert len(shim.spans_named("chat gpt-4o-mini")) == 1
    assert len(shim.events_named("llm.called")) == 1
    assert shim.count("agent.llm.requests") == 1
    tokens = {
        kind: shim.count("agent.llm.tokens", token_type=kind, model=ANSWERED)
        for kind in ("input", "output", "cache_read", "reasoning")
    }
    assert tokens == {"input": 1000, "output": 500, "cache_read": 400, "reasoning": 100}
    assert shim.count("agent.llm.cost_usd", model=ANSWERED) == pytest.approx(COST)
    assert shim.count("agent.llm.unpriced_tokens") == 0


@pytest.mark.parametrize("call", EVERY_WAY)
def test_the_span_of_a_call_says_what_it_cost_and_by_which_table(
    shim: Any, server: Any, call: Any
) -> None:
    call(server)
    attributes = shim.spans["chat gpt-4o-mini"].attributes
    assert attributes["midwatch.llm.cost_usd"] == pytest.approx(COST)
    assert attributes["midwatch.llm.price.table"] == "genai-prices"
    assert attributes["midwatch.llm.price.version"]
    assert attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert attributes["gen_ai.response.model"] == ANSWERED
    assert attributes["gen_ai.provider.name"] == "openai"
    assert attributes["gen_ai.usage.input_tokens"] == 1000
    assert attributes["gen_ai.usage.output_tokens"] == 500


@pytest.mark.parametrize("call", EVERY_WAY)
def test_metrics_and_events_are_exact_when_no_trace_is_kept(
    make_shim: Any, server: Any, call: Any
) -> None:
    shim = make_shim(sampler=ALWAYS_OFF)
    call(server)
    assert not shim.spans
    assert shim.count("agent.llm.requests", status="ok") == 1
    assert shim.count("agent.llm.cost_usd") == pytest.approx(COST)
    assert len(shim.events_named("llm.called")) == 1


@pytest.mark.parametrize("call", [by_langchain_stream, by_langchain_async_stream, by_client_stream])
def test_chunks_and_the_first_one_are_measured(shim: Any, server: Any, call: Any) -> None:
    call(server)
    assert shim.count("agent.llm.stream_chunks") >= 3
    assert shim.count("agent.llm.time_to_first_token") == 1
    attributes = shim.spans["chat gpt-4o-mini"].attributes
    assert attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert attributes["midwatch.llm.stream_chunks"] >= 3


def test_a_call_within_an_agent_is_the_agents_whoever_makes_it(shim: Any, server: Any) -> None:
    def monitor(_: State) -> State:
        by_client(server)
        return {"log": []}

    graph: Any = StateGraph(State)
    graph.add_node("monitor", monitor)
    graph.add_edge(START, "monitor")
    graph.compile().invoke({"log": []})
    assert shim.count("agent.llm.tokens", agent="monitor", token_type="input") == 1000
    assert shim.spans["chat gpt-4o-mini"].attributes["gen_ai.agent.name"] == "monitor"


def test_the_official_metrics_do_not_count_a_nested_call(shim: Any, server: Any) -> None:
    by_langchain(server)
    assert shim.count("gen_ai.client.token.usage") == 0
    by_client(server)
    assert shim.count("gen_ai.client.operation.duration") == 1


@pytest.mark.parametrize("call", [by_langchain, by_langchain_stream, by_client, by_client_stream])
@pytest.mark.parametrize(
    ("status", "error_type"),
    [
        (429, "rate_limit"),
        (500, "server_error"),
        (503, "server_error"),
        (401, "authentication"),
        (403, "authentication"),
        (404, "bad_request"),
        (400, "bad_request"),
    ],
)
def test_a_refused_call_has_a_reason_of_the_registry(
    shim: Any, server: Any, call: Any, status: int, error_type: str
) -> None:
    # A stream is asked for again without its usage when the server refuses it.
    server.will_fail(status)
    server.will_fail(status)
    with pytest.raises(openai.APIStatusError):
        call(server)
    (labels,) = shim.label_sets("agent.llm.requests")
    assert (labels["status"], labels["error_type"]) == ("error", error_type)
    assert shim.spans["chat gpt-4o-mini"].status.status_code is StatusCode.ERROR
    assert shim.count("agent.llm.tokens") == 0


@pytest.mark.parametrize("call", [by_langchain, by_client])
def test_a_server_that_cannot_be_reached_is_a_connection_error(
    shim: Any, server: Any, call: Any
) -> None:
    server.url = "http://127.0.0.1:9/v1"
    with pytest.raises(openai.APIConnectionError):
        call(server)
    (labels,) = shim.label_sets("agent.llm.requests")
    assert labels["error_type"] == "connection"


def test_a_call_that_takes_too_long_is_a_timeout(shim: Any, server: Any) -> None:
    class Late(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ReadTimeout("late", request=request)

    with httpx2.Client(transport=Late()) as http, pytest.raises(openai.APITimeoutError):
        OpenAI(
            base_url=server.url, api_key="k", max_retries=0, http_client=http
        ).chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    (labels,) = shim.label_sets("agent.llm.requests")
    assert labels["error_type"] == "timeout"


def test_an_unknown_model_is_counted_as_unpriced_and_never_guessed(shim: Any, server: Any) -> None:
    chat(server, model="house-model").invoke("hi")
    assert shim.count("agent.llm.unpriced_tokens", model="house-model-2024-07-18") == 1500
    assert shim.count("agent.llm.cost_usd") == 0
    assert "midwatch.llm.cost_usd" not in shim.spans["chat house-model"].attributes
    assert "cost" not in shim.events_named("llm.called")[0].metadata


def test_a_price_file_prices_the_models_of_the_house(
    make_shim: Any, server: Any, tmp_path: Any
) -> None:
    path = tmp_path / "prices.json"
    path.write_text(
        '{"version": "7", "effective_date": "2026-11-01", "prices": [{"model": "house-*",'
        ' "input_per_million": 1, "output_per_million": 2}]}'
    )
    shim = make_shim(prices=PriceTable.from_file(path))
    chat(server, model="house-model").invoke("hi")
    attributes = shim.spans["chat house-model"].attributes
    assert attributes["midwatch.llm.cost_usd"] == pytest.approx(0.002)
    assert attributes["midwatch.llm.price.table"] == "prices.json"
    assert attributes["midwatch.llm.price.version"] == "7"
    assert attributes["midwatch.llm.price.effective_date"] == "2026-11-01"
    assert Decimal(shim.events_named("llm.called")[0].metadata["cost"]) == Decimal("0.002")


def test_an_event_tells_when_which_and_how_of_a_call(shim: Any, server: Any) -> None:
    chat(server, temperature=0.2, max_tokens=50).invoke("hi")
    metadata = shim.events_named("llm.called")[0].metadata
    assert metadata["llm_model_name"] == ANSWERED
    assert metadata["llm_parameters"]["temperature"] == 0.2
    assert metadata["prompt_tokens"], metadata["completion_tokens"] == (1000, 500)
    assert metadata["total_tokens"] == 1500
    assert metadata["timestamp_prompt"] < metadata["timestamp_response"]
    assert "prompt_text" not in metadata


def test_prompt_and_answer_are_in_the_event_when_the_policy_allows_it(
    shim: Any, server: Any
) -> None:
    shim.recorder.content = ContentPolicy("full")
    server.will_say("all quiet")
    chat(server).invoke("what is up?")
    metadata = shim.events_named("llm.called")[0].metadata
    assert metadata["prompt_text"] == "human: what is up?"
    assert metadata["response_text"] == "all quiet"


class Claude(FakeMessagesListChatModel):
    """Answers as LangChain's integration of Anthropic does: tokens by how long a cache has them."""

    def _get_ls_params(self, stop: Any = None, **given: Any) -> Any:
        return {"ls_provider": "anthropic", "ls_model_name": "claude-haiku-4-5"}


@pytest.mark.parametrize(("tier", "part"), [("standard", 1), ("batch", 0.5)])
def test_what_anthropic_tells_of_its_cache_and_its_tier_decides_on_the_price(
    shim: Any, tier: str, part: float
) -> None:
    kept = {
        "cache_read": 0,
        "cache_creation": 0,
        "ephemeral_5m_input_tokens": 200_000,
        "ephemeral_1h_input_tokens": 300_000,
    }
    answer = AIMessage(
        "fine",
        usage_metadata={
            "input_tokens": 500_000,
            "output_tokens": 0,
            "total_tokens": 500_000,
            "input_token_details": kept,
        },
        response_metadata={"model": "claude-haiku-4-5", "usage": {"service_tier": tier}},
    )
    Claude(responses=[answer]).invoke("hi")
    assert shim.count("agent.llm.tokens", token_type="cache_write") == 500_000
    # Of a dollar a million of input: five quarters for minutes, twice for an hour.
    cost = (0.2 * 1.25 + 0.3 * 2) * part
    assert shim.count("agent.llm.cost_usd") == pytest.approx(cost)
    (span,) = shim.spans.values()
    assert span.attributes["midwatch.llm.cache_write_1h_tokens"] == 300_000
    assert span.attributes["midwatch.llm.service_tier"] == tier


def test_embeddings_are_model_calls(shim: Any, server: Any) -> None:
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=server.url,
        api_key=SecretStr("k"),
        check_embedding_ctx_length=False,
    )
    assert embeddings.embed_query("hi") == [0.1, 0.2]
    assert shim.count("agent.llm.requests", model="text-embedding-3-small") == 1
    assert shim.count("agent.llm.tokens", token_type="input") == 7
    assert shim.count("agent.llm.cost_usd") > 0


def test_an_answer_from_langchains_cache_is_no_call_of_a_model(shim: Any, server: Any) -> None:
    model = chat(server, cache=InMemoryCache())
    model.invoke("hi")
    model.invoke("hi")
    assert len(server.requests) == 1
    assert shim.count("agent.llm.requests") == 1
    assert shim.count("agent.llm.tokens", token_type="input") == 1000


def test_a_span_made_by_hand_by_the_conventions_is_a_model_call(shim: Any) -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 500,
    }
    with shim.tracer.start_as_current_span("chat by hand", attributes=attributes):
        pass
    assert shim.count("agent.llm.requests", provider="openai", model="gpt-4o-mini") == 1
    assert shim.count("agent.llm.cost_usd") == pytest.approx(0.00045)


def test_another_instrumentations_span_of_the_same_call_counts_nothing(
    shim: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = openai.resources.chat.completions.Completions.create

    def rival(self: Any, *args: Any, **kwargs: Any) -> Any:
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1000}
        with shim.tracer.start_as_current_span("rival", attributes=attributes):
            return original(self, *args, **kwargs)

    monkeypatch.setattr(openai.resources.chat.completions.Completions, "create", rival)
    by_langchain(server)
    assert "rival" in shim.spans
    assert shim.count("agent.llm.requests") == 1


def test_nothing_is_recorded_any_more_after_the_instrumentation_is_taken_off(
    make_shim: Any, server: Any
) -> None:
    from midwatch.instrumentors.langchain import LangChainInstrumentor
    from midwatch.instrumentors.official_clients import OpenAIInstrumentor

    shim = make_shim()
    LangChainInstrumentor().uninstrument()
    OpenAIInstrumentor().uninstrument()
    by_langchain(server)
    by_client_stream(server)
    assert not shim.events
    assert shim.count("agent.llm.requests") == 0


def test_a_stream_that_does_not_tell_its_usage_says_so(shim: Any, server: Any) -> None:
    list(
        client(server).chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
    )
    attributes = shim.spans["chat gpt-4o-mini"].attributes
    assert attributes["midwatch.llm.usage_missing"] is True
    assert shim.count("agent.llm.cost_usd") == 0
    assert shim.label_sets("midwatch.llm.usage_missing") == [
        {"provider": "openai", "model": "gpt-4o-mini-2024-07-18"}
    ]


def test_an_answer_with_its_usage_is_not_counted_among_those_without(
    shim: Any, server: Any
) -> None:
    by_langchain(server)
    assert shim.count("midwatch.llm.usage_missing") == 0
