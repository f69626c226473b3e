"""The writer: takes request bodies, commits them in groups, and only then says so.

SQLite gets one writing thread, PostgreSQL a few. A thread takes what has gathered while it was
busy and writes it in one transaction, so that one flush to disk serves many requests.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from midwatch_ledger.models import EventRecord, SpanRecord
from midwatch_ledger.services.dead_letters import keep_refused, keep_unstorable
from midwatch_ledger.services.otlp import (
    Decoded,
    MalformedBodyError,
    Refused,
    decode_logs,
    decode_traces,
)
from midwatch_ledger.services.ownership import of_project
from midwatch_ledger.services.partitions import Partitions
from midwatch_ledger.services.recording import record_events, record_spans
from midwatch_ledger.services.sampled_out import as_spans
from midwatch_ledger.services.telemetry import LedgerMetrics
from midwatch_ledger.store.database import Database, DatabaseUnavailableError, LastCommit

Signal = Literal["traces", "logs"]
_GROUP_BYTES = 4 * 1024 * 1024
_GROUP_REQUESTS = 64
_POSTGRESQL_THREADS = 2
_logger = logging.getLogger(__name__)


class WriterClosedError(Exception):
    """The ledger is shutting down and takes nothing more."""


@dataclass(frozen=True)
class Outcome:
    """What became of one request: `rejected` counts bad records by reason."""

    accepted: int
    rejected: Counter[str]


@dataclass(eq=False)
class _Request:
    signal: Signal
    body: bytes
    is_json: bool
    future: Future[Outcome]
    project: str | None = None
    records: Sequence[SpanRecord | EventRecord] = ()
    refused: Sequence[Refused] = ()
    rejected: Counter[str] = field(default_factory=Counter)


_Owned = tuple[SpanRecord | EventRecord, _Request]
_REFUSED_AT_STORING = ("unstorable", "trace_too_large")


class Writer:
    """Writes request bodies; `submit` gives a future that is done after the commit."""

    def __init__(
        self,
        database: Database,
        metrics: LedgerMetrics,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.last_commit = LastCommit()
        self._database = database
        self._metrics = metrics
        self._now = now
        self._partitions = Partitions(database)
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        count = 1 if database.is_sqlite else _POSTGRESQL_THREADS
        self._threads = [
            threading.Thread(target=self._run, name=f"ledger-writer-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, signal: Signal, body: bytes, *, is_json: bool, project: str | None = None
    ) -> Future[Outcome]:
        """Queue a body; with a project it becomes that one's, and what names another is refused.

        The future fails with MalformedBodyError or DatabaseUnavailableError.

        Raises:
            WriterClosedError: `close` was called.
        """
        request = _Request(signal, body, is_json, Future(), project)
        with self._closing:
            if self._closed:
                raise WriterClosedError("the ledger is shutting down")
            self._queue.put(request)
        return request.future

    def close(self) -> None:
        """Write what is queued, then end the threads."""
        with self._closing:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._queue.put(None)
        for thread in self._threads:
            thread.join()

    @property
    def alive(self) -> bool:
        """Whether the threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        ended = False
        while not ended:
            group, ended = self._gather()
            if group:
                self._handle(group)

    def _gather(self) -> tuple[list[_Request], bool]:
        """Wait for a request, then take what else is there; True when `close` was called."""
        request = self._queue.get()
        group: list[_Request] = []
        size = 0
        while request is not None:
            group.append(request)
            size += len(request.body)
            if size >= _GROUP_BYTES or len(group) >= _GROUP_REQUESTS:
                return group, False
            try:
                request = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _handle(self, group: list[_Request]) -> None:
        try:
            requests = [request for request in group if self._decode(request)]
            self._store(requests)
            self._report(requests)
        except DatabaseUnavailableError as error:
            self._fail(group, error)
        except Exception as error:
            # Whatever it is, it isn't the sender's fault: with "unavailable" the sender keeps the
            # records and tries again, with any other answer they would be lost.
            _logger.exception("writing %d requests failed", len(group))
            self._fail(group, DatabaseUnavailableError(f"writing failed: {type(error).__name__}"))

    def _decode(self, request: _Request) -> bool:
        if not request.future.set_running_or_notify_cancel():
            return False
        decoded: Decoded[SpanRecord] | Decoded[EventRecord]
        records: Sequence[SpanRecord | EventRecord]
        try:
            if request.signal == "traces":
                decoded = spans = decode_traces(request.body, is_json=request.is_json)
                records = spans.records
            else:
                decoded = events = decode_logs(request.body, is_json=request.is_json)
                records = as_spans(events.records)
        except MalformedBodyError as error:
            request.future.set_exception(error)
            return False
        request.records, request.refused = records, decoded.refused
        request.rejected = Counter(one.reason for one in decoded.refused)
        if request.project is not None:
            request.records = of_project(records, request.project)
            if refused := len(records) - len(request.records):
                request.rejected["other_project"] += refused
        return True

    def _store(self, requests: Sequence[_Request]) -> None:
        self._partitions.ensure(self._now())
        if any(request.refused for request in requests):
            with self._database.writing() as connection:
                for request in requests:
                    keep_refused(connection, request.signal, request.refused, self._now())
        owned = [(record, request) for request in requests for record in request.records]
        if owned:
            self._store_records(owned)

    def _store_records(self, owned: Sequence[_Owned]) -> None:
        """Store in one transaction; if a record is impossible, halve until it stands alone."""
        owners = {id(record): request for record, request in owned}
        try:
            with self._database.writing() as connection:
                left_out = self._record(connection, [record for record, _ in owned])
        except Exception as error:
            if not _is_about_a_record(error):
                raise
            if len(owned) > 1:
                middle = len(owned) // 2
                self._store_records(owned[:middle])
                self._store_records(owned[middle:])
                return
            # The kind of error only: its text may hold content of the record.
            _logger.error("a record became a dead letter: %s", type(error).__name__)
            with self._database.writing() as connection:
                keep_unstorable(connection, owned[0][0], type(error).__name__, self._now())
            owned[0][1].rejected["unstorable"] += 1
        else:
            self.last_commit.record(time.monotonic())
            for span in left_out:
                owners[id(span)].rejected["trace_too_large"] += 1

    def _record(
        self, connection: Connection, records: Sequence[SpanRecord | EventRecord]
    ) -> list[SpanRecord]:
        spans = [record for record in records if isinstance(record, SpanRecord)]
        events = [record for record in records if isinstance(record, EventRecord)]
        left_out = record_spans(connection, spans, self._now())
        record_events(connection, events, self._now())
        return left_out

    def _report(self, requests: Sequence[_Request]) -> None:
        newest = 0
        for request in requests:
            refused = sum(request.rejected[reason] for reason in _REFUSED_AT_STORING)
            accepted = len(request.records) - refused
            self._metrics.ingested.labels(request.signal).inc(accepted)
            for reason, count in request.rejected.items():
                self._metrics.rejected.labels(request.signal, reason).inc(count)
            newest = max(newest, *(_time_of(record) for record in request.records), 0)
            request.future.set_result(Outcome(accepted, request.rejected))
        if newest:
            self._metrics.lag.set(max(0.0, self._now().timestamp() - newest / 1e9))

    @staticmethod
    def _fail(group: Sequence[_Request], error: Exception) -> None:
        for request in group:
            if not request.future.done():
                request.future.set_exception(error)


def _is_about_a_record(error: Exception) -> bool:
    """Whether fewer records can help: the database refused a value, or mapping failed on one."""
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError)
    return not isinstance(error, DatabaseUnavailableError | MemoryError)


def _time_of(record: SpanRecord | EventRecord) -> int:
    if isinstance(record, SpanRecord):
        return record.end_unix_nanoseconds
    return record.unix_nanoseconds
