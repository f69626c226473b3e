"""The registry has exactly the names that users, rules and dashboards were promised."""

from __future__ import annotations

import re

import pytest
from midwatch.registry import (
    EVENTS,
    METRICS,
    METRICS_BY_PROMETHEUS_NAME,
    RESOURCE_LABELS,
    Instrument,
)

PROMISED = {
    "agent_route_total": ("selected_agent",),
    "agent_handoff_total": ("from_agent", "to_agent"),
    "agent_handoff_loops_total": ("from_agent", "to_agent"),
    "agent_tool_calls_total": ("agent", "tool", "status"),
    "agent_tool_latency_seconds": ("agent", "tool"),
    "agent_guardrail_total": ("gate", "decision", "reason"),
    "agent_selfrag_decision_total": ("decision", "reason"),
    "agent_turns_total": ("entry_agent", "outcome"),
    "agent_turn_latency_seconds": (),
    "agent_active_turns": (),
    "agent_turn_steps": ("entry_agent",),
    "agent_turn_llm_calls": ("entry_agent",),
    "agent_turn_cost_usd": ("entry_agent",),
    "agent_invocations_total": ("agent", "status"),
    "agent_invocation_latency_seconds": ("agent",),
    "agent_llm_requests_total": ("agent", "provider", "model", "status", "error_type"),
    "agent_llm_latency_seconds": ("agent", "provider", "model"),
    "agent_llm_time_to_first_token_seconds": ("agent", "provider", "model"),
    "agent_llm_tokens_total": ("agent", "provider", "model", "token_type"),
    "agent_llm_cost_usd_total": ("agent", "provider", "model"),
    "agent_llm_unpriced_tokens_total": ("provider", "model"),
    "agent_llm_stream_chunks_total": ("agent", "provider", "model"),
    "agent_decisions_total": ("agent", "decision"),
    "agent_decision_confidence": ("agent", "decision"),
    "agent_messages_total": ("from_agent", "to_agent"),
    "agent_collaborations_total": ("workflow_type", "outcome"),
    "agent_conflicts_total": ("conflict_type", "resolution"),
    "agent_outcomes_total": ("outcome", "success"),
    "agent_feedback_total": ("kind", "value"),
    "agent_prompt_uses_total": ("prompt", "version", "variant"),
    "agent_budget_usd": ("scope", "scope_value", "period"),
    "agent_budget_spent_usd": ("scope", "scope_value", "period"),
    "chat_requests_total": (),
    "chat_failures_total": (),
    "service_ready": (),
    "midwatch_spans_total": ("result", "reason"),
    "midwatch_spool_bytes": (),
    "midwatch_export_breaker_state": (),
    "midwatch_sampling_ratio": (),
    "midwatch_overhead_seconds_total": (),
    "midwatch_turn_overhead_seconds": (),
    "midwatch_redactions_total": ("kind",),
    "midwatch_label_overflow_total": ("metric", "label"),
    "midwatch_instrumented": ("library", "state"),
}
HISTOGRAMS = {
    "agent_tool_latency_seconds",
    "agent_turn_latency_seconds",
    "agent_turn_steps",
    "agent_turn_llm_calls",
    "agent_turn_cost_usd",
    "agent_invocation_latency_seconds",
    "agent_llm_latency_seconds",
    "agent_llm_time_to_first_token_seconds",
    "agent_decision_confidence",
    "midwatch_turn_overhead_seconds",
}
PROMISED_EVENTS = [
    "turn.started",
    "turn.finished",
    "route.selected",
    "handoff",
    "handoff.loop",
    "tool.started",
    "tool.finished",
    "guardrail.decided",
    "selfrag.retrieved",
    "selfrag.graded",
    "selfrag.decided",
    "llm.called",
    "decision.made",
    "message.sent",
    "collaboration.started",
    "collaboration.finished",
    "conflict.detected",
    "conflict.resolved",
    "state.changed",
    "outcome.recorded",
    "feedback.recorded",
    "prompt.used",
    "budget.exceeded",
]
ADDED_EVENTS = ["span.sampled_out"]


@pytest.mark.parametrize("name", PROMISED)
def test_a_promised_metric_has_exactly_its_labels(name):
    assert METRICS_BY_PROMETHEUS_NAME[name].attribute_names == PROMISED[name]


def test_the_histograms_are_the_promised_ones():
    histograms = {
        name
        for name, metric in METRICS_BY_PROMETHEUS_NAME.items()
        if metric.instrument is Instrument.HISTOGRAM and not name.startswith("midwatch_ledger_")
    }
    assert histograms == HISTOGRAMS


def test_what_is_beyond_the_promise_is_midwatchs_own():
    beyond = set(METRICS_BY_PROMETHEUS_NAME) - set(PROMISED)
    assert all(name.startswith("midwatch_") for name in beyond)


def test_the_events_are_the_promised_ones_in_their_order():
    assert [event.name for event in EVENTS] == PROMISED_EVENTS + ADDED_EVENTS


def test_the_resource_labels_are_the_promised_ones():
    assert RESOURCE_LABELS == (
        "service_name",
        "service_namespace",
        "service_version",
        "k8s_namespace_name",
        "k8s_pod_name",
        "deployment_environment_name",
        "midwatch_project",
    )


def test_no_two_metrics_have_one_name():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert len(METRICS_BY_PROMETHEUS_NAME) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_described_bounded_and_complete(metric):
    assert re.fullmatch(r"[A-Z0-9].*\.", metric.description)
    assert all(attribute.metric_safe for attribute in metric.attributes)
    assert bool(metric.buckets) == (metric.instrument is Instrument.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.origin


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_an_event_is_described_and_its_identity_is_part_of_it(event):
    assert event.description.endswith(".")
    assert set(event.identity) <= {attribute.name for attribute in event.attributes}


def test_siblings_have_declared_values_only():
    for metric in METRICS:
        values = {attribute.name: attribute.values for attribute in metric.attributes}
        for sibling in metric.siblings:
            for name, value in sibling:
                assert value in values[name]
