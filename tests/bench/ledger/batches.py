"""Pre-made OTLP batches: what every contestant is sent, byte for byte.

A trace is one turn of eight spans: the turn, two agents, two model calls, a tool call, a retrieval
and a request to another service, with 15 to 25 attributes each; every model call carries 2 KB of
messages. All is made from the number of the trace, so the same numbers are the same bytes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SPANS_PER_TRACE = 8
TRACES_PER_BATCH = 64
_MESSAGE_BYTES = 1_000
_MODELS = ("gpt-4.1", "gpt-4.1-mini", "claude-sonnet-4", "claude-haiku-4")
_AGENTS = ("supervisor", "researcher", "writer", "reviewer", "monitor")
_TOOLS = ("search", "read_metrics", "send_mail", "run_query")
_SENTENCE = (
    "the service answers slowly since the last release and its queue grows while the workers wait "
    "for a lock that one of them holds after it was restarted by the scheduler"
)
_WORDS = _SENTENCE.split()
_RESOURCE = {
    "service.name": "bench-agent",
    "service.version": "1.4.2",
    "service.namespace": "bench",
    "deployment.environment.name": "production",
    "k8s.namespace.name": "agents",
    "k8s.pod.name": "bench-agent-7d4f9c-x2x9v",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.language": "python",
}
Value = str | int | float | bool | list[str]


def batches(count: int, start_nanoseconds: int, seconds: float, first: int = 0) -> Iterator[bytes]:
    """Give so many bodies of OTLP/HTTP, whose traces are spread evenly over the seconds."""
    traces = count * TRACES_PER_BATCH
    step = int(seconds * 1e9 / max(1, traces))
    for batch in range(count):
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.extend(_pairs(dict(_RESOURCE)))
        scoped = group.scope_spans.add()
        scoped.scope.name = "midwatch"
        for place in range(TRACES_PER_BATCH):
            number = batch * TRACES_PER_BATCH + place
            scoped.spans.extend(trace(first + number, start_nanoseconds + number * step))
        yield request.SerializeToString()


def trace(number: int, start: int) -> list[Span]:
    """Give the spans of one turn."""
    chance = random.Random(number)  # noqa: S311 -- the same numbers each time, no secret
    trace_id = chance.getrandbits(128).to_bytes(16, "big")
    first, second = chance.sample(_AGENTS, 2)
    session = f"session-{number // 5}"
    spans: list[Span] = []

    def add(name: str, parent: int | None, begin: float, end: float, **named: Value) -> None:
        common: dict[str, Value] = {
            "session.id": session,
            "midwatch.turn.id": f"turn-{number}",
            "midwatch.project": "bench",
            "user.hash": f"{number % 997:016x}",
            "thread.id": 140_000 + number % 16,
            "thread.name": "worker",
            "code.function.name": "app.graph.run_node",
            "langgraph.node": name.rpartition(" ")[2],
            "langgraph.step": len(spans),
            "langgraph.checkpoint_ns": f"{first}:{number:032x}",
        }
        common |= {key.replace("__", "."): value for key, value in named.items()}
        spans.append(
            Span(
                trace_id=trace_id,
                span_id=chance.getrandbits(64).to_bytes(8, "big"),
                parent_span_id=b"" if parent is None else spans[parent].span_id,
                name=name,
                kind=Span.SPAN_KIND_SERVER if parent is None else Span.SPAN_KIND_INTERNAL,
                start_time_unix_nano=start + int(begin * 1e9),
                end_time_unix_nano=start + int(end * 1e9),
                attributes=_pairs(common),
            )
        )

    add("POST /chat", None, 0, 4.2, **_turn(first))
    add(f"invoke_agent {first}", 0, 0.05, 1.2, **_agent(first))
    add("chat", 1, 0.1, 1.1, **_call(chance, first))
    add(f"invoke_agent {second}", 0, 1.25, 4.1, **_agent(second))
    add("execute_tool search", 3, 1.3, 1.9, **_tool(chance, second))
    add("retrieval runbooks", 3, 1.9, 2.3, **_retrieval(second))
    add("POST", 3, 2.35, 3.9, **_request())
    add("chat", 3, 2.4, 3.8, **_call(chance, second))
    return spans


def _turn(agent: str) -> dict[str, Value]:
    return {
        "midwatch__turn__entry_agent": agent,
        "midwatch__turn__outcome": "ok",
        "http__request__method": "POST",
        "http__response__status_code": 200,
        "http__route": "/chat",
        "url__scheme": "https",
        "client__address": "10.2.3.4",
    }


def _agent(agent: str) -> dict[str, Value]:
    return {
        "gen_ai__operation__name": "invoke_agent",
        "gen_ai__agent__name": agent,
        "gen_ai__agent__id": f"{agent}-1",
        "gen_ai__conversation__id": "conversation",
        "gen_ai__agent__description": "Answers what people ask of the service.",
        "gen_ai__provider__name": "openai",
    }


def _call(chance: random.Random, agent: str) -> dict[str, Value]:
    tokens = chance.randint(200, 900), chance.randint(20, 300)
    model = chance.choice(_MODELS)
    return {
        "gen_ai__operation__name": "chat",
        "gen_ai__provider__name": "anthropic" if model.startswith("claude") else "openai",
        "gen_ai__request__model": model,
        "gen_ai__response__model": model,
        "gen_ai__response__id": f"chatcmpl-{chance.getrandbits(64):016x}",
        "gen_ai__response__finish_reasons": ["stop"],
        "gen_ai__agent__name": agent,
        "gen_ai__request__temperature": 0.2,
        "gen_ai__request__max_tokens": 1024,
        "gen_ai__usage__input_tokens": tokens[0],
        "gen_ai__usage__output_tokens": tokens[1],
        "gen_ai__usage__cache_read.input_tokens": tokens[0] // 4,
        "midwatch__llm__cost_usd": round(tokens[0] * 2e-6 + tokens[1] * 8e-6, 9),
        "gen_ai__input__messages": _messages(chance, "user"),
        "gen_ai__output__messages": _messages(chance, "assistant"),
    }


def _tool(chance: random.Random, agent: str) -> dict[str, Value]:
    return {
        "gen_ai__operation__name": "execute_tool",
        "gen_ai__tool__name": chance.choice(_TOOLS),
        "gen_ai__tool__type": "function",
        "gen_ai__tool__call__id": f"call-{chance.getrandbits(48):012x}",
        "gen_ai__agent__name": agent,
        "gen_ai__tool__call__arguments": '{"query":"queue depth by worker","limit":10}',
        "gen_ai__tool__call__result": '{"rows":10,"truncated":false}',
    }


def _retrieval(agent: str) -> dict[str, Value]:
    return {
        "gen_ai__operation__name": "retrieval",
        "gen_ai__agent__name": agent,
        "gen_ai__data_source__id": "runbooks",
        "db__system__name": "postgresql",
        "db__operation__name": "SELECT",
        "server__address": "vectors.example.com",
    }


def _request() -> dict[str, Value]:
    return {
        "http__request__method": "POST",
        "http__response__status_code": 200,
        "server__address": "api.example.com",
        "server__port": 443,
        "url__full": "https://api.example.com/v1/chat/completions",
        "network__protocol__version": "1.1",
    }


def _messages(chance: random.Random, role: str) -> str:
    words: list[str] = []
    while sum(map(len, words)) + len(words) < _MESSAGE_BYTES - 60:
        words.append(chance.choice(_WORDS))
    part = {"type": "text", "content": " ".join(words)}
    return json.dumps([{"role": role, "parts": [part]}])


def _pairs(attributes: dict[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_value(value)) for name, value in attributes.items()]


def _value(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_value(item) for item in value]))
    return AnyValue(string_value=value)
