"""Scopes that have a span: how it begins, is described and ends."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import context, trace
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from midwatch.api.arguments import MAX_TEXT, as_json, plain, text
from midwatch.api.scopes import Scope
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.recording import SCOPE
from midwatch.instruments.turns import outcome_of, quiet_detach
from midwatch.pipeline.clock import perf_counter, time_ns
from midwatch.pipeline.light_tracer import light
from midwatch.registry.span_attributes import INPUT, OUTPUT

_tracers: weakref.WeakKeyDictionary[trace.TracerProvider, Tracer] = weakref.WeakKeyDictionary()


def start_span(
    name: str,
    attributes: Mapping[str, AttributeValue] | None = None,
    *,
    within: context.Context | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
) -> Span:
    """A span of the API's own that begins now, in a context or in the current one."""
    provider = trace.get_tracer_provider()
    tracer = _tracers.get(provider)
    if tracer is None:
        tracer = _tracers[provider] = light(provider.get_tracer(SCOPE))
    return tracer.start_span(name, within, kind, attributes, start_time=time_ns())


def end_span(span: Span, error: BaseException | None = None) -> None:
    """End a span now; an exception that is a failure is described on it first."""
    try:
        if error is not None and outcome_of(error) == "error" and span.is_recording():
            _describe(span, error)
    finally:
        span.end(time_ns())


def _describe(span: Span, error: BaseException) -> None:
    kind = type(error).__qualname__
    span.set_attribute(ERROR_TYPE, kind)
    span.set_status(Status(StatusCode.ERROR, text(error)))
    try:
        span.record_exception(error, timestamp=time_ns())
    except Exception:
        # Its own words cannot be read.
        span.add_event(
            "exception",
            {"exception.type": kind, "exception.message": text(error)},
            timestamp=time_ns(),
        )


class SpanScope(Scope):
    """A scope with a span that is the current one in it."""

    span: Span = INVALID_SPAN
    started = 0.0
    input_name = INPUT.name
    output_name = OUTPUT.name

    def _begin(self) -> None:
        self.started = perf_counter()
        self._start()

    def _end(self, error: BaseException | None) -> None:
        try:
            self._record(error)
        finally:
            span, self.span = self.span, INVALID_SPAN
            end_span(span, error)

    def _enter(self) -> Callable[[], None]:
        token = context.attach(self._context())
        return lambda: quiet_detach(token)

    def _start(self) -> None:
        """Start the span."""

    def _record(self, error: BaseException | None) -> None:
        """Record the fact, with the span still open."""

    def _context(self) -> context.Context:
        return trace.set_span_in_context(self.span)

    def seconds(self) -> float:
        """How long it has run."""
        return max(perf_counter() - self.started, 0.0)

    def _called(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if get_recorder().captures_content:
            self.holds(self.input_name, arguments_of(function, args, kwargs))

    def _returned(self, result: object) -> None:
        if get_recorder().captures_content:
            self.holds(self.output_name, result)

    def holds(self, name: str, content: object) -> None:
        """Put content on the span, if content is captured at all."""
        set_content(self.span, name, content)


def set_content(span: Span, name: str, content: object) -> None:
    """Put content on a span, if content is captured at all; the policy decides what leaves."""
    if content is None or not get_recorder().captures_content or not span.is_recording():
        return
    span.set_attribute(name, as_json(content))


def arguments_of(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """What a function is called with, by parameter, without the object that it is a method of."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        # The call is going to fail in its own way.
        return {"args": plain(args), "kwargs": plain(dict(kwargs))}
    return {
        name: value
        for index, (name, value) in enumerate(bound.items())
        if index or name not in ("self", "cls")
    }


def set_known(span: Span, attributes: Mapping[str, object]) -> None:
    """Put on a span what of this is known; texts are kept short."""
    if not span.is_recording():
        return
    for name, value in attributes.items():
        if value is None or value == "" or value == []:
            continue
        if not isinstance(value, str | bool | int | float | list):
            value = text(value)
        span.set_attribute(name, text(value, MAX_TEXT) if isinstance(value, str) else value)
