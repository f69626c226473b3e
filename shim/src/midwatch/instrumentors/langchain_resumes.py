"""A run that resumes an interrupted one links to it, also in another process.

The trace context of each run is kept in the metadata of the checkpoints that it writes: whatever
keeps the thread's state then also knows who left it there.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

CHECKPOINT_KEY = "midwatch_traceparent"
"""The key in the metadata of checkpoints."""

_TRACEPARENT = "traceparent"
_propagator = TraceContextTextMapPropagator()


def keep(loop: Any, context: Context) -> None:
    """Have the checkpoints of a root graph's loop carry the trace context."""
    if loop.is_nested or not loop.checkpointer:
        return
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context)
    if _TRACEPARENT in carrier:
        config = loop.checkpoint_config
        metadata = {**(config.get("metadata") or {}), CHECKPOINT_KEY: carrier[_TRACEPARENT]}
        loop.checkpoint_config = {**config, "metadata": metadata}


def origin_of(loop: Any) -> SpanContext | None:
    """The span of the run that a root graph's loop, its checkpoint loaded, is about to resume."""
    if loop.is_nested or not loop.checkpoint["channel_versions"]:
        return None
    # No input means to go on; a command may carry the answer that the run waits for.
    if loop.input is not None and getattr(loop.input, "resume", None) is None:
        return None
    kept = (loop.checkpoint_metadata or {}).get(CHECKPOINT_KEY)
    if not isinstance(kept, str):
        return None
    context = _propagator.extract({_TRACEPARENT: kept}, Context())
    origin = get_current_span(context).get_span_context()
    return origin if origin.is_valid else None
