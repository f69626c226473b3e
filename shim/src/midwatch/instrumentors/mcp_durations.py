"""How long MCP's requests and sessions take, as the conventions have it."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import wrapt
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanKind,
    get_tracer_provider,
    set_span_in_context,
)

from midwatch.instruments.recorder import Recorder
from midwatch.instruments.turns import outcome_of
from midwatch.pipeline.failures import FAILURES

_METHOD = "mcp.method.name"
_STARTED = "_midwatch_started"
_NONE = "none"


def measure(recorder: Recorder) -> None:
    """Measure every request that has a span, whether or not that is sampled."""
    provider = get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.add_span_processor(RequestDurations(recorder))


class RequestDurations(SpanProcessor):
    """Reads the durations of requests off their spans.

    The span of a framework's tool call that went over the protocol is the client's.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def on_end(self, span: ReadableSpan) -> None:
        """Record the request, if the span is of one."""
        found = span.attributes or {}
        method, context = found.get(_METHOD), span.get_span_context()
        if method is None or context is None:
            return
        seconds = ((span.end_time or 0) - (span.start_time or 0)) / 1e9
        # The span is the sample that goes with the value.
        token = attach(set_span_in_context(NonRecordingSpan(context)))
        try:
            self._recorder.mcp_request(
                "server" if span.kind is SpanKind.SERVER else "client",
                str(method),
                str(found.get("gen_ai.tool.name") or _NONE),
                str(found.get("error.type") or _NONE),
                max(seconds, 0.0),
            )
        except Exception as error:
            FAILURES.note("mcp", error)
        finally:
            detach(token)


def measure_sessions(recorder: Recorder) -> Callable[[Any], None]:
    """Returns what wraps the beginning and the end of a client's sessions."""

    async def entering(
        wrapped: Callable[..., Any], session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        setattr(session, _STARTED, perf_counter())
        return await wrapped(*args, **kwargs)

    async def leaving(
        wrapped: Callable[..., Any], session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        error = args[1] if len(args) > 1 else None
        started = getattr(session, _STARTED, None)
        if isinstance(started, float):
            recorder.mcp_session("client", _kind_of(error), perf_counter() - started)
        return await wrapped(*args, **kwargs)

    def follow(module: Any) -> None:
        wrapt.wrap_function_wrapper(module.ClientSession, "__aenter__", entering)
        wrapt.wrap_function_wrapper(module.ClientSession, "__aexit__", leaving)

    return follow


def measure_served(recorder: Recorder, name: str) -> Callable[[Any], None]:
    """Returns what wraps a server's function of this name, which serves one session."""

    async def around(
        wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        # Without a state each request is served by a call of its own, and there is no session.
        if kwargs.get("stateless"):
            return await wrapped(*args, **kwargs)
        started, kind = perf_counter(), _NONE
        try:
            return await wrapped(*args, **kwargs)
        except BaseException as error:
            kind = _kind_of(error)
            raise
        finally:
            recorder.mcp_session("server", kind, perf_counter() - started)

    def follow(module: Any) -> None:
        wrapt.wrap_function_wrapper(module, name, around)

    return follow


def _kind_of(error: object) -> str:
    failed = isinstance(error, BaseException) and outcome_of(error) == "error"
    return type(error).__qualname__ if failed else _NONE
