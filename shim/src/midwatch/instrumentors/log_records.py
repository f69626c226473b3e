"""Trace ids in the application's own log records."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from opentelemetry import trace

TRACE_ID = "trace_id"
SPAN_ID = "span_id"


def current_ids() -> tuple[str, str]:
    """The ids of the current trace and span in hexadecimal, empty outside of any."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return "", ""
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def add_ids_to_log_records() -> None:
    """Give each `logging.LogRecord` the attributes `trace_id` and `span_id`.

    A record factory that the application has set is kept and called first.
    """
    make = logging.getLogRecordFactory()
    if getattr(make, "_midwatch", False):
        return

    def make_with_ids(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        if not hasattr(record, TRACE_ID):
            record.trace_id, record.span_id = current_ids()
        return record

    make_with_ids._midwatch = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make_with_ids)


def add_ids(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: put the ids into the event, unless it has its own."""
    trace_id, span_id = current_ids()
    if trace_id:
        event.setdefault(TRACE_ID, trace_id)
        event.setdefault(SPAN_ID, span_id)
    return event


class StructlogInstrumentation:
    """Puts `add_ids` before the other processors, now and whenever structlog is configured."""

    def instrument(self) -> None:
        """Wrap structlog's configuration."""
        import structlog

        configure = structlog.configure

        def configure_with_ids(processors: Any = None, *args: Any, **kwargs: Any) -> None:
            if processors is not None and add_ids not in processors:
                processors = [add_ids, *processors]
            configure(processors, *args, **kwargs)

        structlog.configure = configure_with_ids
        current = structlog.get_config()["processors"]
        if add_ids not in current:
            # In place: loggers that were bound already hold on to this very list.
            current.insert(0, add_ids)
