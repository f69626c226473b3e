"""The routes over millions of model calls in PostgreSQL: how long each takes, again and again."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
from midwatch_ledger.store.attribution import work_out_day
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.migrate import migrate
from sqlalchemy import make_url

from tests.bench.ledger.postgres import Postgres, postgres
from tests.bench.ledger.scale_data import DAYS, Extent, Say, fill, until_tonight
from tests.bench.ledger.servers import MIDWATCH, Server

# Rows are made with nothing logged: they can be made again.
_FILLING = (
    "-c wal_level=minimal -c max_wal_senders=0 -c fsync=off -c full_page_writes=off "
    "-c work_mem=64MB -c random_page_cost=1.1"
)
_WARM_UP = 2
_SLOW_SECONDS = 3.0
ROUTE_MS, ANALYTICS_MS = 100, 300


def measure_scale(calls: int, times: int, say: Say) -> dict[str, Any]:
    """Make so many model calls, and ask each route so many times."""
    with postgres(_FILLING) as server:
        url = server.server.create_database()
        extent = make_rows(server, url, calls, say)
        return ask(url, extent, times, say)


def make_rows(server: Postgres, url: str, calls: int, say: Say) -> Extent:
    """Fill an empty database."""
    extent = until_tonight(calls)
    database = Database(make_url(url))
    migrate(database)
    with server.connect(url) as connection:
        fill(connection, extent, say)
    for day in range(DAYS):
        with database.writing() as work:
            work_out_day(work, extent.begin + timedelta(days=day))
    database.close()
    return extent


def ask(url: str, extent: Extent, times: int, say: Say) -> dict[str, Any]:
    """Start a ledger on the database and ask it; all figures are milliseconds."""
    folder = Path(tempfile.mkdtemp(prefix="bench-scale-"))
    server = Server(MIDWATCH, folder, {"MIDWATCH_LEDGER_DATABASE_URL": url})
    found: dict[str, dict[str, float]] = {}
    try:
        with httpx.Client(base_url=server.url, timeout=120) as client:
            for name, (path, given) in _questions(client, extent).items():
                found[name] = one = _timed(client, path, given, times)
                slow = one["p95"] > (ANALYTICS_MS if "30 days" in name else ROUTE_MS)
                told = f"{one['p95']:9.1f} ms p95, {one['least']:.1f} at least: {name}"
                say(f"{'SLOW' if slow else 'ok  '} {told}")
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
    return {"model_calls": extent.calls, "times": times, "routes": found}


def _timed(
    client: httpx.Client, path: str, given: Mapping[str, Any], times: int
) -> dict[str, float]:
    taken: list[float] = []
    for number in range(times + _WARM_UP):
        began = time.perf_counter()
        client.get(path, params=given).raise_for_status()
        seconds = time.perf_counter() - began
        if number >= _WARM_UP:
            taken.append(seconds * 1000)
        if seconds > _SLOW_SECONDS:
            # What takes this long is no close call: a few times are enough to say so.
            taken = taken or [seconds * 1000]
            break
    middle = median(taken)
    p95 = quantiles(taken, n=20, method="inclusive")[-1] if len(taken) > 1 else middle
    return {"least": min(taken), "p50": middle, "p95": p95, "most": max(taken), "asked": len(taken)}


def _questions(client: httpx.Client, extent: Extent) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return by name what is asked: rows somewhere in the middle, and sums of periods."""
    now = datetime.now(UTC)
    day, month = _period(now, 1), _period(now, 30)
    newest = client.get("/execution-logs/llm-calls", params={**day, "limit": 1}).json()[0]
    trace = newest["trace_id"]
    middle = _period(extent.end - timedelta(days=20), 1)
    session = f"session-{extent.recent_session}"
    calls, executions = "/execution-logs/llm-calls", "/execution-logs/executions"
    questions: dict[str, tuple[str, dict[str, Any]]] = {
        "newest model calls": (calls, {}),
        "model calls of a model": (calls, {"model_id": "gpt-large"}),
        "failed model calls of a day": (calls, {"status": "failed", **middle}),
        "model calls, offset 1,000": (calls, {"offset": 1000}),
        "model calls of an execution": (calls, {"execution_log_id": newest["execution_log_id"]}),
        "newest executions with their calls": (executions, {"include_llm_calls": True}),
        "executions of an agent": (executions, {"agent_type": "monitor", "status": "failed"}),
        "one execution": (f"{executions}/{trace}", {}),
        "one trace": (f"/monitoring/traces/{trace}", {}),
        "a session's traces": (f"/monitoring/traces/{session}", {}),
        "alerts": ("/monitoring/alerts", {}),
        "dashboard": ("/monitoring/dashboard", {}),
        "budgets": ("/budgets", {}),
        "feedback that is new": ("/feedback", {"state": "new"}),
        "experiments": ("/experiments", {}),
        "console: sessions": ("/console/sessions", {}),
        "console: one session": (f"/console/sessions/{session}", {}),
        "costs by call, 1 day": ("/analytics/costs", {"by": "call", **day}),
        "daily report": (f"/analytics/reports/{now - timedelta(days=2):%Y-%m-%d}", {}),
    }
    for length, period in (("1 day", day), ("30 days", month)):
        questions |= {
            f"{name}, {length}": (path, {**given, **period})
            for name, (path, given) in _ANALYTICS.items()
        }
    return questions


_ANALYTICS: dict[str, tuple[str, dict[str, Any]]] = {
    "summary": ("/execution-logs/analytics/summary", {}),
    "performance by agent": ("/monitoring/performance", {"group_by": "agent"}),
    "costs by agent and model": ("/monitoring/costs", {}),
    "conversations": ("/analytics/conversations", {}),
    "outcomes": ("/analytics/outcomes", {}),
    "trend of costs": ("/analytics/trends", {"kind": "llm_call", "measure": "cost_usd"}),
    "comparison of models": (
        "/analytics/compare",
        {"by": "model", "baseline": "gpt-small", "candidate": "gpt-large"},
    ),
    "bottlenecks": ("/analytics/bottlenecks", {}),
    "costs by agent": ("/analytics/costs", {"by": "agent"}),
    "costs by session": ("/analytics/costs", {"by": "session"}),
    "recommendations": ("/analytics/recommendations", {}),
    "workflow metrics": ("/analytics/workflow-metrics", {}),
}


def _period(end: datetime, days: int) -> dict[str, str]:
    return {"start_date": (end - timedelta(days=days)).isoformat(), "end_date": end.isoformat()}
