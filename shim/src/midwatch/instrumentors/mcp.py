"""The Model Context Protocol: one trace from client to server, and tools called over it as facts.

Release 2 of the SDK makes spans and carries the context in `params._meta` itself; release 1 does
neither. Spans are named as the conventions have it, `{method} {target}`. A call of a tool that a
framework records already gets what the protocol knows, and no second span.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from time import perf_counter
from typing import Any

import wrapt
from opentelemetry.trace import get_tracer

from midwatch.instrumentors import mcp_durations
from midwatch.instrumentors.framework_work import UNKNOWN, tool_status
from midwatch.instrumentors.mcp_names import TOOL_METHOD, is_recorded
from midwatch.instruments.agent_context import current_agent
from midwatch.instruments.recorder import Recorder, get_recorder
from midwatch.instruments.recording import SCOPE
from midwatch.instruments.turns import outcome_of

_Call = Callable[..., Any]


class McpInstrumentation:
    """Instruments clients and servers of the SDK."""

    def instrument(self) -> None:
        """Take hold of what is imported, and of the rest when it is."""
        tracer = get_tracer(SCOPE)
        tools = _Tools(get_recorder())
        _when_imported("mcp.client.session", lambda module: tools.follow(module.ClientSession))
        _when_imported("mcp.client.session", mcp_durations.measure_sessions(get_recorder()))
        mcp_durations.measure(get_recorder())
        served = mcp_durations.measure_served(get_recorder(), "Server.run")
        _when_imported("mcp.server.lowlevel.server", served)
        if _is_first_release():
            from midwatch.instrumentors import mcp_first

            _when_imported("mcp.shared.session", mcp_first.follow_requests(tracer))
            _when_imported("mcp.server.lowlevel.server", mcp_first.follow_handlers(tracer))
        else:
            from midwatch.instrumentors import mcp_second

            requests = mcp_second.follow_requests(tracer)
            _when_imported("mcp.shared.jsonrpc_dispatcher", requests)
            # Over HTTP this release serves its sessions by another way than `Server.run`.
            served = mcp_durations.measure_served(get_recorder(), "serve_loop")
            _when_imported("mcp.server.streamable_http_manager", served)


class _Tools:
    """Counts the tools that are called over the protocol, unless a framework does."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def follow(self, session: type) -> None:
        """Wrap a client's calls of tools."""
        wrapt.wrap_function_wrapper(session, "call_tool", self._around)

    async def _around(
        self, wrapped: _Call, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        tool = str(args[0] if args else kwargs.get("name", ""))
        if is_recorded(TOOL_METHOD, tool):
            return await wrapped(*args, **kwargs)
        agent, started = current_agent() or UNKNOWN, perf_counter()
        self._recorder.tool_started(agent, tool)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:
            if outcome_of(error) == "error":
                timed_out = "timed out" in str(error).lower()
                status = "timeout" if timed_out else tool_status(error)
                self._tell(agent, tool, status, started, type(error).__qualname__)
            raise
        failed = _is_error(result)
        self._tell(agent, tool, "error" if failed else "ok", started, "tool_error" * failed)
        return result

    def _tell(self, agent: str, tool: str, status: str, started: float, error: str) -> None:
        seconds = perf_counter() - started
        self._recorder.tool_call(agent, tool, status, seconds, error=error or None)


def _is_error(result: Any) -> bool:
    return bool(getattr(result, "isError", False) or getattr(result, "is_error", False))


def _is_first_release() -> bool:
    return version("mcp").partition(".")[0] in {"0", "1"}


def _when_imported(name: str, follow: Callable[[Any], None]) -> None:
    if name in sys.modules:
        follow(sys.modules[name])
    else:
        wrapt.register_post_import_hook(follow, name)
