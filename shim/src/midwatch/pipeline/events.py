"""Events on their way out: JSON lines and OpenTelemetry log records."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.util.types import AnyValue

from midwatch.pipeline.failures import FAILURES
from midwatch.registry.attributes import CALL_ID, SESSION_ID, TURN_ID


@dataclass(frozen=True)
class EventRecord:
    """One event as it is written.

    `trace_id` and `span_id` are the application's own when it gave any, else those of the current
    span; `call_id` is the trace id that the application gave, if it is another than the span's.
    `context` is that of the event, if it is not the current one.
    """

    event: str
    trace_id: str = ""
    span_id: str = ""
    session_id: str = ""
    turn_id: str = ""
    service: str = ""
    metadata: Mapping[str, AnyValue] = field(default_factory=dict)
    call_id: str = ""
    ts: datetime = field(default_factory=lambda: datetime.now(UTC))
    context: Context | None = None


class EventSink(Protocol):
    """Takes events; never raises."""

    def write(self, record: EventRecord) -> None:
        """Write one event."""


class JsonLinesSink:
    """Appends one JSON object per event to a file.

    Lines of several threads and of forked workers do not mix: each is one append. Missing folders
    are created, a file that was rotated away is opened anew, and a failure to write is counted and
    logged once.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._torn = False
        os.register_at_fork(after_in_child=self._renew_lock)

    def write(self, record: EventRecord) -> None:
        """Append one event."""
        try:
            line = json.dumps(_as_line(record), ensure_ascii=False)
            with self._lock:
                self._append(line.encode("utf-8", "backslashreplace") + b"\n")
        except (OSError, ValueError) as error:
            FAILURES.note("jsonl", error)

    def _renew_lock(self) -> None:
        # The lock may have been held by another thread at the moment of the fork.
        self._lock = threading.Lock()

    def _append(self, data: bytes) -> None:
        descriptor = self._open()
        if self._torn:
            data = b"\n" + data
        written = os.write(descriptor, data)
        self._torn = written < len(data)
        while written < len(data):
            written += os.write(descriptor, data[written:])
        self._torn = False

    def _open(self) -> int:
        if self._descriptor is not None:
            try:
                present = os.stat(self.path)
                ours = os.fstat(self._descriptor)
                if (present.st_ino, present.st_dev) == (ours.st_ino, ours.st_dev):
                    return self._descriptor
            except FileNotFoundError:
                pass
            os.close(self._descriptor)
            self._descriptor = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_APPEND | os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o640)
        return self._descriptor


class LogRecordSink:
    """Emits each event as an OpenTelemetry log record with an event name."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def write(self, record: EventRecord) -> None:
        """Emit one event in its context, so that it carries the span."""
        attributes: dict[str, AnyValue] = dict(record.metadata)
        for attribute, value in (
            (SESSION_ID, record.session_id),
            (TURN_ID, record.turn_id),
            (CALL_ID, record.call_id),
        ):
            if value:
                attributes[attribute.name] = value
        nanoseconds = int(record.ts.timestamp() * 1_000_000) * 1_000
        self._logger.emit(
            LogRecord(
                timestamp=nanoseconds,
                observed_timestamp=nanoseconds,
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                body=record.event,
                attributes=attributes,
                event_name=record.event,
                context=record.context,
            )
        )


def plain(value: object) -> AnyValue:
    """The value as JSON and OTLP can both hold it; what neither knows becomes its text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _as_line(record: EventRecord) -> dict[str, object]:
    return {
        "ts": record.ts.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "event": record.event,
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "session_id": record.session_id,
        "turn_id": record.turn_id,
        "service": record.service,
        "metadata": record.metadata,
    }
