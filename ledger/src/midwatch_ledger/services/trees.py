"""A trace as a tree: who called whom, how long it took, what it cost, what happened in it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from midwatch_ledger.services import reading as values
from midwatch_ledger.store import reading

MAX_SPANS = 5_000
MAX_EVENTS = 5_000
# Deeper spans are shown at this depth: JSON readers and screens have limits of their own.
MAX_DEPTH = 60
_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}")
_LOOKUPS = ("session_id", "call_id")
Node = dict[str, Any]


def find(connection: Connection, identifier: str, *, limit: int) -> dict[str, Any] | None:
    """Return the trace, or the newest traces of the session or call, that `identifier` names.

    None if there is none.
    """
    matched_by, traces = _matching(connection, identifier, limit)
    if not traces:
        return None
    return {
        "call_id": identifier,
        "matched_by": matched_by,
        "traces": [_with_spans(connection, trace) for trace in traces],
    }


def build(spans: Sequence[Node], events: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """Nest spans (in order of time) under their parents and put events into their spans.

    Returns:
        The roots, and the events whose span isn't among the spans. A span whose parent isn't there
        is a root; of spans that are each other's ancestors the earliest is.
    """
    start = min((span["start_unix_nanoseconds"] for span in spans), default=0)
    nodes = {span["span_id"]: _node(span, start) for span in spans}
    loose: list[Node] = []
    for event in events:
        owner = nodes.get(event["span_id"] or "")
        (loose if owner is None else owner["events"]).append(_logged_event(event))
    for node in nodes.values():
        node["events"].sort(key=lambda event: event["time"])
    return _nested(nodes), loose


def _matching(
    connection: Connection, identifier: str, limit: int
) -> tuple[str, list[reading.Record]]:
    if _TRACE_ID.fullmatch(identifier):
        traces = reading.traces_by(connection, "trace_id", identifier.lower(), 1)
        if traces:
            return "trace_id", traces
    for column in _LOOKUPS:
        traces = reading.traces_by(connection, column, identifier, limit)
        if traces:
            return column, traces
    return "", []


def _with_spans(connection: Connection, trace: reading.Record) -> dict[str, Any]:
    spans = reading.spans_of(connection, trace, MAX_SPANS)
    events = reading.events_of(connection, trace["trace_id"], MAX_EVENTS)
    roots, loose = build(spans, events)
    return {**trace, "truncated": trace["span_count"] > len(spans), "spans": roots, "events": loose}


def _node(span: Node, trace_start: int) -> Node:
    start, end = span["start_unix_nanoseconds"], span["end_unix_nanoseconds"]
    copied = (
        *("span_id", "parent_span_id", "name", "kind", "service", "operation", "status"),
        *("status_message", "error_type", "tool", "provider", "model"),
        *("input_tokens", "output_tokens", "cost", "attributes", "links"),
    )
    return {
        **{name: span[name] for name in copied},
        "agent": span["agent"] or span["nearest_agent"],
        "start_time": values.moment(start),
        "end_time": values.moment(end),
        "duration_ms": round((end - start) / 1e6, 3),
        "offset_ms": round((start - trace_start) / 1e6, 3),
        "events": [_span_event(event) for event in span["events"]],
        "children": [],
    }


def _span_event(event: Node) -> Node:
    return {
        "name": event["name"],
        "time": values.moment(event["unix_nanoseconds"]),
        "source": "span",
        "attributes": event["attributes"],
    }


def _logged_event(event: Node) -> Node:
    return {
        "name": event["name"],
        "time": event["occurred_at"],
        "source": "log",
        "attributes": event["metadata"],
    }


def _nested(nodes: dict[str, Node]) -> list[Node]:
    children: defaultdict[str, list[Node]] = defaultdict(list)
    roots: list[Node] = []
    for node in nodes.values():
        parent = node["parent_span_id"]
        (children[parent] if parent in nodes else roots).append(node)
    reached: set[str] = set()
    for root in roots:
        _attach(root, children, reached)
    for node in nodes.values():
        if node["span_id"] not in reached:
            roots.append(node)
            _attach(node, children, reached)
    return roots


def _attach(root: Node, children: dict[str, list[Node]], reached: set[str]) -> None:
    """Give each span below `root` its children; without recursion, as traces can be deep."""
    reached.add(root["span_id"])
    waiting = [(root, root, 1)]
    while waiting:
        node, place, depth = waiting.pop()
        for child in children.get(node["span_id"], ()):
            if child["span_id"] in reached:
                continue
            reached.add(child["span_id"])
            place["children"].append(child)
            deeper = depth + 1 < MAX_DEPTH
            waiting.append((child, child if deeper else place, depth + 1 if deeper else depth))
