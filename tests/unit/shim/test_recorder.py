"""What the recorder makes of facts."""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest
from midwatch.instruments.recorder import ModelCall
from midwatch.instruments.turns import current_turn, turn
from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.failures import FAILURES


def call(**fields) -> ModelCall:
    usual = {"agent": "monitor", "provider": "openai", "model": "small", "seconds": 1.5}
    return ModelCall(**{**usual, **fields})


def test_the_third_same_handoff_of_a_turn_is_a_loop(observed):
    with turn(recorder=observed.recorder):
        for _ in range(4):
            observed.recorder.handoff("supervisor", "rag")
    samples = observed.samples()
    pair = '{from_agent="supervisor",to_agent="rag"}'
    assert samples[f"agent_handoff_total{pair}"] == 4
    assert samples[f"agent_handoff_loops_total{pair}"] == 2
    assert observed.events.names().count("handoff.loop") == 2


def test_handoffs_of_different_turns_are_no_loop(observed):
    for _ in range(5):
        with turn(recorder=observed.recorder):
            observed.recorder.handoff("supervisor", "rag")
    assert "agent_handoff_loops_total" not in observed.text()


def test_a_turn_gathers_steps_model_calls_and_cost(observed):
    with turn(session_id="s1", recorder=observed.recorder):
        observed.recorder.invocation("supervisor", "ok", 0.1)
        observed.recorder.model_call(call(cost_usd=Decimal("0.0125")))
        observed.recorder.model_call(call(cost_usd=Decimal("0.0125")))
    samples = observed.samples()
    assert samples['agent_turn_steps_sum{entry_agent="supervisor"}'] == 1
    assert samples['agent_turn_llm_calls_sum{entry_agent="supervisor"}'] == 2
    assert samples['agent_turn_cost_usd_sum{entry_agent="supervisor"}'] == 0.025
    finished = observed.events.records[-1]
    assert finished.event == "turn.finished"
    assert finished.session_id == "s1"
    assert finished.metadata["cost"] == "0.0250"


def test_tokens_of_a_model_without_a_price_are_counted_as_unpriced(observed):
    observed.recorder.model_call(call(input_tokens=10, output_tokens=5, cost_usd=None))
    samples = observed.samples()
    assert samples['agent_llm_unpriced_tokens_total{provider="openai",model="small"}'] == 15
    assert not any(name.startswith("agent_llm_cost_usd_total") for name in samples)


def test_a_model_call_event_carries_the_fields_of_the_source_document(observed):
    observed.recorder.model_call(
        call(input_tokens=10, output_tokens=5, cost_usd=Decimal("0.1"), task_id="t1")
    )
    metadata = observed.events.records[-1].metadata
    assert metadata["agent_id"] == "monitor"
    assert metadata["task_id"] == "t1"
    assert metadata["llm_model_name"] == "small"
    assert metadata["total_tokens"] == 15
    assert metadata["cost"] == "0.1"
    assert metadata["timestamp_prompt"] < metadata["timestamp_response"]


def test_prompts_and_answers_stay_in_the_process_by_default(observed):
    observed.recorder.model_call(call(prompt_text="my secret", response_text="yours"))
    assert "my secret" not in str(observed.events.records[-1])


def test_prompts_and_answers_leave_the_process_if_the_policy_says_so(observed):
    observed.recorder.content = ContentPolicy("full")
    observed.recorder.model_call(call(prompt_text="hello", response_text="hi"))
    assert observed.events.records[-1].metadata["prompt_text"] == "hello"


def test_a_failure_inside_never_reaches_the_application_and_is_logged_once(observed, caplog):
    before = FAILURES.counts().get("recorder.route", 0)

    class Broken:
        def write(self, record):
            raise TypeError("broken sink")

    observed.recorder._sinks = (Broken(),)
    with caplog.at_level(logging.WARNING, logger="midwatch"):
        for _ in range(3):
            observed.recorder.route("monitor")
    assert FAILURES.counts()["recorder.route"] == before + 3
    assert len([r for r in caplog.records if "recorder.route" in r.getMessage()]) == 1
    samples = observed.samples()
    assert samples['midwatch_internal_errors_total{where="recorder.route"}'] == before + 3


def test_a_disabled_recorder_records_nothing(observed):
    observed.recorder.enabled = False
    observed.recorder.route("monitor")
    assert "agent_" not in observed.text()
    assert observed.events.records == []


def test_an_exception_passes_through_a_turn_and_decides_its_outcome(observed):
    with (
        pytest.raises(ValueError, match="unwell"),
        turn(entry_agent="supervisor", recorder=observed.recorder),
    ):
        raise ValueError("unwell")
    samples = observed.samples()
    assert samples['agent_turns_total{entry_agent="supervisor",outcome="error"}'] == 1
    assert observed.events.records[-1].metadata["error"] == "ValueError"
    assert current_turn() is None


def test_active_turns_go_up_and_down(observed):
    with turn(recorder=observed.recorder):
        assert observed.samples()["agent_active_turns"] == 1
    assert observed.samples()["agent_active_turns"] == 0


def test_a_turn_within_a_turn_is_the_same_turn(observed):
    with (
        turn(recorder=observed.recorder) as outer,
        turn(session_id="s1", turn_id="7", by="hand", recorder=observed.recorder) as inner,
    ):
        assert inner is outer
    assert observed.events.names() == ["turn.started", "turn.finished"]
    assert observed.events.records[-1].session_id == "s1"
    assert observed.events.records[-1].turn_id == "7"


def test_the_time_spent_in_the_shim_is_told(observed):
    with turn(recorder=observed.recorder):
        observed.recorder.route("monitor")
    samples = observed.samples()
    assert 0 < samples["midwatch_overhead_seconds_total"] < 1
    assert samples["midwatch_turn_overhead_seconds_count"] == 1


def test_each_exposed_event_is_also_one_of_the_current_span(observed):
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("server") as span:
        observed.recorder.guardrail("input", "deny", "injection")
    assert isinstance(span, ReadableSpan)
    (event,) = span.events
    assert event.name == "guardrail.decided"
    assert dict(event.attributes or {})["decision"] == "deny"
    assert observed.events.records[0].trace_id == f"{span.get_span_context().trace_id:032x}"
