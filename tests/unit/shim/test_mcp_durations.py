"""MCP's requests, measured off their spans on both sides."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from midwatch.instrumentors.mcp_durations import RequestDurations, measure_served
from midwatch.instruments.recorder import Recorder
from midwatch.pipeline.rendering import RenderReader, local_meter_provider
from midwatch.pipeline.sampling import HoldingSampler
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

CALL = {"mcp.method.name": "tools/call", "gen_ai.tool.name": "add"}


class Measured:
    def __init__(self, **given: Any) -> None:
        self.reader = RenderReader()
        recorder = Recorder(local_meter_provider(self.reader), reader=self.reader)
        self.recorder = recorder
        provider = TracerProvider(shutdown_on_exit=False, **given)
        provider.add_span_processor(RequestDurations(recorder))
        self.tracer = provider.get_tracer("test")

    def span(self, kind: SpanKind, **attributes: str) -> None:
        named = {name.replace("__", "."): value for name, value in attributes.items()}
        self.tracer.start_span("x", kind=kind, attributes=named, start_time=10**9).end(3 * 10**9)

    def points(self, metric: str) -> list[tuple[dict[str, Any], float]]:
        """The attributes and the sum of each series."""
        data: Any = self.reader.get_metrics_data()
        return [
            (dict(point.attributes), point.sum)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name.startswith(metric)
            for point in found.data.data_points
        ]


@pytest.mark.parametrize(
    ("kind", "side"),
    [(SpanKind.CLIENT, "client"), (SpanKind.SERVER, "server"), (SpanKind.INTERNAL, "client")],
)
def test_a_request_is_measured_on_its_side(kind, side):
    measured = Measured()
    measured.tracer.start_span("x", kind=kind, attributes=CALL, start_time=10**9).end(3 * 10**9)
    expected = [({**CALL, "error.type": "none"}, 2.0)]
    assert measured.points(f"mcp.{side}.operation.duration") == measured.points("mcp.") == expected


def test_a_failure_is_measured_by_its_kind():
    measured = Measured()
    measured.span(SpanKind.SERVER, mcp__method__name="tools/list", error__type="-32601")
    ((attributes, _),) = measured.points("mcp.server.operation.duration")
    assert attributes["error.type"] == "-32601"
    assert attributes["gen_ai.tool.name"] == "none"


def test_other_spans_are_not_measured():
    measured = Measured()
    measured.span(SpanKind.SERVER, http__route="/chat")
    assert measured.points("mcp.") == []


def test_what_is_not_sampled_is_measured_too():
    measured = Measured(sampler=HoldingSampler(ALWAYS_OFF))
    measured.span(SpanKind.CLIENT, mcp__method__name="ping")
    assert len(measured.points("mcp.client.operation.duration")) == 1


def test_methods_that_a_client_makes_up_stay_bounded():
    measured = Measured()
    for number in range(500):
        measured.span(SpanKind.SERVER, mcp__method__name=f"method-{number}")
    assert len(measured.points("mcp.server.operation.duration")) <= 61


def serve(measured: Measured, raising: BaseException | None = None, **given: Any) -> None:
    async def run(**_: Any) -> None:
        if raising is not None:
            raise raising

    module = SimpleNamespace(run=run)
    measure_served(measured.recorder, "run")(module)
    asyncio.run(module.run(**given))


def test_a_server_s_session_is_measured_from_its_beginning_to_its_end():
    measured = Measured()
    serve(measured)
    ((attributes, seconds),) = measured.points("mcp.server.session.duration")
    assert attributes == {"error.type": "none"}
    assert 0 <= seconds < 5


def test_a_session_that_fails_is_measured_by_its_error_which_goes_on():
    measured = Measured()
    with pytest.raises(ConnectionError):
        serve(measured, ConnectionError("gone"))
    ((attributes, _),) = measured.points("mcp.server.session.duration")
    assert attributes == {"error.type": "ConnectionError"}


def test_a_session_that_is_given_up_is_no_error():
    measured = Measured()
    with pytest.raises(asyncio.CancelledError):
        serve(measured, asyncio.CancelledError())
    ((attributes, _),) = measured.points("mcp.server.session.duration")
    assert attributes == {"error.type": "none"}


def test_a_server_without_state_has_no_sessions():
    measured = Measured()
    serve(measured, stateless=True)
    assert measured.points("mcp.") == []
