"""Each example of the API's pages runs as it stands, and tells what its page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import midwatch
import pytest

DOCS = Path(__file__).parents[3] / "docs" / "shim"
PAGES = ("api.md", "testing.md", "source-interfaces.md")
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(page: str) -> list[str]:
    return _BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))


def run(page: str) -> dict[str, Any]:
    """All examples of a page, one after the other, as a reader would type them."""
    names: dict[str, Any] = {"__name__": page.removesuffix(".md")}
    for number, block in enumerate(examples(page), 1):
        code = compile(block, f"{page}, example {number}", "exec", dont_inherit=True)
        exec(code, names)  # noqa: S102 (our own pages)
    return names


def test_the_examples_of_the_api(telemetry):
    run("api.md")
    for metric in (
        *("agent_turns_total", "agent_invocations_total", "agent_tool_calls_total"),
        *("agent_route_total", "agent_handoff_total", "agent_guardrail_total"),
        *("agent_selfrag_decision_total", "agent_decisions_total", "agent_messages_total"),
        *("agent_collaborations_total", "agent_conflicts_total", "agent_outcomes_total"),
    ):
        assert telemetry.metric(metric) > 0, metric


def test_the_examples_of_testing(midwatch_telemetry):
    names = run("testing.md")
    names["test_billing_looks_the_invoice_up"](midwatch_telemetry)


def test_the_examples_of_the_source_documents(telemetry):
    run("source-interfaces.md")
    assert telemetry.metric("agent_llm_cost_usd_total", model="custom-model") == 0.0025
    assert telemetry.metric("agent_tool_calls_total", tool="stock_level") == 1


@pytest.mark.parametrize("name", sorted(set(midwatch.__all__) - {"init", "prompts", "feedback"}))
def test_each_exported_name_is_on_a_page(name):
    pages = "\n".join(
        (DOCS / page).read_text(encoding="utf-8") for page in PAGES if page != "testing.md"
    )
    elsewhere = {"FeedbackResult", "Ids", "ExecutionLog", "LLMCallLog"}
    assert name in elsewhere or re.search(rf"\b{name}\b", pages)


@pytest.mark.parametrize("page", PAGES)
def test_each_metric_and_event_that_a_page_names_is_in_the_registry(page):
    from midwatch.registry import EVENTS_BY_NAME, METRICS_BY_PROMETHEUS_NAME

    text = (DOCS / page).read_text(encoding="utf-8")
    for name in re.findall(r"`((?:agent|midwatch)_[a-z_]+_(?:total|seconds))`", text):
        assert name in METRICS_BY_PROMETHEUS_NAME
    for name in re.findall(r"`((?:turn|tool|route|selfrag|conflict|state)\.[a-z]+)`", text):
        assert name in EVENTS_BY_NAME
