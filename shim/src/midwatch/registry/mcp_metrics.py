"""The metrics that OpenTelemetry's conventions have for the Model Context Protocol.

They are the conventions', not Midwatch's: they go out over OTLP under the names and attributes
that these have, as the `gen_ai` families of the official packages do, and are in no page of rules.
"""

from __future__ import annotations

from midwatch.registry.model import Attribute, Instrument, Metric

_ORIGIN = "OpenTelemetry's conventions"
_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

METHOD = Attribute("mcp.method.name", "The method that was asked for.", max_values=60)
TOOL = Attribute("gen_ai.tool.name", "The tool that was called; `none` otherwise.", max_values=200)
ERROR_TYPE = Attribute(
    "error.type", "What the request failed with; `none` if it did not.", max_values=50
)

MCP_CLIENT_OPERATION_DURATION = Metric(
    "mcp.client.operation.duration",
    Instrument.HISTOGRAM,
    "s",
    "Time from a request of an MCP client to its answer.",
    (METHOD, TOOL, ERROR_TYPE),
    buckets=_SECONDS,
    origin=_ORIGIN,
)
MCP_SERVER_OPERATION_DURATION = Metric(
    "mcp.server.operation.duration",
    Instrument.HISTOGRAM,
    "s",
    "Time that an MCP server took for a request.",
    (METHOD, TOOL, ERROR_TYPE),
    buckets=_SECONDS,
    origin=_ORIGIN,
)
MCP_CLIENT_SESSION_DURATION = Metric(
    "mcp.client.session.duration",
    Instrument.HISTOGRAM,
    "s",
    "Time from the beginning of an MCP client's session to its end.",
    (ERROR_TYPE,),
    buckets=_SECONDS,
    origin=_ORIGIN,
)
MCP_SERVER_SESSION_DURATION = Metric(
    "mcp.server.session.duration",
    Instrument.HISTOGRAM,
    "s",
    "Time for which an MCP server served a session.",
    (ERROR_TYPE,),
    buckets=_SECONDS,
    origin=_ORIGIN,
)
