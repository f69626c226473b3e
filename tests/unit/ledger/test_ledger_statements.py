"""How many statements an answer takes: no more for many agents, models and prompts than for few."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from midwatch_ledger.services.rollups import catch_up
from sqlalchemy import Engine, event

START = datetime.fromtimestamp(1_795_000_000, UTC)
PERIOD = {
    "start_date": (START - timedelta(hours=1)).isoformat(),
    "end_date": (START + timedelta(hours=3)).isoformat(),
}
COMPARED = {"by": "model", "baseline": "model-0", "candidate": "model-1"}
ROUTES: dict[str, dict[str, Any]] = {
    "/analytics/conversations": PERIOD,
    "/analytics/outcomes": {**PERIOD, "group_by": ["agent"]},
    "/analytics/trends": {**PERIOD, "kind": "llm_call", "measure": "cost_usd"},
    "/analytics/compare": {**PERIOD, **COMPARED},
    "/analytics/bottlenecks": PERIOD,
    "/analytics/costs": {**PERIOD, "by": "session"},
    "/analytics/recommendations": PERIOD,
    "/analytics/workflow-metrics": PERIOD,
    f"/analytics/reports/{START:%Y-%m-%d}": {},
    "/execution-logs/analytics/summary": PERIOD,
    "/execution-logs/executions": {**PERIOD, "include_llm_calls": True},
    "/execution-logs/llm-calls": PERIOD,
    "/monitoring/performance": {**PERIOD, "group_by": ["agent"]},
    "/monitoring/costs": PERIOD,
    "/monitoring/dashboard": {},
    "/budgets": {},
    "/prompts": {},
    "/experiments": {},
    "/feedback": {},
    "/console/sessions": {},
}


@contextmanager
def counted() -> Iterator[list[str]]:
    """Give the statements that go out for requests meanwhile; threads of the ledger's own go on."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if threading.current_thread().name.startswith("AnyIO"):
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield statements
    event.remove(Engine, "before_cursor_execute", note)


def fill(ledger: Any, first: int, last: int) -> None:
    """Send turns of agents that each have a model, a prompt, a session and a budget."""
    spans, events = [], []
    for number in range(first, last):
        turn = type(ledger.otlp)(f"{number + 1:032x}", ledger.otlp.start + number * 10**9)
        named = {"session__id": f"session-{number}"}
        spans += [
            turn.span(1, midwatch__turn__entry_agent=f"agent-{number}", **named),
            turn.agent(2, 1, f"agent-{number}", **named),
            turn.chat(
                *(3, 2),
                gen_ai__request__model=f"model-{number}",
                gen_ai__prompt__name=f"prompt-{number}",
                gen_ai__prompt__version="1",
                gen_ai__input__messages="again and again",
                **named,
            ),
        ]
        events += [
            turn.event("feedback.recorded", kind="thumb", value="down"),
            turn.event("handoff.loop", from_agent=f"agent-{number}", to_agent="b", repeats=4),
        ]
    ledger.send(*spans)
    ledger.send_events(*events)
    for number in range(first, last):
        ledger.client.post(
            "/prompts", json={"name": f"prompt-{number}", "by": "ann"}
        ).raise_for_status()
    budgets = [
        {"scope": "agent", "scope_value": f"agent-{n}", "period": "day", "amount_usd": 1}
        for n in range(last)
    ]
    ledger.client.put("/budgets", json={"budgets": budgets}).raise_for_status()
    catch_up(ledger.database)


def statements_of(ledger: Any, route: str) -> int:
    with counted() as statements:
        ledger.client.get(route, params=ROUTES[route]).raise_for_status()
    return len(statements)


def test_no_answer_takes_more_statements_for_more_agents_models_and_prompts(ledger: Any) -> None:
    fill(ledger, 0, 3)
    few = {route: statements_of(ledger, route) for route in ROUTES}
    fill(ledger, 3, 15)

    dearer = {route for route in ROUTES if statements_of(ledger, route) > few[route]}
    # The end of an earlier request may fall into one, but not into the same again.
    assert {route for route in dearer if statements_of(ledger, route) > few[route]} == set()
    assert min(few.values()) > 0
