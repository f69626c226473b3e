"""What the boards must answer, as the design and the source documents ask it.

Names stand in `test_dashboards`: here is only that each question has a panel that asks for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

GENERATED = Path(__file__).resolve().parents[2] / "grafana-dashboards" / "generated"
ON_CALL = {"midwatch-fleet", "midwatch-agent", "midwatch-models", "midwatch-pipeline"}
DRILL_DOWN = {"midwatch-sessions", "midwatch-ledger"}

# By document: the question, the board, and what one of its panels must ask for.
QUESTIONS = [
    ("S1", "model call latency on average", "midwatch-models", r"agent_llm_latency_seconds_sum"),
    ("S1", "model call latency p95", "midwatch-models", r"0\.95.*agent_llm_latency_seconds_bucket"),
    ("S1", "tokens by agent", "midwatch-agent", r"by \([^)]*agent\) .*agent_llm_tokens_total"),
    ("S1", "tokens of a task", "midwatch-ledger", r"SELECT trace_id.*tokens"),
    ("S1", "cost by agent", "midwatch-models", r"by \(agent\) .*agent_llm_cost_usd_total"),
    ("S1", "cost of a task", "midwatch-ledger", r"SELECT trace_id.*cost"),
    ("S1", "total cost", "midwatch-fleet", r"sum \(increase\(agent_llm_cost_usd_total.*\$__range"),
    (
        "S1",
        "error rate of models",
        "midwatch-models",
        r'agent_llm_requests_total\{.*status="error"',
    ),
    ("S1", "prompt versions", "midwatch-ledger", r"prompt_version"),
    ("S1", "feedback", "midwatch-agent", r"agent_feedback_total"),
    ("S2", "turn duration", "midwatch-fleet", r"agent_turn_latency_seconds_bucket"),
    ("S2", "duration by agent", "midwatch-agent", r"agent_invocation_latency_seconds_bucket"),
    ("S2", "cost by model", "midwatch-models", r"by \(model\) .*agent_llm_cost_usd_total"),
    ("S2", "budgets", "midwatch-models", r"agent_budget_spent_usd"),
    ("S2", "qualification success", "midwatch-agent", r'agent_outcomes_total\{.*success="true"'),
    ("S2", "alerts", "midwatch-fleet", r"ALERTS"),
    ("S3", "routes", "midwatch-agent", r"agent_route"),
    ("S3", "handoffs", "midwatch-agent", r"agent_handoff_total"),
    ("S3", "handoff loops", "midwatch-agent", r"agent_handoff_loops"),
    ("S3", "tool failures", "midwatch-agent", r"agent_tool_failures"),
    ("S3", "tool duration", "midwatch-agent", r"agent_tool_latency_seconds_bucket"),
    ("S3", "guardrails", "midwatch-agent", r"agent_guardrail"),
    ("S3", "self-RAG", "midwatch-agent", r"agent_selfrag_escalations"),
    ("S3", "readiness", "midwatch-agent", r"service_ready"),
    ("S3", "failed chats", "midwatch-agent", r"chat_failures"),
    ("S4", "executions by step", "midwatch-ledger", r"execution_step"),
    ("S4", "failed executions", "midwatch-ledger", r"error_message"),
    ("S4", "calls, tokens, cost by model", "midwatch-ledger", r"SELECT provider.*model_id.*count"),
    ("S5", "decisions", "midwatch-agent", r"agent_decisions_total"),
    ("S5", "confidence", "midwatch-agent", r"agent_decision_confidence"),
    ("S5", "messages", "midwatch-agent", r"agent_messages_total"),
    ("S5", "collaborations", "midwatch-agent", r"agent_collaborations_total"),
    ("S5", "conflicts", "midwatch-agent", r"agent_conflicts_total"),
    ("S5", "overhead of tracing", "midwatch-pipeline", r"midwatch_turn_overhead_seconds_bucket"),
    ("S5", "what is traced", "midwatch-pipeline", r'midwatch_spans_total\{.*result="dropped"'),
]


def boards() -> dict[str, dict[str, Any]]:
    found = (json.loads(file.read_text(encoding="utf-8")) for file in GENERATED.glob("*.json"))
    return {board["uid"]: board for board in found}


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        yield from panels(panel) if panel["type"] == "row" and panel.get("panels") else [panel]


def asked(board: dict[str, Any]) -> list[str]:
    """The queries of a board, each on one line."""
    targets = (target for panel in panels(board) for target in panel.get("targets", []))
    queries = (target.get("expr") or target.get("rawSql") or "" for target in targets)
    return [" ".join(query.split()) for query in queries]


def test_there_are_four_boards_for_on_call_and_the_way_down_to_sessions() -> None:
    assert set(boards()) == ON_CALL | DRILL_DOWN


@pytest.mark.parametrize(
    ("board", "query"),
    [(board, query) for _, _, board, query in QUESTIONS],
    ids=[f"{document}: {question}" for document, question, _, _ in QUESTIONS],
)
def test_each_question_of_the_source_documents_has_a_panel(board: str, query: str) -> None:
    assert any(re.search(query, one) for one in asked(boards()[board]))


def test_every_board_leads_to_the_others() -> None:
    for uid, board in boards().items():
        (link,) = [one for one in board["links"] if one["type"] == "dashboards"]
        assert set(link["tags"]) <= set(board["tags"]), uid


def test_what_the_ledger_keeps_is_asked_of_its_postgresql() -> None:
    for panel in panels(boards()["midwatch-ledger"]):
        for target in panel.get("targets", []):
            assert target["datasource"]["type"] == "grafana-postgresql-datasource", panel["title"]
