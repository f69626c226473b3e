"""An MCP server with two tools; its own spans go to the file that SPANS_FILE names, one a line.

Arguments: `stdio`, or the port of 127.0.0.1 to serve streamable HTTP on.
"""

from __future__ import annotations

import json
import os
import sys

import midwatch
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

midwatch.init()

try:
    from mcp.server.mcpserver import MCPServer as Server
except ImportError:
    from mcp.server.fastmcp import FastMCP as Server


class ToFile(SpanProcessor):
    """Writes each span as it ends."""

    def on_end(self, span: ReadableSpan) -> None:
        told = {
            "name": span.name,
            "trace_id": span.context.trace_id,
            "parent_id": span.parent.span_id if span.parent else None,
            "attributes": dict(span.attributes or {}),
            "error": span.status.status_code.name == "ERROR",
        }
        with open(os.environ["SPANS_FILE"], "a") as file:
            file.write(json.dumps(told) + "\n")


provider = trace.get_tracer_provider()
assert isinstance(provider, TracerProvider)
provider.add_span_processor(ToFile())
first = Server.__name__ == "FastMCP"
options = {} if sys.argv[1] == "stdio" or not first else {"port": int(sys.argv[1])}
server = Server("tested", **options)


@server.tool()
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@server.tool()
def broken() -> str:
    """Fail."""
    raise ValueError("no such table")


if sys.argv[1] == "stdio":
    server.run("stdio")
elif first:
    server.run("streamable-http")
else:
    server.run("streamable-http", port=int(sys.argv[1]))
