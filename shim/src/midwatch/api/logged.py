"""What S4's two kinds of log entries have in common."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from opentelemetry.trace import Status, StatusCode

from midwatch.api import arguments
from midwatch.api.ambient import Ambient
from midwatch.api.spans import SpanScope, set_known
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.turns import outcome_of
from midwatch.pipeline.clock import time_ns, token_hex
from midwatch.registry.records import record_id
from midwatch.registry.span_attributes import (
    COMPLETION_ID,
    EXECUTION_METADATA,
    EXECUTION_STATUS,
    REPORT_ID,
    RUN_OUTCOME,
)

STARTED, COMPLETED, FAILED, CANCELLED = EXECUTION_STATUS.values


class Logged(SpanScope):
    """A log entry: a with-block, a decorator, or what is between a start and an end.

    `status` is started, completed, failed or cancelled. Times are in UTC. It can be awaited, and is
    itself what one gets: nothing here waits for anything.
    """

    def __init__(self) -> None:
        self.id = uuid.UUID(int=0)
        self.status = STARTED
        self.start_time: datetime | None = None
        self.end_time: datetime | None = None
        self.error_message: str | None = None
        self.metadata: Mapping[str, Any] | None = None
        self.report_id: object = None
        self.completion_id: object = None
        self._ambient: Ambient | None = None

    def __await__(self) -> Generator[Any, None, Self]:
        """Itself, at once."""
        return self._itself().__await__()

    async def _itself(self) -> Self:
        return self

    @property
    def duration_ms(self) -> int | None:
        """How long it took, once it has ended."""
        if self.start_time is None or self.end_time is None:
            return None
        return round((self.end_time - self.start_time).total_seconds() * 1000)

    def start(self) -> None:
        """Begin and stay in force in this context until `finish`; never raises."""
        if not get_recorder().enabled:
            return
        self.begin()
        self._ambient = Ambient()
        try:
            self._ambient.start(self._context())
        except Exception as error:
            self._note(error)

    def finish(self, status: object, error_message: object) -> None:
        """End what `start` has begun, once; never raises."""
        if self.end_time is not None:
            return
        self.status = arguments.name(status, COMPLETED)
        self.error_message = arguments.optional_text(error_message)
        if self._ambient is not None:
            self.end(None)
            self._ambient.end()

    def _start(self) -> None:
        self.status, self.end_time = STARTED, None
        self.start_time = utc_now()
        self._open()
        context = self.span.get_span_context()
        self.id = (
            record_id(f"{context.trace_id:032x}", f"{context.span_id:016x}")
            if context.is_valid
            else uuid.UUID(hex=token_hex(16))
        )

    def _open(self) -> None:
        """Start the span."""

    def _close(self, error: BaseException | None) -> None:
        """Record the fact, with status and error decided and the span still open."""

    def _record(self, error: BaseException | None) -> None:
        self.end_time = utc_now()
        if error is not None:
            self._failed(error)
        elif self.status == STARTED:
            self.status = COMPLETED
        if self.status == FAILED and error is None:
            self.span.set_status(Status(StatusCode.ERROR, arguments.text(self.error_message)))
        known = self.status if self.status in EXECUTION_STATUS.values else COMPLETED
        metadata = arguments.mapping(self.metadata)
        set_known(
            self.span,
            {
                EXECUTION_STATUS.name: known,
                RUN_OUTCOME.name: CANCELLED if known == CANCELLED else None,
                EXECUTION_METADATA.name: arguments.as_json(metadata) if metadata else None,
                REPORT_ID.name: arguments.name(self.report_id),
                COMPLETION_ID.name: arguments.name(self.completion_id),
            },
        )
        self._close(error)

    def _failed(self, error: BaseException) -> None:
        how = outcome_of(error)
        if how == "error":
            self.status = FAILED
            self.error_message = arguments.text(error)
        else:
            self.status = COMPLETED if how == "ok" else CANCELLED

    def merge(self, metadata: object) -> None:
        """Add to the metadata."""
        if metadata is not None:
            self.metadata = {**arguments.mapping(self.metadata), **arguments.mapping(metadata)}


def runs(log: object, kind: type[Logged]) -> bool:
    """Whether it is a log entry of that kind that has not ended."""
    return isinstance(log, kind) and log.end_time is None


def utc_now() -> datetime:
    """The present moment."""
    return datetime.fromtimestamp(time_ns() / 1e9, UTC)
