"""The present context and its span, read without a detour.

`opentelemetry.trace.get_current_span` goes through four functions; what is recorded about one turn
asks for it some sixty times.
"""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.context import _RUNTIME_CONTEXT
from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import INVALID_SPAN, Span
from opentelemetry.trace.propagation import _SPAN_KEY

present_context: Callable[[], Context] = (
    _RUNTIME_CONTEXT._current_context.get
    if type(_RUNTIME_CONTEXT) is ContextVarsRuntimeContext
    else _RUNTIME_CONTEXT.get_current
)
"""The present context."""


def span_in(context: Context | None = None) -> Span:
    """The span of a context, by default of the present one; an invalid one if it has none."""
    found = (present_context() if context is None else context).get(_SPAN_KEY)
    return found if isinstance(found, Span) else INVALID_SPAN
