"""What follows from all spans of a trace together.

Everything here is a function of the *set* of spans that the ledger holds, whatever order they came
in: after each write it is worked out again for the traces that changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from midwatch_ledger.services import conventions as names
from midwatch_ledger.services import reading


class SpanFacts(NamedTuple):
    """What of a span matters to the rest of its trace."""

    span_id: str
    parent_span_id: str | None
    name: str
    service: str
    service_version: str | None
    start_unix_nanoseconds: int
    end_unix_nanoseconds: int
    status: str
    error_type: str | None
    role: str | None
    operation: str | None
    entry_agent: str | None
    agent: str | None
    session_id: str | None
    call_id: str | None
    user_hash: str | None
    project: str | None
    outcome: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost: Decimal | None
    nearest_agent: str | None
    execution_span_id: str | None


class Placement(NamedTuple):
    """Where in the agents' work a span happened."""

    nearest_agent: str | None
    execution_span_id: str | None


_NOWHERE = Placement(None, None)


def placements(spans: Mapping[str, SpanFacts]) -> dict[str, Placement]:
    """Find for each span the nearest agent (its own first) and the execution above it.

    Parents that have not arrived end the search. Spans that claim to be each other's ancestors
    (only a broken emitter makes these) are entered at the earliest one.
    """
    placed: dict[str, Placement] = {}
    for span in in_order(spans.values()):
        path: list[SpanFacts] = []
        on_path: set[str] = set()
        current: SpanFacts | None = span
        while (
            current is not None and current.span_id not in placed and current.span_id not in on_path
        ):
            path.append(current)
            on_path.add(current.span_id)
            current = spans.get(current.parent_span_id or "")
        if current is not None and current.span_id in on_path:
            current = None
        for below in reversed(path):
            placed[below.span_id] = _below(current, placed, below)
            current = below
    return placed


def workflow(spans: Mapping[str, SpanFacts]) -> dict[str, Any]:
    """Sum up a trace: the columns of `workflow_traces` that follow from its spans.

    Raises:
        ValueError: there are no spans.
    """
    ordered = in_order(spans.values())
    if not ordered:
        raise ValueError("a trace without spans can't be summed up")
    root = _root(ordered, spans)
    start = ordered[0].start_unix_nanoseconds
    end = max(span.end_unix_nanoseconds for span in ordered)
    calls = [span for span in ordered if span.role == names.LLM_CALL_ROLE]
    costs = [span.cost for span in calls if span.cost is not None]
    input_tokens = sum(span.input_tokens or 0 for span in calls)
    output_tokens = sum(span.output_tokens or 0 for span in calls)
    return {
        "session_id": _first(root, ordered, "session_id"),
        "call_id": _first(root, ordered, "call_id"),
        "user_hash": _first(root, ordered, "user_hash"),
        "project": _first(root, ordered, "project"),
        "outcome": _first(root, ordered, "outcome"),
        "service": root.service,
        "service_version": root.service_version,
        "name": root.name,
        "entry_agent": _first(root, ordered, "entry_agent") or _earliest_agent(ordered),
        "status": _status(root),
        "complete": root.parent_span_id is None,
        "start_time": reading.moment(start),
        "end_time": reading.moment(end),
        "duration_ms": reading.milliseconds(start, end),
        "span_count": len(ordered),
        "error_count": sum(span.status == "error" for span in ordered),
        "llm_calls": len(calls),
        "tool_calls": sum(span.operation == names.TOOL_CALL for span in ordered),
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "total_cost": sum(costs, Decimal(0)) if costs else None,
    }


def in_order(spans: Iterable[SpanFacts]) -> list[SpanFacts]:
    """Return the spans by start time, the same way each time."""
    return sorted(spans, key=lambda span: (span.start_unix_nanoseconds, span.span_id))


def _root(ordered: Sequence[SpanFacts], spans: Mapping[str, SpanFacts]) -> SpanFacts:
    without_parent = [span for span in ordered if span.parent_span_id is None]
    orphans = [span for span in ordered if span.parent_span_id not in spans]
    return (without_parent or orphans or ordered)[0]


def _below(parent: SpanFacts | None, placed: Mapping[str, Placement], span: SpanFacts) -> Placement:
    above = _NOWHERE if parent is None else placed[parent.span_id]
    execution = above.execution_span_id
    if parent is not None and parent.role == names.EXECUTION_ROLE:
        execution = parent.span_id
    return Placement(span.agent or above.nearest_agent, execution)


def _first(root: SpanFacts, ordered: list[SpanFacts], field: str) -> Any:
    """Return what the root says, else the earliest span that says anything."""
    return next(
        (value for span in (root, *ordered) if (value := getattr(span, field)) is not None), None
    )


def _earliest_agent(ordered: list[SpanFacts]) -> str | None:
    return next(
        (span.agent for span in ordered if span.operation == "invoke_agent" and span.agent), None
    )


def _status(root: SpanFacts) -> str:
    if (root.error_type or "").endswith("CancelledError") or root.outcome == "cancelled":
        return "cancelled"
    return "failed" if root.status == "error" else "completed"
