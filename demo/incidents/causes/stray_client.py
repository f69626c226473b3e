"""A client that sends what nobody can keep.

    python -m incidents.causes.stray_client FOLDER INCIDENT KIND --collector URL

`nameless` sends spans whose trace has no id; the ledger refuses each. `yesterday` sends
measurements with a clock that is a day late; Prometheus refuses each. `endless` sends a trace that
grows by half a megabyte with each turn of a loop; Tempo takes no more of it after some seconds.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from incidents.causes.lasting import lasting

_PAUSE_SECONDS = 2.0
_TIMEOUT_SECONDS = 10.0
_DAY_NANOSECONDS = 86_400_000_000_000
# What one turn of the loop adds: so many passages, each with its embedding. Numbers are neither
# redacted nor cut, so that all of it arrives.
_PASSAGES = 24
_DIMENSIONS = 1536


class Kind(StrEnum):
    """What is wrong with what it sends."""

    NAMELESS = "nameless"
    YESTERDAY = "yesterday"
    ENDLESS = "endless"


def main(
    directory: Path,
    name: str,
    kind: Kind,
    collector: Annotated[str, typer.Option(help="Its OTLP/HTTP receiver.")],
) -> None:
    """Send until SIGTERM; whether the collector takes it doesn't matter."""
    path, document = _SENT[kind]
    with (
        lasting(directory, name) as cause,
        httpx.Client(base_url=collector, timeout=_TIMEOUT_SECONDS, trust_env=False) as http,
    ):
        http.post(path, json=document()).raise_for_status()
        cause.begins()
        while cause.wait(_PAUSE_SECONDS):
            try:
                http.post(path, json=document())
            except httpx.HTTPError as problem:
                typer.echo(f"not taken: {type(problem).__name__}")


def _nameless() -> dict[str, Any]:
    return _of_a_resource("resourceSpans", "scopeSpans", {"spans": [_span("0" * 32)]})


def _endless() -> dict[str, Any]:
    numbers = [{"doubleValue": number / _DIMENSIONS} for number in range(_DIMENSIONS)]
    embedding = {"key": "passage.embedding", "value": {"arrayValue": {"values": numbers}}}
    spans = [_span(_ENDLESS_TRACE) | {"attributes": [embedding]} for _ in range(_PASSAGES)]
    return _of_a_resource("resourceSpans", "scopeSpans", {"spans": spans})


def _span(trace_id: str) -> dict[str, Any]:
    now = time.time_ns()
    return {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": "lookup",
        "kind": 1,
        "startTimeUnixNano": str(now - 1_000_000),
        "endTimeUnixNano": str(now),
    }


def _yesterday() -> dict[str, Any]:
    point = {"asDouble": 1.0, "timeUnixNano": str(time.time_ns() - _DAY_NANOSECONDS)}
    metric = {"name": "stray_client.temperature", "gauge": {"dataPoints": [point]}}
    return _of_a_resource("resourceMetrics", "scopeMetrics", {"metrics": [metric]})


def _of_a_resource(by_resource: str, by_scope: str, records: dict[str, Any]) -> dict[str, Any]:
    service = {"key": "service.name", "value": {"stringValue": "stray-client"}}
    scoped = {"scope": {"name": "stray-client"}, **records}
    return {by_resource: [{"resource": {"attributes": [service]}, by_scope: [scoped]}]}


_ENDLESS_TRACE = secrets.token_hex(16)
_SENT: dict[Kind, tuple[str, Callable[[], dict[str, Any]]]] = {
    Kind.NAMELESS: ("/v1/traces", _nameless),
    Kind.YESTERDAY: ("/v1/metrics", _yesterday),
    Kind.ENDLESS: ("/v1/traces", _endless),
}


if __name__ == "__main__":
    typer.run(main)
