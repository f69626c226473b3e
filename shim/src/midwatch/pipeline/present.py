"""The present context and its span, read without a detour.

`opentelemetry.trace.get_current_span` goes through four functions; what is recorded about one turn
asks for it some sixty times.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token
from typing import Any

from opentelemetry.context import _RUNTIME_CONTEXT
from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import INVALID_SPAN, Span
from opentelemetry.trace.propagation import _SPAN_KEY

_variable: Any = (
    getattr(_RUNTIME_CONTEXT, "_current_context", None)
    if type(_RUNTIME_CONTEXT) is ContextVarsRuntimeContext
    else None
)

present_context: Callable[[], Context] = (
    _variable.get if _variable is not None else _RUNTIME_CONTEXT.get_current
)
"""The present context."""

enter_context: Callable[[Context], Token[Context]] = (
    _variable.set if _variable is not None else _RUNTIME_CONTEXT.attach
)
"""Makes a context the present one."""

leave_context: Callable[[Token[Context]], None] = (
    _variable.reset if _variable is not None else _RUNTIME_CONTEXT.detach
)
"""Undoes `enter_context`, in the same thread and task; raises `ValueError` in another."""

_span_types: set[type] = set()
"""Kinds of spans that were seen: to ask whether an object is one of an abstract class is slow."""


def span_in(context: Context | None = None) -> Span:
    """The span of a context, by default of the present one; an invalid one if it has none."""
    found: Any = (present_context() if context is None else context).get(_SPAN_KEY)
    kind = type(found)
    if kind not in _span_types:
        if not isinstance(found, Span):
            return INVALID_SPAN
        _span_types.add(kind)
    return found  # type: ignore[no-any-return]
