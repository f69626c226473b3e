"""Each model call carries the version of the prompt that it is made with."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, TypedDict

import midwatch
import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langgraph.graph import START, StateGraph
from midwatch import prompts
from midwatch.instrumentors.langchain import LangChainInstrumentor
from midwatch.instruments.facts import ModelCall
from midwatch.instruments.model_calls import ModelCalls, watch_spans
from midwatch.instruments.prices import PriceTable
from midwatch.prompts import Prompt
from midwatch.prompts.definitions import define
from opentelemetry.instrumentation.threading import ThreadingInstrumentor


def prompt(name: str, version: str = "1", **more: str) -> Prompt:
    return Prompt(define(name, version, {"template": "Hello."}, source="file"), **more)


ROUTE, ANSWER, STYLE = prompt("route"), prompt("answer", "3"), prompt("style", "2")


def test_a_use_is_counted_and_told(told):
    with told.tracer.start_as_current_span("work"):
        prompt("answer", "3", variant="b", label="production").render()
    assert 'agent_prompt_uses_total{prompt="answer",version="3",variant="b"} 1' in told.metrics()
    (event,) = told.events
    assert event.event == "prompt.used"
    assert event.metadata == {"prompt": "answer", "version": "3", "variant": "b"}
    (work,) = told.spans("work")
    assert [one.name for one in work.events] == ["prompt.used"]


def test_the_model_call_after_the_rendering_says_all_about_the_prompt(told):
    prompt("answer", "3", variant="b", label="production").render()
    with told.model_call():
        pass
    (span,) = told.spans("chat")
    assert {k: v for k, v in span.attributes.items() if k.startswith("midwatch.")} == {
        "midwatch.prompt.name": "answer",
        "midwatch.prompt.version": "3",
        "midwatch.prompt.variant": "b",
        "midwatch.prompt.label": "production",
    }


@pytest.mark.parametrize("reported", [False, True], ids=["read off its span", "reported"])
def test_the_event_of_the_call_says_it_too(told, reported):
    calls = ModelCalls(told.recorder, PriceTable())
    watch_spans(calls, told.provider)
    prompt("answer", "3", variant="b", label="production").render()
    with told.model_call() as span:
        if reported:
            calls.finished(span, ModelCall(agent="a", provider="b", model="m", seconds=1.0), None)
    (event,) = [one for one in told.events if one.event == "llm.called"]
    said = {name: value for name, value in event.metadata.items() if name.startswith("prompt")}
    assert said == {
        "prompt": "answer",
        "prompt_version": "3",
        "prompt_variant": "b",
        "prompt_label": "production",
        "prompt_tokens": 0,
    }


def test_outside_an_experiment_there_is_no_variant(told):
    ANSWER.render()
    with told.model_call():
        pass
    (span,) = told.spans("chat")
    assert "midwatch.prompt.variant" not in span.attributes
    assert "midwatch.prompt.all" not in span.attributes


def test_other_spans_say_nothing_of_prompts(told):
    ANSWER.render()
    with told.tracer.start_as_current_span("query"):
        pass
    assert not told.spans("query")[0].attributes


def test_every_call_of_a_loop_uses_the_prompt_it_began_with(told):
    with midwatch.turn("s"), midwatch.agent("worker"):
        ANSWER.render()
        for _ in range(3):
            with told.model_call():
                pass
    assert told.used() == ["answer@3"] * 3


def test_the_next_rendering_replaces_the_one_before_it(told):
    with midwatch.turn("s"):
        for one in (ROUTE, ANSWER):
            one.render()
            with told.model_call():
                pass
    assert told.used() == ["route@1", "answer@3"]


def test_prompts_rendered_together_are_used_together(told):
    with midwatch.turn("s"):
        for one in (STYLE, ANSWER, STYLE):
            one.render()
        with told.model_call():
            pass
    (span,) = told.spans("chat")
    assert told.used() == ["style@2"]
    assert span.attributes["midwatch.prompt.all"] == ("answer@3", "style@2")


def test_another_turn_does_not_use_it(told):
    with midwatch.turn("s"):
        ANSWER.render()
        with told.model_call():
            pass
    with midwatch.turn("s"), told.model_call():
        pass
    assert told.used() == ["answer@3", "@"]


def test_what_is_rendered_before_a_turn_belongs_to_the_first_turn_that_uses_it(told):
    ANSWER.render()
    for _ in range(2):
        with midwatch.turn("s"):
            for _ in range(2):
                with told.model_call():
                    pass
    assert told.used() == ["answer@3", "answer@3", "@", "@"]


def test_what_an_agent_renders_is_not_used_by_the_next_one(told):
    with midwatch.turn("s"):
        with midwatch.agent("router"):
            ROUTE.render()
            with told.model_call():
                pass
        with midwatch.agent("worker"), told.model_call():
            pass
    assert told.used() == ["route@1", "@"]


def test_what_is_rendered_for_an_agent_is_used_by_it(told):
    with midwatch.turn("s"):
        ANSWER.render()
        with midwatch.agent("worker"), told.model_call():
            pass
    assert told.used() == ["answer@3"]


def test_tasks_keep_their_prompts_apart(told):
    async def work(one: Prompt) -> None:
        one.render()
        await asyncio.sleep(0.001)
        with told.model_call() as span:
            span.set_attribute("wanted", f"{one.name}@{one.version}")
            await asyncio.sleep(0.001)

    async def everything() -> None:
        async with midwatch.turn("s"):
            await asyncio.gather(*(work(one) for one in (ROUTE, ANSWER, STYLE)))

    asyncio.run(everything())
    assert told.used() == [str(span.attributes["wanted"]) for span in told.spans("chat")]


def test_a_thread_uses_what_was_rendered_for_it(told):
    instrumentor = ThreadingInstrumentor()
    instrumentor.instrument(skip_dep_check=True)
    try:
        with midwatch.turn("s"):
            ANSWER.render()

            def work() -> None:
                with told.model_call():
                    pass

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
    finally:
        instrumentor.uninstrument()
    assert told.used() == ["answer@3"]


def test_a_block_says_itself_which_prompt_its_calls_use(told):
    rendered = ANSWER.render()
    with midwatch.turn("s"), midwatch.agent("a"):
        ROUTE.render()
        with prompts.use(rendered), told.model_call():
            pass
        with told.model_call():
            pass
    assert told.used() == ["answer@3", "route@1"]


def test_a_decorated_function_says_it_for_each_call(told):
    @prompts.use(ANSWER)
    def ask() -> None:
        with told.model_call():
            pass

    for _ in range(2):
        with midwatch.turn("s"):
            ask()
    with told.model_call():
        pass
    assert told.used() == ["answer@3", "answer@3", "@"]


def test_an_asynchronous_generator_uses_its_prompt_and_its_consumer_does_not(told):
    @prompts.use(ANSWER)
    async def stream():
        for _ in range(2):
            with told.model_call():
                pass
            yield 1

    async def consume() -> None:
        async for _ in stream():
            with told.model_call():
                pass

    asyncio.run(consume())
    assert told.used() == ["answer@3", "@", "answer@3", "@"]


class State(TypedDict):
    text: str


@pytest.fixture
def langchain(told):
    instrumentor: Any = LangChainInstrumentor()
    instrumentor.instrument(
        tracer_provider=told.provider,
        recorder=told.recorder,
        calls=ModelCalls(told.recorder, PriceTable()),
        skip_dep_check=True,
    )
    yield
    instrumentor.uninstrument()


def node(one: Prompt | None) -> Any:
    model = FakeListChatModel(responses=["fine"])

    def work(state: State) -> State:
        messages: Any = "plain" if one is None else one.render().messages
        return {"text": str(model.invoke(messages).content)}

    return work


@pytest.mark.usefixtures("langchain")
def test_each_node_of_a_graph_uses_the_prompt_that_it_renders(told):
    graph = StateGraph(State)
    for name, one in {"router": ROUTE, "plain": None, "worker": ANSWER}.items():
        graph.add_node(name, node(one))
    graph.add_edge(START, "router")
    graph.add_edge("router", "plain")
    graph.add_edge("plain", "worker")
    graph.compile().invoke({"text": ""})
    spans = [
        span
        for span in told.exporter.get_finished_spans()
        if (span.attributes or {}).get("gen_ai.operation.name") == "chat"
    ]
    used = [(span.attributes or {}).get("midwatch.prompt.name") for span in spans]
    assert used == ["route", None, "answer"]


def test_rendering_works_when_recording_fails(told, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    from midwatch.pipeline.failures import FAILURES

    noted: list[str] = []
    monkeypatch.setattr(FAILURES, "note", lambda where, error: noted.append(where))
    monkeypatch.setattr("midwatch.prompts.managed.rendered", fail)
    assert str(ANSWER.render()) == "Hello."
    assert noted == ["prompts.render"]


def test_a_rendered_prompt_gives_what_clients_take():
    data = {
        "messages": [
            {"role": "system", "content": "Be {{ how }}."},
            {"role": "user", "content": "Hi"},
        ],
        "variables": {"how": "str"},
        "config": {"model": "small"},
    }
    chat = Prompt(define("chat", "1", data, source="file"), "production", "b")
    rendered = chat.render(how="brief")
    assert rendered.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]
    assert str(rendered) == "Be brief.\n\nHi"
    assert (rendered.name, rendered.version, rendered.variant) == ("chat", "1", "b")
    assert (chat.type, chat.source, chat.config) == ("chat", "file", {"model": "small"})
    assert [one.name for one in chat.variables] == ["how"]


def test_the_client_of_a_provider_carries_it_too(told):
    httpx2 = pytest.importorskip("httpx2")
    from midwatch.instrumentors.official_clients import OpenAIInstrumentor
    from openai import OpenAI

    answer = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "small",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "fine"},
                "finish_reason": "stop",
            }
        ],
    }
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=answer))
    instrumentor: Any = OpenAIInstrumentor()
    instrumentor.instrument(
        tracer_provider=told.provider,
        recorder=told.recorder,
        calls=ModelCalls(told.recorder, PriceTable()),
        skip_dep_check=True,
    )
    try:
        with httpx2.Client(transport=transport) as http:
            client = OpenAI(api_key="k", http_client=http)
            messages: Any = ANSWER.render().messages
            client.chat.completions.create(model="small", messages=messages)
    finally:
        instrumentor.uninstrument()
    (span,) = told.spans("chat small")
    assert span.attributes["midwatch.prompt.name"] == "answer"
    assert span.attributes["midwatch.prompt.version"] == "3"


def test_a_failure_to_describe_a_span_is_counted_and_the_span_goes_on(told, monkeypatch):
    from midwatch.pipeline.failures import FAILURES

    noted: list[str] = []
    monkeypatch.setattr(FAILURES, "note", lambda where, error: noted.append(where))
    monkeypatch.setattr("midwatch.instruments.prompt_uses._describe", lambda *_: 1 / 0)
    ANSWER.render()
    with told.model_call():
        pass
    assert noted == ["prompts.spans"]
    assert len(told.spans("chat")) == 1
