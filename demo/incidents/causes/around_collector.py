"""A client that sends to Tempo itself, around the collector, more than Tempo keeps of a text.

    python -m incidents.causes.around_collector FOLDER INCIDENT --tempo HOST:PORT

The collector cuts texts where Tempo would; what comes around it, Tempo cuts.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Annotated

import grpc  # type: ignore[import-untyped]
import typer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from incidents.causes.lasting import lasting

_PAUSE_SECONDS = 2.0
_TIMEOUT_SECONDS = 10.0
# Above what the chart lets Tempo keep of a text.
_CHARACTERS = 40_000


def main(
    directory: Path,
    name: str,
    tempo: Annotated[str, typer.Option(help="Its OTLP/gRPC receiver.")],
) -> None:
    """Send until SIGTERM; whether Tempo takes it doesn't matter after the first time."""
    with lasting(directory, name) as cause, grpc.insecure_channel(tempo) as channel:
        stub = TraceServiceStub(channel)  # type: ignore[no-untyped-call]
        stub.Export(_request(), timeout=_TIMEOUT_SECONDS)
        cause.begins()
        while cause.wait(_PAUSE_SECONDS):
            try:
                stub.Export(_request(), timeout=_TIMEOUT_SECONDS)
            except grpc.RpcError as problem:
                typer.echo(f"not taken: {type(problem).__name__}")


def _request() -> ExportTraceServiceRequest:
    now = time.time_ns()
    span = Span(
        trace_id=secrets.token_bytes(16),
        span_id=secrets.token_bytes(8),
        name="chat",
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=now - 1_000_000,
        end_time_unix_nano=now,
        attributes=[_attribute("gen_ai.input.messages", "orchid " * (_CHARACTERS // 7))],
    )
    resource = Resource(attributes=[_attribute("service.name", "stray-client")])
    scoped = ScopeSpans(scope=InstrumentationScope(name="stray-client"), spans=[span])
    spans = ResourceSpans(resource=resource, scope_spans=[scoped])
    return ExportTraceServiceRequest(resource_spans=[spans])


def _attribute(key: str, text: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=text))


if __name__ == "__main__":
    typer.run(main)
