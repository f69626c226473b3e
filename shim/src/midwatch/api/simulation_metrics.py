"""`AgentPerformanceMetrics` and `SystemWorkflowMetrics`, as S5 (simulation tracing) has them.

They are computed from what this process has recorded, whoever told of it, or from records that one
hands in. What nothing is known about is not a number (`math.nan`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from opentelemetry.sdk.metrics.export import MetricsData

from midwatch.api import arguments, told
from midwatch.api.joint_work import UNRESOLVED
from midwatch.api.simulation_records import AgentSpan, CollaborationSpan, SimulationTrace
from midwatch.api.tallies import TALLIES
from midwatch.instruments.recorder import get_recorder
from midwatch.pipeline.failures import FAILURES
from midwatch.registry import Metric, metrics

_Labels = Callable[[dict[str, Any]], bool]


@dataclass
class AgentPerformanceMetrics:
    """How an agent does: shares from 0 to 1, times in seconds.

    `success_rate` is of the operations that were not given up. `decision_accuracy` is of the
    decisions of which it is known whether they were right, `collaboration_score` the share of the
    collaborations with the agent that succeeded.
    """

    agent_id: str
    operation_count: int = 0
    average_response_time: float = math.nan
    success_rate: float = math.nan
    tool_usage_stats: dict[str, int] = field(default_factory=dict)
    decision_accuracy: float = math.nan
    collaboration_score: float = math.nan

    @classmethod
    def of_process(cls, agent_id: str) -> Self:
        """Those of an agent in this process, from its start or its `init()` on; never raises."""
        agent = arguments.name(agent_id)
        try:
            return cls._of_process(agent)
        except Exception as error:
            FAILURES.note("api.agentperformancemetrics", error)
            return cls(agent)

    @classmethod
    def from_records(
        cls,
        agent_id: str,
        spans: Iterable[AgentSpan],
        collaborations: Iterable[CollaborationSpan] = (),
    ) -> Self:
        """Those of an agent in these records.

        A span's `outputs` tell of a failure by `error`, `success` or `status`, and by `correct`
        whether what was decided was right.
        """
        own = [span for span in spans if span.agent_id == agent_id]
        times = [_took(span) for span in own if span.end_time is not None]
        good = sum(told.succeeded(span.outputs) for span in own)
        judged = [
            correct for span in own if isinstance(correct := span.outputs.get("correct"), bool)
        ]
        together = [one for one in collaborations if agent_id in one.participating_agents]
        return cls(
            agent_id,
            len(own),
            _share(sum(times), len(times)),
            _share(good, len(own)),
            dict(Counter(tool for span in own for tool in span.tools_used)),
            _share(sum(judged), len(judged)),
            _share(sum(_went_well(one) for one in together), len(together)),
        )

    @classmethod
    def _of_process(cls, agent: str) -> Self:
        recorded = _Recorded(get_recorder().values())

        def of(labels: dict[str, Any]) -> bool:
            return bool(labels.get("agent") == agent)

        by_status = recorded.counts(metrics.AGENT_INVOCATIONS, "status", of)
        seconds, number = recorded.times(metrics.AGENT_INVOCATION_LATENCY, of)
        decisions, right = TALLIES.decisions(agent)
        together, well = TALLIES.collaborations(agent)
        tools = recorded.counts(metrics.AGENT_TOOL_CALLS, "tool", of)
        return cls(
            agent,
            sum(by_status.values()),
            _share(seconds, number),
            _share(by_status["ok"], by_status["ok"] + by_status["error"]),
            {tool: count for tool, count in tools.items() if count},
            _share(right, decisions),
            _share(well, together),
        )


@dataclass
class SystemWorkflowMetrics:
    """How the agents do together: shares from 0 to 1, durations in seconds.

    `agent_coordination_efficiency` is the share of collaborations that succeeded,
    `conflict_resolution_rate` that of conflicts that were settled, `system_throughput` the events
    per minute.
    """

    total_events_processed: int = 0
    average_workflow_duration: float = math.nan
    agent_coordination_efficiency: float = math.nan
    conflict_resolution_rate: float = math.nan
    system_throughput: float = math.nan

    @classmethod
    def of_process(cls) -> Self:
        """Those of this process, from its start or its `init()` on; never raises."""
        try:
            return cls._of_process()
        except Exception as error:
            FAILURES.note("api.systemworkflowmetrics", error)
            return cls()

    @classmethod
    def from_records(
        cls,
        traces: Iterable[SimulationTrace],
        collaborations: Iterable[CollaborationSpan] = (),
    ) -> Self:
        """Those of these records; events that have not ended do not count."""
        ended = [trace for trace in traces if trace.end_time is not None]
        works = list(collaborations)
        conflicts = [one for work in works for one in work.conflicts_detected]
        settled = sum(_is_settled(told.name_in(one, "resolution")) for one in conflicts)
        took = [_took(trace) for trace in ended]
        span_seconds = (
            (
                max(trace.end_time for trace in ended if trace.end_time)
                - min(trace.start_time for trace in ended)
            ).total_seconds()
            if ended
            else 0.0
        )
        return cls(
            len(ended),
            _share(sum(took), len(took)),
            _share(sum(_went_well(work) for work in works), len(works)),
            _share(settled, len(conflicts)),
            _share(len(ended) * 60, span_seconds),
        )

    @classmethod
    def _of_process(cls) -> Self:
        recorded = _Recorded(get_recorder().values())
        turns = sum(recorded.counts(metrics.AGENT_TURNS, "outcome").values())
        seconds, number = recorded.times(metrics.AGENT_TURN_LATENCY)
        works = recorded.counts(metrics.AGENT_COLLABORATIONS, "outcome")
        conflicts = recorded.counts(metrics.AGENT_CONFLICTS, "resolution")
        settled = sum(count for how, count in conflicts.items() if _is_settled(how))
        return cls(
            turns,
            _share(seconds, number),
            _share(works["ok"], sum(works.values())),
            _share(settled, sum(conflicts.values())),
            _share(turns * 60, recorded.seconds(metrics.AGENT_TURN_LATENCY)),
        )


class _Recorded:
    """Reads the values of metrics."""

    def __init__(self, data: MetricsData | None) -> None:
        self._data = data

    def counts(self, metric: Metric, label: str, wanted: _Labels = bool) -> Counter[str]:
        """A counter's values by one of its labels."""
        found: Counter[str] = Counter()
        for point in self._points(metric):
            if wanted(dict(point.attributes)):
                found[str(point.attributes[label])] += int(point.value)
        return found

    def times(self, metric: Metric, wanted: _Labels | None = None) -> tuple[float, int]:
        """The sum and the number of a histogram's values."""
        points = [
            point
            for point in self._points(metric)
            if wanted is None or wanted(dict(point.attributes))
        ]
        return sum(point.sum for point in points), sum(point.count for point in points)

    def seconds(self, metric: Metric) -> float:
        """How long the metric has been recorded."""
        points = list(self._points(metric))
        if not points:
            return 0.0
        began = min(point.start_time_unix_nano for point in points)
        return float(max(point.time_unix_nano for point in points) - began) / 1e9

    def _points(self, metric: Metric) -> Iterator[Any]:
        for resource in self._data.resource_metrics if self._data else ():
            for scope in resource.scope_metrics:
                for found in scope.metrics:
                    if found.name == metric.name:
                        yield from found.data.data_points


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _took(record: AgentSpan | SimulationTrace) -> float:
    if record.end_time is None:
        return 0.0
    return (record.end_time - record.start_time).total_seconds()


def _went_well(work: CollaborationSpan) -> bool:
    return work.resolution_outcome is None or told.succeeded(work.resolution_outcome)


def _is_settled(resolution: str) -> bool:
    return resolution not in ("", UNRESOLVED, "unknown", "none")
