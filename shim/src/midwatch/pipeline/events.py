"""Events on their way out, and as JSON lines."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext
from opentelemetry.util.types import AnyValue

from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.failures import FAILURES


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


class EventOrigin(NamedTuple):
    """Where an event comes from: its span, its turn, and the ids that the application gave."""

    span: SpanContext
    session_id: str = ""
    turn_id: str = ""
    trace_id: str = ""
    service: str = ""


class RawEvent(EventRecord):
    """An event whose texts are made when they are read, which an exporter's thread does.

    Args:
        event: its name.
        metadata: values that nobody changes any more.
        origin: where it comes from.
        policy: what of it may leave the process.
        at_ns: when it happened, in nanoseconds of Unix time.
    """

    def __init__(
        self,
        event: str,
        metadata: Mapping[str, object],
        origin: EventOrigin,
        policy: ContentPolicy,
        at_ns: int,
    ) -> None:
        self._raw_event = event
        self._raw_metadata = metadata
        self.origin = origin
        self.policy = policy
        self.at_ns = at_ns

    # As for any class: to go past a frozen one for each value takes four times as long.
    __setattr__ = object.__setattr__

    _raw_event: str
    _raw_metadata: Mapping[str, object]
    origin: EventOrigin
    policy: ContentPolicy
    at_ns: int

    @cached_property
    def event(self) -> str:
        """The name, governed."""
        return self.policy.scrub(self._raw_event)

    @cached_property
    def trace_id(self) -> str:
        """The application's own trace id, else that of the span."""
        return self.policy.scrub_id(self.origin.trace_id) or self._span_trace_id

    @cached_property
    def span_id(self) -> str:
        """The id of the span."""
        span = self.origin.span
        return f"{span.span_id:016x}" if span.is_valid else ""

    @cached_property
    def session_id(self) -> str:
        """The session, governed."""
        return self.policy.scrub_id(self.origin.session_id)

    @cached_property
    def turn_id(self) -> str:
        """The turn, governed."""
        return self.policy.scrub_id(self.origin.turn_id)

    @cached_property
    def service(self) -> str:
        """The service."""
        return self.origin.service

    @cached_property
    def metadata(self) -> Mapping[str, AnyValue]:
        """The values, governed and plain."""
        # Numbers and times go through the policy as such: their texts can't hold a secret.
        governed = self.policy.attributes(self._raw_metadata)
        return {name: plain(value) for name, value in governed.items()}

    @cached_property
    def call_id(self) -> str:
        """The application's own trace id if it is another than the span's."""
        given = self.origin.trace_id
        return self.policy.scrub_id(given) if given != self._span_trace_id else ""

    @cached_property
    def ts(self) -> datetime:
        """When it happened."""
        return datetime.fromtimestamp(self.at_ns / 1e9, UTC)

    @property
    def _span_trace_id(self) -> str:
        span = self.origin.span
        return f"{span.trace_id:032x}" if span.is_valid else ""


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
    if isinstance(value, datetime) and value.tzinfo is UTC:
        return value.isoformat().replace("+00:00", "Z")
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
