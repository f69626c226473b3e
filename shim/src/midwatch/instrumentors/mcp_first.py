"""Release 1 of the MCP SDK: spans of requests, and the context that they carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wrapt
from opentelemetry.context import Context
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import Span, SpanKind, Tracer, get_current_span

from midwatch.instrumentors.mcp_names import span_attributes, span_name
from midwatch.instrumentors.mcp_requests import fail, sending
from midwatch.pipeline.failures import FAILURES

_Call = Callable[..., Any]


def follow_requests(tracer: Tracer) -> Callable[[Any], None]:
    """Returns what wraps the requests that a session sends."""

    async def around(wrapped: _Call, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        request = getattr(args[0] if args else kwargs.get("request"), "root", None)
        method, target = _described(request)
        with sending(tracer, method, target) as span:
            _carry_context(request)
            result = await wrapped(*args, **kwargs)
            if getattr(result, "isError", False):
                fail(span, "tool_error", "")
            return result

    def follow(module: Any) -> None:
        wrapt.wrap_function_wrapper(module.BaseSession, "send_request", around)

    return follow


def follow_handlers(tracer: Tracer) -> Callable[[Any], None]:
    """Returns what wraps the handling of the requests that a server gets."""

    async def around(wrapped: _Call, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        responder = args[0] if args else kwargs.get("message")
        request = args[1] if len(args) > 1 else kwargs.get("req")
        method, target = _described(request)
        with tracer.start_as_current_span(
            span_name(method, target),
            _carried_context(request),
            SpanKind.SERVER,
            {**span_attributes(method, target), "jsonrpc.request.id": _id_of(responder)},
        ) as span:
            _watch_answer(responder, span)
            return await wrapped(*args, **kwargs)

    def follow(module: Any) -> None:
        wrapt.wrap_function_wrapper(module.Server, "_handle_request", around)

    return follow


def _described(request: Any) -> tuple[str, str]:
    params = getattr(request, "params", None)
    target = getattr(params, "name", None) or getattr(params, "uri", None) or ""
    return str(getattr(request, "method", "") or "unknown"), str(target)


def _carry_context(request: Any) -> None:
    try:
        params = getattr(request, "params", None)
        if params is None or not hasattr(params, "meta"):
            return
        carrier: dict[str, str] = {}
        inject(carrier)
        if carrier:
            kind = type(params).Meta
            known = params.meta.model_dump() if params.meta is not None else {}
            params.meta = kind(**{**known, **carrier})
    except Exception as error:
        FAILURES.note("mcp", error)


def _carried_context(request: Any) -> Context | None:
    try:
        meta = getattr(getattr(request, "params", None), "meta", None)
        carrier = dict(getattr(meta, "model_extra", None) or {})
        context = extract(carrier)
    except Exception as error:
        FAILURES.note("mcp", error)
        return None
    # Without a valid parent the present context is the better one.
    return context if get_current_span(context).get_span_context().is_valid else None


def _watch_answer(responder: Any, span: Span) -> None:
    """Have the span learn what is answered: the handler itself turns exceptions into answers."""
    respond = responder.respond

    async def responding(answer: Any) -> Any:
        try:
            _read_answer(answer, span)
        except Exception as error:
            FAILURES.note("mcp", error)
        return await respond(answer)

    responder.respond = responding


def _read_answer(answer: Any, span: Span) -> None:
    result = getattr(answer, "root", answer)
    if getattr(result, "isError", False):
        fail(span, "tool_error", "")
    elif hasattr(answer, "code") and hasattr(answer, "message"):
        fail(span, str(answer.code), str(answer.message))


def _id_of(responder: Any) -> str:
    return str(getattr(responder, "request_id", ""))
