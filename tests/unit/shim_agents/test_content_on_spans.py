"""Prompts, answers, arguments, results and documents on spans and events, by the content policy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from midwatch.instrumentors.langchain_messages import capture
from midwatch.instrumentors.official_content import govern_official_capture
from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.content_gate import ContentGate
from openai import OpenAI
from opentelemetry.util.genai.completion_hook import _SafeCompletionHook
from opentelemetry.util.genai.types import InputMessage, TextPart
from pydantic import SecretStr

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
HOOK = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK"


@tool
def look_up(key: str) -> str:
    """Look something up."""
    return f"{key} belongs to bob@example.com"


class Shelf(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document("pumps by carol@example.com", id="d1"), Document("valves")]


def chat(server: Any, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model="gpt-4o-mini", base_url=server.url, api_key=SecretStr("none"), max_retries=0, **more
    )


def content_of(span: Any) -> dict[str, Any]:
    """The content attributes of a span, as JSON where it is."""
    found: dict[str, Any] = {}
    for name, value in span.attributes.items():
        if name.endswith((".messages", ".arguments", ".result", ".text")) or name in (
            "gen_ai.system_instructions",
            "gen_ai.tool.definitions",
            "gen_ai.retrieval.documents",
        ):
            found[name] = json.loads(value) if value.startswith(("[{", "{")) else value
    return found


@pytest.fixture
def redacted(shim: Any) -> Any:
    shim.recorder.content = ContentPolicy("redacted")
    return shim


def test_a_model_call_has_its_messages_by_the_conventions_redacted(redacted, server):
    server.will_call("look_up", {"key": "alice@example.com"})
    model = chat(server).bind_tools([look_up])
    model.invoke([SystemMessage("be brief"), HumanMessage("who is alice@example.com?")])
    content = content_of(redacted.spans["chat gpt-4o-mini"])
    assert content["gen_ai.system_instructions"] == [{"type": "text", "content": "be brief"}]
    assert content["gen_ai.input.messages"] == [
        {"role": "user", "parts": [{"type": "text", "content": "who is [redacted:email]?"}]}
    ]
    (answer,) = content["gen_ai.output.messages"]
    assert answer["finish_reason"] == "tool_calls"
    assert answer["parts"] == [
        {
            "type": "tool_call",
            "id": "call_1",
            "name": "look_up",
            "arguments": {"key": "[redacted:email]"},
        }
    ]
    assert content["gen_ai.tool.definitions"][0]["function"]["name"] == "look_up"


def test_a_tool_call_has_its_arguments_and_its_result_redacted(redacted):
    look_up.invoke({"key": "alice@example.com"})
    content = content_of(redacted.spans["execute_tool look_up"])
    assert content["gen_ai.tool.call.arguments"] == {"key": "[redacted:email]"}
    assert content["gen_ai.tool.call.result"] == "[redacted:email] belongs to [redacted:email]"


def test_a_retrieval_has_its_query_and_its_documents_redacted(redacted):
    Shelf().invoke("pumps of alice@example.com")
    (span,) = redacted.spans.values()
    content = content_of(span)
    assert content["gen_ai.retrieval.query.text"] == "pumps of [redacted:email]"
    assert content["gen_ai.retrieval.documents"] == [
        {"id": "d1", "content": "pumps by [redacted:email]"},
        {"id": None, "content": "valves"},
    ]


def test_the_event_of_a_model_call_has_the_texts_redacted(redacted, server):
    server.will_say("ask bob@example.com")
    chat(server).invoke("who is alice@example.com?")
    (event,) = redacted.events_named("llm.called")
    assert event.metadata["prompt_text"] == "human: who is [redacted:email]?"
    assert event.metadata["response_text"] == "ask [redacted:email]"


def test_without_content_no_span_and_no_event_has_any(shim, server):
    server.will_say("all quiet")
    chat(server).bind_tools([look_up]).invoke("what is up?")
    look_up.invoke({"key": "a"})
    Shelf().invoke("pumps")
    for span in shim.exporter.get_finished_spans():
        assert content_of(span) == {}
    (event,) = shim.events_named("llm.called")
    assert "prompt_text" not in event.metadata
    assert "response_text" not in event.metadata


def test_a_turn_that_is_not_sampled_goes_without_content_while_tracing_is_too_dear(make_shim):
    from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

    class RecordOnly(Sampler):
        def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
            return SamplingResult(Decision.RECORD_ONLY)

        def get_description(self) -> str:
            return "records only"

    shim = make_shim(sampler=RecordOnly())
    policy = shim.recorder.content = ContentPolicy("redacted")
    ended: list[Any] = []

    from opentelemetry.sdk.trace import SpanProcessor

    class Keep(SpanProcessor):
        def on_end(self, span: Any) -> None:
            ended.append(span)

    shim.tracer_provider.add_span_processor(Keep())
    for sparing in (False, True):
        policy.spare(sparing)
        look_up.invoke({"key": "a"})
    assert "gen_ai.tool.call.arguments" in ended[0].attributes
    assert "gen_ai.tool.call.arguments" not in ended[1].attributes


def test_a_history_that_is_too_long_keeps_its_newest_messages_and_says_what_is_cut():
    policy = ContentPolicy("redacted", max_bytes=4000)
    history = [HumanMessage(f"message {number} " * 30) for number in range(40)]
    captured = capture(policy, history)
    messages = json.loads(captured.messages)
    assert messages[-1]["parts"][0]["content"].startswith("message 39")
    cut = messages[0]["parts"][0]
    assert cut["type"] == "cut"
    assert cut["messages"] + len(messages) - 1 == 40
    assert len(captured.messages) < 5000
    assert "[cut: " in captured.text


def test_messages_of_every_kind_are_json_whatever_is_in_them():
    policy = ContentPolicy("redacted")
    block = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    captured = capture(
        policy,
        [
            HumanMessage([{"type": "text", "text": "look \ud83d"}, block, "and"]),
            AIMessage(
                [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": 'so "x"\n'}],
                tool_calls=[{"name": "look_up", "args": {"password": "hunter2"}, "id": "1"}],
            ),
            ToolMessage("done \x00", tool_call_id="1"),
        ],
    )
    first, second, third = json.loads(captured.messages)
    assert [part["type"] for part in first["parts"]] == ["text", "image_url", "text"]
    assert "AAAA" not in captured.messages
    assert second["parts"][-1]["arguments"] == {"password": "[redacted:password]"}
    assert third["role"] == "tool"
    assert third["parts"][0]["response"] == "done \x00"
    captured.messages.encode("utf-8")


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch):
    """Puts the official instrumentations under a policy, and lets them go again."""
    monkeypatch.setenv(CAPTURE, "span_only")
    monkeypatch.setenv(HOOK, "upload")
    yield govern_official_capture
    govern_official_capture(ContentPolicy("full"))


def ask(server: Any) -> None:
    client = OpenAI(base_url=server.url, api_key="none", max_retries=0)
    client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "I am alice@example.com"}]
    )


def test_the_official_instrumentation_captures_nothing_at_off_whatever_its_variable_says(
    official, make_shim, server, caplog
):
    official(ContentPolicy("off"))
    shim = make_shim()
    ask(server)
    assert content_of(shim.spans["chat gpt-4o-mini"]) == {}
    assert CAPTURE in caplog.text
    assert HOOK in caplog.text


def test_what_the_official_instrumentation_captures_is_redacted_at_the_gate(
    official, make_shim, server
):
    policy = ContentPolicy("redacted")
    official(policy)
    shim = make_shim()
    shim.recorder.content = policy
    ask(server)
    span = ContentGate(policy).span(shim.spans["chat gpt-4o-mini"])
    (message,) = content_of(span)["gen_ai.input.messages"]
    assert message["parts"][0]["content"] == "I am [redacted:email]"
    (event,) = shim.events_named("llm.called")
    assert event.metadata["prompt_text"] == "user: I am [redacted:email]"


@pytest.mark.parametrize(
    ("mode", "handed_over"),
    [("off", []), ("redacted", ["I am [redacted:email]"]), ("full", ["I am alice@example.com"])],
)
def test_a_completion_hook_gets_what_may_leave(mode, handed_over, monkeypatch):
    got: list[str] = []

    class Hook:
        def on_completion(self, *, inputs: Any, **kwargs: Any) -> None:
            got.extend(part.content for message in inputs for part in message.parts)

    monkeypatch.delenv(CAPTURE, raising=False)
    govern_official_capture(ContentPolicy(mode))
    part = TextPart("I am alice@example.com")
    said = InputMessage("user", [part])
    _SafeCompletionHook(Hook()).on_completion(inputs=[said], outputs=[], system_instruction=[])
    assert got == handed_over
    assert part.content == "I am alice@example.com"
    govern_official_capture(ContentPolicy("full"))
