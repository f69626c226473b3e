"""What is shown of both releases of the MCP SDK, over both of its transports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import midwatch
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.memory import create_client_server_memory_streams
from opentelemetry.trace import StatusCode, get_tracer

PROGRAM = Path(__file__).with_name("mcp_server_program.py")
Connect = Callable[[], Any]


class Server:
    """A server in a process of its own, and the spans that it made."""

    def __init__(self, connect: Connect, spans_file: Path) -> None:
        self.connect = connect
        self._spans_file = spans_file

    def spans(self, name: str) -> list[dict[str, Any]]:
        """The server's spans of that name; waits for one."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            text = self._spans_file.read_text() if self._spans_file.exists() else ""
            found = [json.loads(line) for line in text.splitlines()]
            named = [span for span in found if span["name"] == name]
            if named:
                return named
            time.sleep(0.02)
        raise AssertionError(f"no span {name} of the server")


def environment(spans_file: Path) -> dict[str, str]:
    return {**os.environ, "SPANS_FILE": str(spans_file), "OTEL_SERVICE_NAME": "mcp-server"}


@asynccontextmanager
async def over_stdio(spans_file: Path) -> AsyncIterator[ClientSession]:
    command = StdioServerParameters(
        command=sys.executable, args=[str(PROGRAM), "stdio"], env=environment(spans_file)
    )
    async with (
        stdio_client(command, errlog=sys.__stderr__) as (read, write),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


@asynccontextmanager
async def over_http(url: str) -> AsyncIterator[ClientSession]:
    try:
        from mcp.client.streamable_http import streamable_http_client as client
    except ImportError:
        from mcp.client.streamable_http import streamablehttp_client as client
    async with client(url) as streams, ClientSession(*streams[:2]) as session:
        await session.initialize()
        yield session


def low_level_server() -> Any:
    """A server without tools, in this process."""
    try:
        from mcp.server.mcpserver import MCPServer
    except ImportError:
        from mcp.server.fastmcp import FastMCP

        return FastMCP("tested")._mcp_server
    return MCPServer("tested")._lowlevel_server


@pytest.fixture(scope="module")
def http_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    spans_file = tmp_path_factory.mktemp("http") / "spans.jsonl"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(port)],
        env=environment(spans_file),
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Server(lambda: over_http(f"http://127.0.0.1:{port}/mcp"), spans_file)
    finally:
        process.terminate()
        process.wait(10)


