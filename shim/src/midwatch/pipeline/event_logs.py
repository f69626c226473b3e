"""Events as OpenTelemetry log records, which are made by the thread that exports them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk._logs import Logger as SdkLogger
from opentelemetry.sdk._logs import LogRecordLimits, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import AnyValue

from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.events import EventRecord, RawEvent
from midwatch.registry.attributes import CALL_ID, SESSION_ID, TURN_ID

_Taker = Callable[[ReadableLogRecord], None]


class LogRecordSink:
    """Emits each event as an OpenTelemetry log record with an event name."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._of_sdk = logger if isinstance(logger, SdkLogger) else None
        self._known: Sequence[object] = ()
        self._taker: _Taker | None = None

    def write(self, record: EventRecord) -> None:
        """Emit one event in its context, so that it carries the span."""
        logger = self._of_sdk
        if logger is None or not isinstance(record, RawEvent):
            self._logger.emit(_log_record(record, record.context))
        elif logger._is_enabled():
            logger._logger_metrics.emit_log()
            processors = logger._multi_log_record_processor
            # A new tuple whenever a processor is added.
            known: Sequence[object] = getattr(processors, "_log_record_processors", ())
            if known is not self._known:
                self._taker, self._known = _only_taker(known), known
            taker = self._taker
            if taker is None:
                processors.on_emit(EmittedEvent(record, logger))
            else:
                taker(QueuedEvent.of(record, logger))


def _only_taker(known: Sequence[object]) -> _Taker | None:
    """What takes events as they are, where no other processor has to see them."""
    return getattr(known[0], "take", None) if len(known) == 1 else None


class EmittedEvent(ReadWriteLogRecord):
    """An event on its way through the processors of log records.

    A processor that looks into it, or writes on it, finds an ordinary log record; the queue takes
    it as it is.
    """

    def __init__(self, event: RawEvent, logger: SdkLogger) -> None:
        self.event = event
        self.logger = logger

    @cached_property
    def log_record(self) -> LogRecord:  # type: ignore[override]
        """The record, made when somebody asks for it."""
        return QueuedEvent.of(self.event, self.logger).log_record

    @cached_property
    def resource(self) -> Resource:  # type: ignore[override]
        """What the logger's provider describes."""
        return self.logger._resource

    @cached_property
    def instrumentation_scope(self) -> InstrumentationScope:  # type: ignore[override]
        """The logger's scope."""
        return self.logger._instrumentation_scope

    @cached_property
    def limits(self) -> LogRecordLimits:  # type: ignore[override]
        """The logger's limits."""
        return self.logger._log_record_limits

    def queued(self) -> ReadableLogRecord | None:
        """The event for a queue; None if it was looked into, and may have been written on."""
        if "log_record" in self.__dict__:
            return None
        return QueuedEvent.of(self.event, self.logger)


class QueuedEvent(ReadableLogRecord):
    """An event in a queue; its log record is made when an exporter asks for it."""

    event: RawEvent
    logger: SdkLogger

    # As for any class: to go past a frozen one for each value takes four times as long.
    __setattr__ = object.__setattr__

    @classmethod
    def of(cls, event: RawEvent, logger: SdkLogger) -> QueuedEvent:
        """The event as one that this logger emitted."""
        queued = cls.__new__(cls)
        queued.event = event
        queued.logger = logger
        return queued

    @cached_property
    def log_record(self) -> LogRecord:
        """The record."""
        record = _log_record(self.event, Context())
        span = self.event.origin.span
        record.trace_id, record.span_id = span.trace_id, span.span_id
        record.trace_flags = span.trace_flags
        limits = self.logger._log_record_limits
        record.attributes = BoundedAttributes(
            limits.max_log_record_attributes,
            record.attributes,
            immutable=False,
            max_value_len=limits.max_log_record_attribute_length,
        )
        return record

    @cached_property
    def resource(self) -> Resource:
        """What the logger's provider describes."""
        return self.logger._resource

    @cached_property
    def instrumentation_scope(self) -> InstrumentationScope:
        """The logger's scope."""
        return self.logger._instrumentation_scope

    @cached_property
    def limits(self) -> LogRecordLimits:
        """The logger's limits."""
        return self.logger._log_record_limits

    @property
    def governed_by(self) -> ContentPolicy:
        """The policy that the record obeys."""
        return self.event.policy


def _log_record(record: EventRecord, context: Context | None) -> LogRecord:
    nanoseconds = (
        record.at_ns
        if isinstance(record, RawEvent)
        else int(record.ts.timestamp() * 1_000_000) * 1_000
    )
    return LogRecord(
        timestamp=nanoseconds,
        observed_timestamp=nanoseconds,
        severity_number=SeverityNumber.INFO,
        severity_text="INFO",
        body=record.event,
        attributes=_attributes(record),
        event_name=record.event,
        context=context,
    )


def _attributes(record: EventRecord) -> Mapping[str, AnyValue]:
    attributes: dict[str, AnyValue] = dict(record.metadata)
    for attribute, value in (
        (SESSION_ID, record.session_id),
        (TURN_ID, record.turn_id),
        (CALL_ID, record.call_id),
    ):
        if value:
            attributes[attribute.name] = value
    return attributes
