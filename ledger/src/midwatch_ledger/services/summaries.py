"""S4's summary of executions and model calls in a period."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from midwatch_ledger.store import summaries as store
from midwatch_ledger.store.windows import Parts, divide, stale_between

Record = dict[str, Any]

_MOST_STALE = 60
"""With more minutes than these not summed up yet, the rows are read instead."""

_TOKENS = (
    ("input_tokens", "total_input_tokens"),
    ("output_tokens", "total_output_tokens"),
    ("total_tokens", "total_tokens"),
)


def summarize(
    connection: Connection, *, start: datetime, end: datetime, report_id: UUID | None
) -> Record:
    """Return S4's analytics summary of a period.

    It comes from the sums; from rows only the seconds at both ends, what isn't summed up yet, and
    all of what is narrowed to a report, which sums know nothing of.
    """
    parts = _parts(connection, start, end, report_id)
    return {
        "date_range": {"start_date": start, "end_date": end},
        "execution_analytics": _executions(store.executions(connection, parts, report_id)),
        "llm_call_analytics": _llm_calls(store.llm_calls(connection, parts, report_id)),
    }


def _parts(connection: Connection, start: datetime, end: datetime, report_id: UUID | None) -> Parts:
    if report_id is None:
        stale = stale_between(connection, start, end, _MOST_STALE + 1)
        if len(stale) <= _MOST_STALE:
            return divide(start, end, stale)
    return Parts(rows=((start, end),))


def _executions(groups: Iterable[Record]) -> Record:
    statuses: Counter[str] = Counter()
    agents: Counter[str] = Counter()
    took, fastest, slowest = 0, [], []
    for group in groups:
        count = int(group["count"])
        statuses[group["status"]] += count
        agents[group["agent_type"]] += count
        took += int(group["duration_ms"])
        slowest.append(int(group["slowest_ms"]))
        if group["fastest_ms"] is not None:
            fastest.append(int(group["fastest_ms"]))
    executions = statuses.total()
    return {
        "total_executions": executions,
        "success_rate": statuses["completed"] / executions if executions else None,
        "status_counts": _most_first(statuses),
        "agent_type_counts": _most_first(agents),
        "duration_stats": {
            "avg_duration_ms": took / executions if executions else None,
            "min_duration_ms": min(fastest, default=None),
            "max_duration_ms": max(slowest, default=None),
        },
    }


def _llm_calls(groups: Iterable[Record]) -> Record:
    models: dict[tuple[str, str], Record] = {}
    for group in groups:
        key = (group["provider"], group["model_id"])
        model = models.setdefault(key, _no_calls())
        model["total_calls"] += int(group["count"])
        model["total_cost"] += group["cost"] or 0
        for name, total in _TOKENS:
            model[total] += int(group[name])
    providers: Counter[str] = Counter()
    ids: Counter[str] = Counter()
    for (provider, model_id), model in models.items():
        providers[provider] += model["total_calls"]
        ids[model_id] += model["total_calls"]
    totals = {
        name: sum((model[name] for model in models.values()), nothing)
        for name, nothing in _no_calls().items()
    }
    breakdown = [
        {"provider": provider, "model_id": model_id, **model}
        for (provider, model_id), model in models.items()
    ]
    return {
        "total_calls": totals.pop("total_calls"),
        "provider_counts": _most_first(providers),
        "model_counts": _most_first(ids),
        "token_stats": totals,
        "cost_breakdown": sorted(
            breakdown, key=lambda row: (-row["total_cost"], row["provider"], row["model_id"])
        ),
    }


def _no_calls() -> Record:
    return {
        "total_calls": 0,
        "total_input_tokens": 0,
        "total_output_tokens": 0,
        "total_tokens": 0,
        "total_cost": Decimal(0),
    }


def _most_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