class McpBehaviour:
    """The tests."""

    @pytest.fixture(params=["stdio", "http"])
    def remote(self, request: Any, tmp_path: Path) -> Server:
        if request.param == "http":
            return request.getfixturevalue("http_server")
        return Server(lambda: over_stdio(tmp_path / "spans.jsonl"), tmp_path / "spans.jsonl")

    def test_the_sdk_is_instrumented_on_its_import(self, states: Any) -> None:
        assert states["mcp"] == "active"

    def test_one_trace_goes_from_the_agent_to_the_server(self, seen: Any, remote: Any) -> None:
        async def ask() -> None:
            async with remote.connect() as session:
                with midwatch.agent("clerk"):
                    result = await session.call_tool("add", {"a": 1, "b": 2})
                    assert result.content[0].text == "3"

        asyncio.run(ask())
        agent, call = seen.span("invoke_agent clerk"), seen.span("tools/call add")
        assert call.parent.span_id == agent.context.span_id
        assert call.attributes["mcp.method.name"] == "tools/call"
        assert call.attributes["gen_ai.tool.name"] == "add"
        assert call.attributes["gen_ai.operation.name"] == "execute_tool"
        served = [
            span
            for span in remote.spans("tools/call add")
            if span["trace_id"] == agent.context.trace_id
        ]
        assert [span["parent_id"] for span in served] == [call.context.span_id]
        assert seen.count("agent.tool.calls", agent="clerk", tool="add", status="ok") == 1
        assert seen.count("agent.tool.latency", agent="clerk", tool="add") == 1

    def test_a_tool_that_fails_on_the_server_is_an_error_on_both_sides(
        self, seen: Any, remote: Any
    ) -> None:
        async def ask() -> None:
            async with remote.connect() as session:
                with midwatch.agent("clerk"):
                    await session.call_tool("broken", {})

        asyncio.run(ask())
        assert seen.count("agent.tool.calls", agent="clerk", tool="broken", status="error") == 1
        call = seen.span("tools/call broken")
        assert call.attributes["error.type"] == "tool_error"
        assert call.status.status_code is StatusCode.ERROR
        assert remote.spans("tools/call broken")[-1]["error"]

    def test_requests_and_sessions_are_measured_as_the_conventions_have_it(
        self, seen: Any, remote: Any
    ) -> None:
        async def ask() -> None:
            async with remote.connect() as session:
                await session.list_tools()
                await session.call_tool("add", {"a": 1, "b": 2})
                await session.call_tool("broken", {})

        asyncio.run(ask())
        requests = "mcp.client.operation.duration"
        called = {"mcp.method.name": "tools/call"}
        assert seen.count(requests, **{"mcp.method.name": "tools/list"}) == 1
        assert seen.count(requests, **called, **{"gen_ai.tool.name": "add"}) == 1
        assert seen.count(requests, **called, **{"error.type": "none"}) == 1
        assert seen.count(requests, **called, **{"gen_ai.tool.name": "broken"}) == 1
        assert seen.count("mcp.client.session.duration", **{"error.type": "none"}) == 1

    def test_a_server_measures_its_sessions(self, seen: Any) -> None:
        async def ask() -> None:
            server = low_level_server()
            async with create_client_server_memory_streams() as (ours, theirs):
                served = server.run(*theirs, server.create_initialization_options())
                serving = asyncio.ensure_future(served)
                async with ClientSession(*ours) as session:
                    await session.initialize()
                    await session.list_tools()
                    assert seen.count("mcp.server.session.duration") == 0
                await ours[1].aclose()
                await asyncio.wait_for(serving, 10)

        asyncio.run(ask())
        assert seen.labels("mcp.server.session.duration") == [{"error.type": "none"}]
        requests = {"mcp.method.name": "tools/list"}
        assert seen.count("mcp.server.operation.duration", **requests) == 1

    def test_other_requests_are_named_by_their_method(self, seen: Any, remote: Any) -> None:
        async def ask() -> None:
            async with remote.connect() as session:
                await session.list_tools()

        asyncio.run(ask())
        assert seen.spans("tools/list")
        assert seen.count("agent.tool.calls") == 0

    def test_a_call_that_a_framework_records_gets_no_second_span(
        self, seen: Any, http_server: Any
    ) -> None:
        from midwatch.instrumentors.framework_work import FrameworkWork
        from midwatch.instruments.recorder import get_recorder

        framework = FrameworkWork(get_tracer("test"), get_recorder(), "test")

        async def ask() -> None:
            async with http_server.connect() as session:
                work = framework.begin_tool("calculator__add", agent="clerk")
                with work.current():
                    await session.call_tool("add", {"a": 1, "b": 2})
                framework.end_tool(work)

        asyncio.run(ask())
        span = seen.span("execute_tool calculator__add")
        assert span.attributes["mcp.method.name"] == "tools/call"
        assert not seen.spans("tools/call add")
        assert seen.count("agent.tool.calls") == 1
        served = [
            found
            for found in http_server.spans("tools/call add")
            if found["trace_id"] == span.context.trace_id
        ]
        assert [found["parent_id"] for found in served] == [span.context.span_id]

    def test_a_tool_that_the_server_does_not_have_is_an_error_of_the_call(
        self, seen: Any, remote: Any
    ) -> None:
        async def ask() -> None:
            async with remote.connect() as session:
                with midwatch.agent("clerk"):
                    await session.call_tool("no_such_tool", {})

        # Release 1 answers with an error, release 2 may raise one.
        with contextlib.suppress(Exception):
            asyncio.run(ask())
        assert seen.count("agent.tool.calls", tool="no_such_tool", status="error") == 1

    def test_a_call_that_is_given_up_is_no_error(self, seen: Any, http_server: Any) -> None:
        async def ask() -> None:
            async with http_server.connect() as session:
                calling = asyncio.ensure_future(session.call_tool("add", {"a": 1, "b": 2}))
                await asyncio.sleep(0)
                calling.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await calling

        asyncio.run(ask())
        assert seen.count("agent.tool.calls") == 0
        wrong = [
            s for s in seen.spans("tools/call add") if s.status.status_code is StatusCode.ERROR
        ]
        assert not wrong
