"""The spans of requests over the Model Context Protocol, and what they say of failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, get_current_span

from midwatch.instrumentors.mcp_names import is_recorded, span_attributes, span_name
from midwatch.instruments.turns import outcome_of


@contextmanager
def sending(tracer: Tracer, method: str, target: str) -> Iterator[Span]:
    """The span of a request: a framework's of the same call, or else one of the client's kind."""
    attributes = span_attributes(method, target)
    if is_recorded(method, target):
        # A framework's span of the same call: it learns what the protocol knows.
        span = get_current_span()
        span.set_attributes(attributes)
        yield span
        return
    with tracer.start_as_current_span(
        span_name(method, target),
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            if outcome_of(error) == "error":
                code = getattr(getattr(error, "error", None), "code", None)
                fail(span, str(code or type(error).__qualname__), str(error))
            raise


def fail(span: Span, kind: str, words: str) -> None:
    """Have a span tell that its request failed, and how."""
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, words[:500]))
