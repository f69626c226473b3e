"""Release 2 of the MCP SDK: its own spans, under the conventions' names and never a second one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import wrapt
from opentelemetry.trace import Span, get_current_span

from midwatch.instrumentors.mcp_names import is_recorded, span_attributes, span_name

_METHOD = "mcp.method.name"
_PREFIX = "MCP send "


def name_spans(dispatcher: Any) -> None:
    """Wrap the function by which the SDK makes the spans of a client's requests."""
    wrapt.wrap_function_wrapper(dispatcher, "otel_span", _around)


def _around(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    attributes = kwargs.get("attributes") or {}
    method = str(attributes.get(_METHOD, ""))
    given = str(args[0] if args else kwargs.get("name", ""))
    if not method or not given.startswith(_PREFIX):
        return wrapped(*args, **kwargs)
    target = given.removeprefix(_PREFIX).removeprefix(method).strip()
    more = {**attributes, **span_attributes(method, target)}
    if is_recorded(method, target):
        return _enriched(more)
    return wrapped(span_name(method, target), **{**kwargs, "attributes": more})


@contextmanager
def _enriched(attributes: dict[str, Any]) -> Iterator[Span]:
    """The span around the call, which is the call's own, with what the protocol knows."""
    span = get_current_span()
    if span.is_recording():
        span.set_attributes(attributes)
    yield span
