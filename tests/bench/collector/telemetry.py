"""What the collector is sent, byte for byte: spans of about 1 KB with twelve attributes, samples.

All is made from numbers, so that a store can tell what it got, what it got twice and what not.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from typing import Any

SPANS_PER_TRACE = 4
SAMPLE = "bench.sample"
_AGENTS = ("supervisor", "researcher", "writer", "reviewer", "monitor")
_SENTENCE = "the queue grows while workers wait for a lock that one of them holds since a restart "
_RESOURCE = {
    "service.name": "bench-agent",
    "service.namespace": "bench",
    "service.version": "1.4.2",
    "k8s.pod.name": "bench-agent-7d4f9c-x2x9v",
}


def span_number(trace: int, place: int) -> int:
    """The number by which a span is told; it is the span's id, so none is 0."""
    return trace * SPANS_PER_TRACE + place + 1


def traces(spans: Iterable[tuple[int, int]], failed_every: int = 0) -> bytes:
    """A body of OTLP/JSON with these spans, told by the number of the trace and the place in it.

    Args:
        spans: traces and places.
        failed_every: the last span of every so manieth trace has failed; 0 for none.
    """
    made = [_span(trace, place, failed_every) for trace, place in spans]
    return _body("resourceSpans", "scopeSpans", {"spans": made})


def samples(numbers: Iterable[int]) -> bytes:
    """A body of OTLP/JSON with these samples of fifty series; the value of each is its number."""
    now = str(time.time_ns())
    points = [
        {"timeUnixNano": now, "asInt": str(number), "attributes": _pairs({"series": number % 50})}
        for number in numbers
    ]
    metric = {"name": SAMPLE, "gauge": {"dataPoints": points}}
    return _body("resourceMetrics", "scopeMetrics", {"metrics": [metric]})


def _body(resources: str, scopes: str, scope: dict[str, Any]) -> bytes:
    holder = {"resource": {"attributes": _pairs(_RESOURCE)}, scopes: [scope]}
    return json.dumps({resources: [holder]}, separators=(",", ":")).encode()


def _span(trace: int, place: int, failed_every: int) -> dict[str, Any]:
    now = time.time_ns()
    failed = place == SPANS_PER_TRACE - 1 and failed_every and trace % failed_every == 0
    return {
        "traceId": _trace_id(trace),
        "spanId": f"{span_number(trace, place):016x}",
        "parentSpanId": "" if place == 0 else f"{span_number(trace, 0):016x}",
        "name": "chat" if place else "invoke_agent",
        "kind": 3,
        "startTimeUnixNano": str(now - 10**9),
        "endTimeUnixNano": str(now),
        "status": {"code": 2 if failed else 1},
        "attributes": _pairs(_attributes(trace, place)),
    }


def _trace_id(trace: int) -> str:
    # As random as an agent's: what samples by the id takes all or none of ids in a row.
    return hashlib.blake2b(trace.to_bytes(8, "big"), digest_size=16).hexdigest()


def _attributes(trace: int, place: int) -> dict[str, str | int]:
    agent = _AGENTS[trace % len(_AGENTS)]
    return {
        "session.id": f"session-{trace // 5}",
        "midwatch.turn.id": f"turn-{trace}",
        "user.hash": f"{trace % 997:016x}",
        "gen_ai.operation.name": "chat" if place else "invoke_agent",
        "gen_ai.agent.name": agent,
        "gen_ai.agent.description": (_SENTENCE * 7)[: 560 - len(agent)],
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4.1-mini",
        "gen_ai.response.id": f"chatcmpl-{span_number(trace, place):016x}",
        "gen_ai.usage.input_tokens": 200 + trace % 700,
        "gen_ai.usage.output_tokens": 20 + trace % 280,
        "code.function.name": "app.graph.run_node",
    }


def _pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value},
        }
        for key, value in attributes.items()
    ]
