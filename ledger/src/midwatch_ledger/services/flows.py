"""Conversations: how turns go from agent to agent, where they end, and with what outcome."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from midwatch_ledger.models.rollups import DURATION_CLASSES
from midwatch_ledger.services import inference
from midwatch_ledger.services.performance import quantile
from midwatch_ledger.store.sums import Question, sums

Record = dict[str, Any]

_NAMES = {"route": "routes", "handoff": "handoffs", "handoff_loop": "loops"}
_OF_PROMPTS = frozenset({"prompt", "prompt_version", "label", "variant"})


def conversations(connection: Connection, question: Question) -> Record:
    """Return the flow between agents as nodes and edges.

    An edge leads from the run of an agent to the run that began next in the same turn; a turn drops
    off at the agent whose run is its last.
    """
    runs = sums(
        connection,
        replace(question, group_by=("agent", "target", "status"), columns=DURATION_CLASSES),
    )
    told = sums(
        connection,
        replace(question, kind="transition", group_by=("agent", "target", "step"), columns=()),
    )
    edges: dict[tuple[str, str], list[Record]] = defaultdict(list)
    nodes: dict[str, list[Record]] = defaultdict(list)
    for row in runs:
        nodes[row["agent"]].append(row)
        if row["target"]:
            edges[row["agent"], row["target"]].append(row)
    transitions: dict[tuple[str, str], Record] = defaultdict(dict)
    for row in told:
        if row["step"] in _NAMES:
            transitions[row["agent"], row["target"]][_NAMES[row["step"]]] = int(row["count"])
    reached = _reached(edges)
    ended = [row for row in runs if not row["target"]]
    return {
        "start_date": question.start,
        "end_date": question.end,
        "turns": _count(ended),
        "nodes": [_node(name, nodes[name], reached) for name in sorted(nodes)],
        "edges": [
            {"from": pair[0], "to": pair[1], **_edge(edges[pair], transitions[pair])}
            for pair in sorted(edges.keys() | transitions.keys())
        ],
    }


def outcomes(connection: Connection, question: Question, level: float) -> Record:
    """Return how turns ended, and which business outcomes were recorded, with rates.

    Groups by a prompt's dimensions count the turns that used it, and their outcomes.
    """
    of_prompts = not _OF_PROMPTS.isdisjoint((*question.group_by, *_given(question)))
    kinds = ("prompt_turn", "prompt_outcome") if of_prompts else ("trace", "outcome")
    turns, business = (_rates(connection, replace(question, kind=kind), level) for kind in kinds)
    return {
        "start_date": question.start,
        "end_date": question.end,
        "group_by": list(question.group_by),
        "confidence": level,
        "turns": turns,
        "outcomes": business,
    }


def _given(question: Question) -> list[str]:
    return [name for name, value in question.equal.items() if value is not None]


def _rates(connection: Connection, question: Question, level: float) -> list[Record]:
    grouped = (*question.group_by, "step", "status")
    found: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for row in sums(connection, replace(question, group_by=grouped, columns=())):
        key = tuple(row[name] for name in question.group_by)
        found[(row["bucket"], *key) if question.over_time else (None, *key)].append(row)
    return [
        _rate(key, rows, question.group_by, level)
        for key, rows in sorted(found.items(), key=_order)
    ]


def _order(item: tuple[tuple[Any, ...], list[Record]]) -> tuple[Any, ...]:
    (start, *names), rows = item
    return (0 if start is None else start.timestamp(), -_count(rows), *names)


def _rate(
    key: tuple[Any, ...], rows: list[Record], group_by: tuple[str, ...], level: float
) -> Record:
    total = _count(rows)
    by_outcome: dict[str, int] = defaultdict(int)
    for row in rows:
        by_outcome[row["step"] or row["status"] or "unknown"] += int(row["count"])
    succeeded = _count([row for row in rows if row["status"] == "completed"])
    known = _count([row for row in rows if row["status"]])
    told = {
        "group": dict(zip(group_by, key[1:], strict=True)),
        "count": total,
        "outcomes": [
            {"outcome": name, **ratio(count, total, level)}
            for name, count in sorted(by_outcome.items(), key=lambda one: (-one[1], one[0]))
        ],
        "success": ratio(succeeded, known, level) if known else None,
    }
    return told if key[0] is None else {"start": key[0], **told}


def ratio(count: int, total: int, level: float) -> Record:
    """Return a ratio with its interval by Wilson."""
    found = inference.wilson(count, total, level)
    return {
        "count": count,
        "ratio": found.estimate,
        "lower": found.lower,
        "upper": found.upper,
    }


def _reached(edges: dict[tuple[str, str], list[Record]]) -> dict[str, int]:
    reached: dict[str, int] = defaultdict(int)
    for (_, target), rows in edges.items():
        reached[target] += _count(rows)
    return reached


def _node(name: str, rows: list[Record], reached: dict[str, int]) -> Record:
    runs, ended = _count(rows), [row for row in rows if not row["target"]]
    failed = _count([row for row in ended if row["status"] == "failed"])
    return {
        "agent": name,
        "runs": runs,
        "turns_begun": max(0, runs - reached[name]),
        "turns_ended": _count(ended),
        "turns_ended_failed": failed,
        "drop_off_ratio": _count(ended) / runs,
        "median_ms": _median(rows),
    }


def _edge(rows: list[Record], told: Record) -> Record:
    return {
        "count": _count(rows),
        "median_ms": _median(rows),
        **{name: told.get(name, 0) for name in _NAMES.values()},
    }


def _count(rows: list[Record]) -> int:
    return sum(int(row["count"]) for row in rows)


def _median(rows: list[Record]) -> float | None:
    classes = [sum(int(row[name]) for row in rows) for name in DURATION_CLASSES]
    return quantile(classes, 0.5, max((int(row["slowest_ms"]) for row in rows), default=0))
