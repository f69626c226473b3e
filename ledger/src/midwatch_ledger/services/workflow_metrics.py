"""S5's `AgentPerformanceMetrics` and `SystemWorkflowMetrics`, out of the sums.

Times are in seconds, as S5 has them; a rate is None where there was nothing to rate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from midwatch.registry import events
from sqlalchemy import Connection

from midwatch_ledger.services import conventions as names
from midwatch_ledger.store import samples
from midwatch_ledger.store.sums import Question, sums

Record = dict[str, Any]

MOST_COLLABORATIONS = 5_000
_INVOKE_AGENT = "invoke_agent"


@dataclass(frozen=True)
class AgentPerformanceMetrics:
    """How one agent did.

    `decision_accuracy` is of the decisions that are known to be right or wrong;
    `collaboration_score` is how many of the collaborations that it took part in ended well.
    """

    agent_id: str
    operation_count: int
    average_response_time: float
    success_rate: float
    tool_usage_stats: dict[str, int]
    decision_accuracy: float | None
    collaboration_score: float | None


@dataclass(frozen=True)
class SystemWorkflowMetrics:
    """How all agents did together.

    `agent_coordination_efficiency` is how many of all collaborations ended well;
    `system_throughput` is turns a minute.
    """

    total_events_processed: int
    average_workflow_duration: float
    agent_coordination_efficiency: float | None
    conflict_resolution_rate: float | None
    system_throughput: float


def workflow_metrics(
    connection: Connection, question: Question
) -> tuple[list[AgentPerformanceMetrics], SystemWorkflowMetrics]:
    """Return the metrics of each agent in the order of names, and those of the whole."""
    executions = sums(
        connection,
        replace(
            question,
            kind="execution",
            group_by=("agent", "step", "target"),
            columns=("duration_ms",),
        ),
    )
    counted = sums(
        connection,
        replace(question, kind="event", group_by=("step", "agent", "status"), columns=()),
    )
    took_part = samples.collaborations(connection, question, MOST_COLLABORATIONS)
    agents = _agents(executions, counted, took_part)
    return agents, _system(
        sums(connection, replace(question, kind="trace", columns=("duration_ms",))),
        counted,
        question,
    )


def _agents(
    executions: list[Record], counted: list[Record], took_part: list[Record]
) -> list[AgentPerformanceMetrics]:
    runs: dict[str, list[Record]] = defaultdict(list)
    tools: dict[str, dict[str, int]] = defaultdict(dict)
    for row in executions:
        if row["step"] == names.TOOL_CALL:
            used = tools[row["agent"]]
            used[row["target"]] = used.get(row["target"], 0) + int(row["count"])
        elif row["step"] == _INVOKE_AGENT:
            runs[row["agent"]].append(row)
    scores: dict[str, list[bool]] = defaultdict(list)
    for collaboration in took_part:
        for agent in collaboration["participants"]:
            scores[agent].append(collaboration["ended_well"])
    found = []
    for agent in sorted(runs):
        count = _total(runs[agent], "count")
        decided = [row for row in _of(counted, events.DECISION_MADE.name) if row["agent"] == agent]
        found.append(
            AgentPerformanceMetrics(
                agent_id=agent,
                operation_count=count,
                average_response_time=_total(runs[agent], "duration_ms") / count / 1000,
                success_rate=1 - _total(runs[agent], "failed") / count,
                tool_usage_stats=dict(sorted(tools[agent].items())),
                decision_accuracy=_share_completed(decided),
                collaboration_score=_mean(scores[agent]),
            )
        )
    return found


def _system(
    turns: list[Record], counted: list[Record], question: Question
) -> SystemWorkflowMetrics:
    count = _total(turns, "count")
    minutes = (question.end - question.start).total_seconds() / 60
    detected = _total(_of(counted, events.CONFLICT_DETECTED.name), "count")
    resolved = _total(_of(counted, events.CONFLICT_RESOLVED.name), "count")
    return SystemWorkflowMetrics(
        total_events_processed=count,
        average_workflow_duration=_total(turns, "duration_ms") / count / 1000 if count else 0.0,
        agent_coordination_efficiency=_share_completed(
            _of(counted, events.COLLABORATION_FINISHED.name)
        ),
        # A conflict may be told as resolved without having been told before.
        conflict_resolution_rate=resolved / max(detected, resolved)
        if detected + resolved
        else None,
        system_throughput=count / minutes,
    )


def _of(counted: list[Record], name: str) -> list[Record]:
    return [row for row in counted if row["step"] == name]


def _total(rows: Iterable[Record], name: str) -> int:
    return sum(int(row[name]) for row in rows)


def _share_completed(rows: list[Record]) -> float | None:
    known = [row for row in rows if row["status"]]
    total = _total(known, "count")
    completed = _total((row for row in known if row["status"] == "completed"), "count")
    return completed / total if total else None


def _mean(values: list[bool]) -> float | None:
    return sum(values) / len(values) if values else None
