"""Checks that what the agents do arrives in every store."""

from __future__ import annotations

from collections import Counter
from typing import Any

from midwatch.registry import METRICS_BY_PROMETHEUS_NAME

from stack.demo.sources import Sources
from stack.demo.steps import StepFailedError

EVENT_FIELDS = frozenset(
    {"ts", "event", "trace_id", "span_id", "session_id", "turn_id", "service", "metadata"}
)
# S3's seven kinds of signals, and the model calls beneath them.
EXPECTED_METRICS = tuple(
    METRICS_BY_PROMETHEUS_NAME[name]
    for name in (
        "agent_route_total",
        "agent_handoff_total",
        "agent_tool_calls_total",
        "agent_tool_latency_seconds",
        "agent_guardrail_total",
        "agent_selfrag_decision_total",
        "agent_turn_latency_seconds",
        "agent_llm_requests_total",
        "agent_llm_tokens_total",
        "agent_llm_cost_usd_total",
    )
)
_PATH_OF_TELEMETRY = ("security-agent", "collector", "prometheus")


def series_present(sources: Sources) -> str:
    """See that each expected metric has grown above zero in Prometheus."""
    counts, missing = {}, []
    for metric in EXPECTED_METRICS:
        name = metric.prometheus_name
        sample = name if name in metric.series_names else f"{name}_count"
        found = sources.query(f'count({sample}{{service_name="security-agent"}} > 0)')
        if found:
            counts[name] = int(float(found[0]["value"][1]))
        else:
            missing.append(sample)
    if missing:
        raise StepFailedError(
            f"Prometheus has no sample above zero of {', '.join(missing)}", *_PATH_OF_TELEMETRY
        )
    return f"{len(counts)} metrics, {sum(counts.values())} series above zero"


def other_agent_present(sources: Sources) -> str:
    """See that the agent that knows nothing of telemetry is seen all the same."""
    found = sources.query(
        'count by (__name__) ({__name__=~"agent_.*",service_name="retail-simulation"})'
    )
    if not found:
        raise StepFailedError(
            "Prometheus has no agent_* series of retail-simulation",
            "retail-simulation",
            "collector",
        )
    return f"{len(found)} agent metrics from an application without a line of telemetry"


def events_present(sources: Sources) -> str:
    """See that the event lines are there, complete, and tell whole turns."""
    files = sources.event_files()
    if not files:
        raise StepFailedError("no agent has written agent-traces.jsonl", "security-agent")
    events = list(sources.events())
    for event in events:
        if set(event) != EVENT_FIELDS:
            wrong = sorted(set(event) ^ EVENT_FIELDS)
            raise StepFailedError(
                f"an event line of {files[0]} has {', '.join(wrong)} too much or too little",
                "security-agent",
            )
    names = Counter(event["event"] for event in events)
    if not names["turn.finished"]:
        raise StepFailedError("no turn.finished event line yet", "security-agent")
    return f"{len(events)} lines, {len(names)} kinds of events, {names['turn.finished']} turns"


def complete_trace(sources: Sources) -> dict[str, Any]:
    """Return a trace that the ledger has whole: its root, an agent, a tool and a priced model call.

    Turns are looked at from the newest to the oldest: those of the last seconds are still on their
    way.
    """
    finished = [event for event in sources.events() if event["event"] == "turn.finished"]
    if not finished:
        raise StepFailedError("no turn has finished yet", "security-agent", "traffic")
    lacking = "the ledger has none of them"
    for event in reversed(finished[-20:]):
        trace = sources.ledger_trace(event["trace_id"])
        if trace is not None:
            lack = trace_lacks(trace)
            if not lack:
                return trace
            lacking = f"trace {event['trace_id']} lacks {', '.join(lack)}"
    raise StepFailedError(f"{len(finished)} turns have finished; {lacking}", "collector", "ledger")


def trace_lacks(trace: dict[str, Any]) -> list[str]:
    """Return what a trace of the ledger lacks to be complete; empty when it lacks nothing."""
    spans = list(walk(trace["spans"]))
    roots = [span for span in trace["spans"] if span["parent_span_id"] is None]
    checks = {
        "its own completeness": trace["complete"],
        "a single root": len(roots) == 1 and len(trace["spans"]) == 1,
        "a span of an agent": any(span["agent"] for span in spans),
        "a tool call": any(span["tool"] for span in spans),
        "a model call with tokens": any(
            span["model"] and span["input_tokens"] and span["output_tokens"] for span in spans
        ),
        "a cost": trace["total_cost"] is not None and float(trace["total_cost"]) > 0,
        "a session": bool(trace["session_id"]),
    }
    return [name for name, good in checks.items() if not good]


def walk(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return spans with everything below them."""
    return [one for span in spans for one in (span, *walk(span["children"]))]


def trace_in_tempo(sources: Sources, trace: dict[str, Any]) -> str:
    """See that Tempo has as many spans of a trace as the ledger."""
    expected, found = trace["span_count"], sources.tempo_span_count(trace["trace_id"])
    if found < expected:
        raise StepFailedError(
            f"Tempo has {found} of the {expected} spans of trace {trace['trace_id']}",
            "collector",
            "tempo",
        )
    return f"{found} spans"
