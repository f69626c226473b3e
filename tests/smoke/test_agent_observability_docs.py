"""The documents that S3 asks for are there and hold what they must."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def runbook() -> str:
    return (DOCS / "agent-observability-runbook.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def deployment() -> str:
    return (DOCS / "k8s-deployment-observability.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    match = re.search(rf"^#+ {re.escape(title)}$(.*?)(?=^#+ |\Z)", text, re.DOTALL | re.MULTILINE)
    assert match, f"no section {title!r}"
    return match.group(1)


@pytest.mark.parametrize(
    "metric",
    [
        "agent_route_total",
        "agent_handoff_total",
        "agent_tool_calls_total",
        "agent_guardrail_total",
        "agent_selfrag_decision_total",
        "agent_tool_latency_seconds",
        "agent_turn_latency_seconds",
    ],
)
def test_runbook_mentions_each_metric_of_the_agents(runbook: str, metric: str) -> None:
    assert f"| `{metric}`" in section(runbook, "Metric dictionary")


@pytest.mark.parametrize(
    ("title", "metric"),
    [
        ("Route skew", "agent_route_total"),
        ("Handoff loops", "agent_handoff_loops_total"),
        ("Tool failure ratio", "agent_tool_calls_total"),
        ("Self-RAG escalation rate", "agent_selfrag_decision_total"),
        ("Guardrail deny rate", "agent_guardrail_total"),
    ],
)
def test_runbook_has_a_query_for_each_signal(runbook: str, title: str, metric: str) -> None:
    queries = re.findall(r"```promql\n(.*?)```", section(runbook, title), flags=re.DOTALL)
    assert any(metric in query for query in queries)


@pytest.mark.parametrize("field", ["trace_id", "session_id", "turn_id", "event", "metadata"])
def test_runbook_explains_each_field_of_a_trace_event(runbook: str, field: str) -> None:
    assert f"| `{field}` |" in section(runbook, "Trace events")


def test_runbook_leads_from_symptoms_to_causes(runbook: str) -> None:
    triage = section(runbook, "From the symptom to the cause")
    assert triage.count("](runbooks/") >= 10
    assert "Likely cause" in triage


@pytest.mark.parametrize(
    "setting",
    ["AGENT_OBSERVABILITY_ENABLED", "AGENT_METRICS_NAMESPACE", "AGENT_TRACE_JSONL_PATH"],
)
def test_the_deployment_page_explains_each_setting(deployment: str, setting: str) -> None:
    assert f"| `{setting}` |" in section(deployment, "Settings of an agent")


def test_the_deployment_page_states_objectives_and_links_to_the_runbook(deployment: str) -> None:
    assert "95 %" in section(deployment, "SLOs")
    assert "(agent-observability-runbook.md)" in deployment
