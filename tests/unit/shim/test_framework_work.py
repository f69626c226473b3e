"""The work of frameworks: what ends how, what belongs to what, and that nothing is ever raised."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from midwatch.instrumentors.framework_models import begin_call, end_call
from midwatch.instrumentors.framework_work import NO_WORK, FrameworkWork
from midwatch.instrumentors.mcp_names import is_recorded, span_attributes, span_name
from midwatch.instruments.model_calls import ModelCalls
from midwatch.instruments.prices import PriceTable
from midwatch.instruments.tokens import TokenUsage
from midwatch.pipeline.failures import FAILURES
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> Any:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider.get_tracer("test")


@pytest.fixture
def work(observed: Any, tracer: Any) -> FrameworkWork:
    return FrameworkWork(tracer, observed.recorder, "tested")


def ended(spans: InMemorySpanExporter, name: str) -> Any:
    return next(span for span in spans.get_finished_spans() if span.name == name)


class DeniedError(PermissionError):
    """The caller may not."""


@pytest.mark.parametrize(
    ("error", "told", "status"),
    [
        (None, "", "ok"),
        (DeniedError("no"), "", "denied"),
        (TimeoutError("late"), "", "timeout"),
        (ValueError("bad"), "", "error"),
        (None, "tool_error", "error"),
    ],
)
def test_a_tool_ends_as_its_exception_or_its_framework_says(
    observed, spans, work, error, told, status
):
    run = work.begin_tool("look_up", agent="clerk")
    run.told = told
    work.end_tool(run, error)
    counted = f'agent_tool_calls_total{{agent="clerk",tool="look_up",status="{status}"}}'
    assert observed.samples()[counted] == 1
    failed = ended(spans, "execute_tool look_up").status.status_code is StatusCode.ERROR
    assert failed == (status != "ok")


def test_a_tool_that_is_given_up_is_no_finished_call(observed, spans, work):
    run = work.begin_tool("look_up", call_id="c1")
    work.end_tool(run, asyncio.CancelledError())
    assert not [
        name for name, value in observed.samples().items() if "tool_calls" in name and value
    ]
    span = ended(spans, "execute_tool look_up")
    assert span.attributes["midwatch.run.outcome"] == "cancelled"
    assert span.attributes["gen_ai.tool.call.id"] == "c1"


def test_what_a_framework_says_in_many_words_is_no_error_type(spans, work):
    run = work.begin_agent("clerk")
    run.told = "something went wrong with the invoice of Ms Smith"
    work.end_agent(run)
    assert ended(spans, "invoke_agent clerk").attributes["error.type"] == "_OTHER"


def test_an_agent_inside_of_another_is_in_its_turn(observed, spans, work):
    outer = work.begin_agent("lead", "session-1")
    inner = work.begin_agent("helper", parent=outer)
    work.end_agent(inner)
    work.end_agent(outer)
    counted = observed.samples().items()
    turns = {name: value for name, value in counted if value and "turns_total" in name}
    assert turns == {'agent_turns_total{entry_agent="lead",outcome="ok"}': 1}
    span = ended(spans, "invoke_agent helper")
    assert span.parent.span_id == outer.span.get_span_context().span_id
    assert span.attributes["gen_ai.conversation.id"] == "session-1"


def test_a_turn_ends_with_the_error_that_its_framework_tells(observed, work):
    run = work.begin_workflow("support")
    run.told = "failed"
    work.end_workflow(run)
    assert observed.samples()['agent_turns_total{entry_agent="unknown",outcome="error"}'] == 1


def test_nothing_is_raised_when_the_shim_itself_fails(observed):
    class Broken:
        def start_span(self, *args: Any, **kwargs: Any) -> Any:
            raise OSError("no more spans")

    before = FAILURES.counts().get("broken", 0)
    work = FrameworkWork(Broken(), observed.recorder, "broken")  # type: ignore[arg-type]
    begun = [work.begin_workflow("w"), work.begin_agent("a"), work.begin_tool("t")]
    assert begun == [NO_WORK] * 3
    work.end_workflow(begun[0])
    work.end_agent(begun[1])
    work.end_tool(begun[2])
    assert FAILURES.counts()["broken"] == before + 3


@pytest.mark.parametrize(
    ("error", "told", "status", "kind"),
    [
        (None, "", "ok", "none"),
        (asyncio.CancelledError(), "", "cancelled", "none"),
        (TimeoutError("late"), "", "error", "timeout"),
        (None, "RateLimitError", "error", "rate_limit"),
    ],
)
def test_a_call_that_only_the_framework_tells_of_is_recorded_as_it_ended(
    observed, spans, tracer, error, told, status, kind
):
    calls = ModelCalls(observed.recorder, PriceTable())
    call = begin_call()
    call.provider, call.model, call.told = "openai", "gpt-4o-mini", told
    call.usage = TokenUsage(1000, 500)
    end_call(call, tracer, calls, error)
    labels = f'agent="unknown",provider="openai",model="gpt-4o-mini",status="{status}"'
    counted = f'agent_llm_requests_total{{{labels},error_type="{kind}"}}'
    assert observed.samples()[counted] == 1
    span = ended(spans, "chat gpt-4o-mini")
    assert span.attributes["midwatch.llm.cost_usd"] == pytest.approx(float(Decimal("0.00045")))
    assert (span.status.status_code is StatusCode.ERROR) == (status == "error")


@pytest.mark.parametrize(
    ("method", "target", "name", "attribute"),
    [
        ("tools/call", "add", "tools/call add", ("gen_ai.tool.name", "add")),
        ("prompts/get", "greet", "prompts/get greet", ("gen_ai.prompt.name", "greet")),
        ("resources/read", "file:///a", "resources/read", ("mcp.resource.uri", "file:///a")),
        ("tools/list", "", "tools/list", ("mcp.method.name", "tools/list")),
    ],
)
def test_requests_of_the_protocol_have_the_conventions_names(method, target, name, attribute):
    assert span_name(method, target) == name
    key, value = attribute
    assert span_attributes(method, target)[key] == value


def test_only_a_call_of_the_same_tool_is_recorded_already(work):
    assert not is_recorded("tools/call", "add")
    run = work.begin_tool("calculator__add")
    with run.current():
        assert is_recorded("tools/call", "add")
        assert not is_recorded("tools/call", "subtract")
        assert not is_recorded("prompts/get", "add")
    work.end_tool(run)
