"""S4's routes: filters, limits, shapes, the summary and the deletion."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from midwatch_ledger.models import Base, Resource

REPORT = "550e8400-e29b-41d4-a716-446655440000"
START = "2026-11-18T00:00:00Z"


@pytest.fixture
def filled(ledger: Any) -> Any:
    return fill(ledger)


@pytest.fixture(scope="module")
def asked(shared_ledger: Any) -> Any:
    return fill(shared_ledger)


def fill(ledger: Any) -> Any:
    other = type(ledger.otlp)("f" * 32)
    ledger.send(*ledger.otlp.turn())
    ledger.send(
        other.agent(1, None, "planner", at=100, error="ValueError", midwatch__report__id=REPORT),
        other.chat(2, 1, at=100, gen_ai__request__model="gpt-large", gen_ai__request__stream=True),
        other.tool(3, 1, "slow", at=101, error="asyncio.exceptions.CancelledError"),
    )
    return ledger


def executions(ledger: Any, **parameters: Any) -> Any:
    answer = ledger.client.get("/execution-logs/executions", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({}, 6),
        ({"agent_type": "monitor"}, 2),
        ({"execution_step": "execute_tool"}, 2),
        ({"action_type": "read_metrics"}, 1),
        ({"status": "failed"}, 1),
        ({"status": "cancelled"}, 1),
        ({"report_id": REPORT}, 1),
        ({"external_platform": "slack"}, 0),
        ({"agent_type": "monitor", "status": "failed"}, 0),
        ({"start_date": "2026-11-18T11:07:40Z"}, 2),
        ({"end_date": "2026-11-18T11:07:40"}, 4),
        ({"start_date": "2026-11-18T13:07:40+02:00"}, 2),
        ({"limit": 2}, 2),
        ({"offset": 5}, 1),
    ],
)
def test_executions_are_filtered_and_paged(
    asked: Any, parameters: dict[str, Any], count: int
) -> None:
    assert len(executions(asked, **parameters)) == count


def test_executions_come_newest_first_and_with_their_model_calls_on_request(asked: Any) -> None:
    found = executions(asked, include_llm_calls=True)

    starts = [datetime.fromisoformat(execution["start_time"]) for execution in found]
    assert starts == sorted(starts, reverse=True)
    calls = {item["agent_type"]: len(item["llm_calls"]) for item in found if item["llm_calls"]}
    assert calls == {"planner": 1, "monitor": 1, "supervisor": 1}
    assert "llm_calls" not in executions(asked)[0]


def test_one_execution_id_groups_its_logs_in_order_of_time(asked: Any) -> None:
    trace_id = asked.otlp.trace_id

    found = asked.client.get(f"/execution-logs/executions/{trace_id}").json()

    assert [log["agent_type"] for log in found] == [
        "POST /chat",
        "supervisor",
        "monitor",
        "monitor",
    ]
    assert {log["execution_id"] for log in found} == {trace_id}
    assert found[1]["llm_calls"][0]["total_cost"] == 0.0003
    # The HTTP span between the agent and its call is no execution: the call belongs to the agent.
    assert found[2]["llm_calls"][0]["total_cost"] == 0.0009
    assert found[3]["parent_execution_log_id"] == found[2]["id"]


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({}, 3),
        ({"provider": "openai"}, 3),
        ({"provider": "anthropic"}, 0),
        ({"model_id": "gpt-large"}, 1),
        ({"call_type": "inference_stream"}, 1),
        ({"status": "completed"}, 3),
        ({"limit": 1, "offset": 1}, 1),
        ({"end_date": "2026-11-18T11:07:40Z"}, 2),
    ],
)
def test_model_calls_are_filtered_and_paged(
    asked: Any, parameters: dict[str, Any], count: int
) -> None:
    found = asked.client.get("/execution-logs/llm-calls", params=parameters).json()

    assert len(found) == count


def test_model_calls_are_found_by_their_execution(asked: Any) -> None:
    (planner,) = executions(asked, agent_type="planner", execution_step="invoke_agent")

    (call,) = asked.client.get(
        "/execution-logs/llm-calls", params={"execution_log_id": planner["id"]}
    ).json()

    assert (call["model_id"], call["is_streaming"], call["agent"]) == ("gpt-large", True, "planner")


@pytest.mark.parametrize(
    "query",
    [
        "executions?limit=501",
        "executions?limit=0",
        "executions?offset=-1",
        "executions?report_id=7",
        "executions?start_date=yesterday",
        "llm-calls?limit=501",
        "analytics/summary?start_date=2026-02-01&end_date=2026-01-01",
    ],
)
def test_wrong_parameters_are_a_problem_that_names_them(shared_ledger: Any, query: str) -> None:
    answer = shared_ledger.client.get(f"/execution-logs/{query}")

    name = query.partition("?")[2].partition("=")[0]
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert name in answer.json()["detail"]


def test_the_summary_has_the_shape_and_sums_of_its_source(asked: Any) -> None:
    found = asked.client.get(
        "/execution-logs/analytics/summary",
        params={"start_date": START, "end_date": "2026-11-19T00:00:00Z"},
    ).json()

    assert found["date_range"] == {"start_date": START, "end_date": "2026-11-19T00:00:00Z"}
    assert found["execution_analytics"] == {
        "total_executions": 6,
        "success_rate": 4 / 6,
        "status_counts": {"completed": 4, "cancelled": 1, "failed": 1},
        "agent_type_counts": {"monitor": 2, "planner": 2, "POST /chat": 1, "supervisor": 1},
        "duration_stats": {
            "avg_duration_ms": pytest.approx((4000 + 500 + 2500 + 200 + 1000 + 1000) / 6),
            "min_duration_ms": 200,
            "max_duration_ms": 4000,
        },
    }
    calls = found["llm_call_analytics"]
    assert (calls["total_calls"], calls["provider_counts"]) == (3, {"openai": 3})
    assert calls["model_counts"] == {"gpt-small": 2, "gpt-large": 1}
    assert calls["token_stats"] == {
        "total_input_tokens": 300,
        "total_output_tokens": 60,
        "total_tokens": 360,
        "total_cost": 0.0015,
    }
    assert [row["total_cost"] for row in calls["cost_breakdown"]] == [0.0012, 0.0003]


def test_the_summary_covers_thirty_days_by_default_and_filters_by_report(asked: Any) -> None:
    found = asked.client.get(
        "/execution-logs/analytics/summary",
        params={"end_date": "2026-12-01T00:00:00Z", "report_id": REPORT},
    ).json()

    assert found["date_range"]["start_date"] == "2026-11-01T00:00:00Z"
    assert found["execution_analytics"]["total_executions"] == 1


def test_deleting_an_execution_leaves_nothing_of_it_behind(filled: Any) -> None:
    trace_id = filled.otlp.trace_id
    filled.send_events(filled.otlp.event("handoff", from_agent="a", to_agent="b"))
    filled.send_events(filled.otlp.event("guardrail.decided", gate="input", decision="deny"))

    answer = filled.client.delete(f"/execution-logs/executions/{trace_id}")

    assert (answer.status_code, answer.json()["deleted"]["spans"]) == (200, 7)
    assert filled.client.get(f"/monitoring/traces/{trace_id}").status_code == 404
    for mapper in Base.registry.mappers:
        if mapper.class_ is not Resource:
            assert trace_id not in str(filled.rows(mapper.class_))
    assert len(executions(filled)) == 2


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_execution_is_a_problem(shared_ledger: Any, method: str) -> None:
    answer = shared_ledger.client.request(method, "/execution-logs/executions/nothing")

    assert answer.status_code == 404
    assert "'nothing'" in answer.json()["detail"]


def logged(otlp: Any, number: int, **attributes: object) -> Any:
    """Give an execution as S4's loggers tell of it."""
    return otlp.agent(number, None, "planner", midwatch__execution__id="run-7", **attributes)


def test_executions_that_the_application_groups_are_found_by_its_own_id(ledger: Any) -> None:
    later = type(ledger.otlp)("e" * 32)
    ledger.send(logged(ledger.otlp, 1), logged(later, 1))

    found = ledger.client.get("/execution-logs/executions/run-7").json()

    assert {execution["trace_id"] for execution in found} == {ledger.otlp.trace_id, "e" * 32}


@pytest.mark.parametrize("status", ["started", "completed", "failed", "cancelled"])
def test_what_the_application_says_of_an_execution_goes_first(ledger: Any, status: str) -> None:
    ledger.send(
        logged(
            ledger.otlp,
            1,
            midwatch__execution__status=status,
            midwatch__execution__metadata='{"customer": "c-1"}',
        )
    )

    (execution,) = executions(ledger)

    assert (execution["status"], execution["metadata"]) == (status, {"customer": "c-1"})


def test_deleting_a_group_of_executions_deletes_all_its_traces(ledger: Any) -> None:
    ledger.send(logged(ledger.otlp, 1), logged(type(ledger.otlp)("e" * 32), 1))

    answer = ledger.client.delete("/execution-logs/executions/run-7")

    assert answer.json()["deleted"]["execution_logs"] == 2
    assert executions(ledger) == []
