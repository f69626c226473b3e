"""Log records (events) on their way to an exporter."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource

from midwatch.pipeline.batching import BatchQueue
from midwatch.pipeline.event_logs import EmittedEvent


class QueueingLogProcessor(LogRecordProcessor):
    """Queues log records for export."""

    def __init__(self, queue: BatchQueue[ReadableLogRecord]) -> None:
        self._queue = queue
        self.take = queue.put
        """Queues a record as it is."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Queue the record, without the context, which may hold on to much."""
        event = log_record.queued() if isinstance(log_record, EmittedEvent) else None
        if event is not None:
            self.take(event)
            return
        record = copy.copy(log_record.log_record)
        record.context = Context()
        self._queue.put(
            ReadableLogRecord(
                log_record=record,
                resource=log_record.resource or Resource.get_empty(),
                instrumentation_scope=log_record.instrumentation_scope,
                limits=log_record.limits,
            )
        )

    def shutdown(self) -> None:
        """Stop; waits a second at most."""
        self._queue.close(1.0)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what is queued."""
        return self._queue.flush(timeout_millis / 1000)


def exporting_logs(exporter: LogRecordExporter) -> Callable[[Sequence[ReadableLogRecord]], bool]:
    """An exporter of the SDK as what a queue empties into."""
    return lambda batch: exporter.export(batch) is LogRecordExportResult.SUCCESS
