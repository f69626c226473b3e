"""Release 2 of the MCP SDK: its own spans, under the conventions' names and never a second one.

Its span of a client's request ends before the answer is read, so that a tool that answers with an
error looks well there. A span of ours around the request knows the answer and stands for the SDK's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import wrapt
from opentelemetry.trace import Span, Tracer, get_current_span

from midwatch.instrumentors.mcp_requests import fail, sending

_PREFIX = "MCP send "
_standing_for: ContextVar[Span | None] = ContextVar("midwatch_mcp_request", default=None)


def follow_requests(tracer: Tracer) -> Callable[[Any], None]:
    """Returns what wraps the requests of both sides and the SDK's spans of them."""

    async def around(
        wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        method, target = _described(*args[:2], **kwargs)
        with sending(tracer, method, target) as span:
            token = _standing_for.set(span)
            try:
                result = await wrapped(*args, **kwargs)
            finally:
                _standing_for.reset(token)
            if isinstance(result, dict) and result.get("isError") is True:
                fail(span, "tool_error", "")
            return result

    def follow(dispatcher: Any) -> None:
        wrapt.wrap_function_wrapper(dispatcher, "JSONRPCDispatcher.send_raw_request", around)
        wrapt.wrap_function_wrapper(dispatcher, "otel_span", _instead)

    return follow


def _described(method: object = "", params: Any = None, **_: object) -> tuple[str, str]:
    given = params if isinstance(params, Mapping) else {}
    return str(method), str(given.get("name") or given.get("uri") or "")


def _instead(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    span = _standing_for.get()
    given = str(args[0] if args else kwargs.get("name", ""))
    if span is None or span is not get_current_span() or not given.startswith(_PREFIX):
        return wrapped(*args, **kwargs)
    span.set_attributes(kwargs.get("attributes") or {})
    return _entered(span)


@contextmanager
def _entered(span: Span) -> Iterator[Span]:
    yield span
