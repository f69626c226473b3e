"""Whether export works: one line when it stops working and one when it works again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
)

_logger = logging.getLogger("midwatch")
_Item = TypeVar("_Item")

_REMEMBERED_REFUSALS = 20

_EXPORTER_LOGGERS = (
    "opentelemetry.exporter.otlp.common",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.exporter.otlp.proto.grpc",
)


class ExportHealth:
    """Notices changes between working and failing.

    Args:
        signal: what is exported.
        receiver: who gets it, for people to read.
        meanwhile: what happens to it as long as that fails.
    """

    def __init__(self, signal: str, receiver: str = "", meanwhile: str = "is lost") -> None:
        self._signal = signal
        self._receiver = receiver
        self._meanwhile = meanwhile
        self.start_anew()

    def start_anew(self) -> None:
        """Know nothing, as after a fork: the lock may have been held then."""
        self._lock = threading.RLock()
        self._works = True
        self._for_ever = False
        self._refusals: set[str] = set()

    @property
    def works(self) -> bool:
        """Whether the last export worked; true before the first."""
        return self._works

    def note(self, works: bool, reason: str = "", *, for_ever: bool = False) -> None:
        """Take in the result of an export; one that fails `for_ever` does until it is corrected."""
        with self._lock:
            changed, self._works = works is not self._works, works
            changed = changed or (for_ever and not self._for_ever)
            self._for_ever = for_ever and not works
        if not changed:
            return
        to = f" to {self._receiver}" if self._receiver else ""
        if for_ever:
            _logger.error(
                "midwatch: %s takes no %s as it is set up now (%s); the application is not "
                "affected, what cannot be sent %s. Correct the address or the key, and start "
                "again: `midwatch doctor` tries them (said once)",
                self._receiver or "the receiver",
                self._signal,
                reason,
                self._meanwhile,
            )
        elif works:
            _logger.warning("midwatch: export of %s%s works again", self._signal, to)
        else:
            _logger.warning(
                "midwatch: export of %s%s fails%s; the application is not affected, what cannot be "
                "sent %s. Is the receiver up? (said once until it works again)",
                self._signal,
                to,
                f" ({reason})" if reason else "",
                self._meanwhile,
            )

    def refused(self, count: int, reason: str) -> None:
        """Take in that a receiver refused items for good; each reason is told once."""
        with self._lock:
            told = reason in self._refusals
            if not told and len(self._refusals) < _REMEMBERED_REFUSALS:
                self._refusals.add(reason)
        if not told:
            _logger.warning(
                "midwatch: %s refuses %s for good (%d now: %s); they are dropped and counted (said "
                "once for each reason)",
                self._receiver or "the receiver",
                self._signal,
                count,
                reason or "no reason given",
            )

    def watch(self, export: Callable[[Sequence[_Item]], bool]) -> Callable[[Sequence[_Item]], bool]:
        """The export with its results taken in."""

        def watched(batch: Sequence[_Item]) -> bool:
            works = False
            try:
                works = export(batch)
            finally:
                self.note(works)
            return works

        return watched


class WatchedMetricExporter(MetricExporter):
    """Another metric exporter with its results taken in."""

    def __init__(self, exporter: MetricExporter, health: ExportHealth) -> None:
        super().__init__(
            preferred_temporality=exporter._preferred_temporality,
            preferred_aggregation=exporter._preferred_aggregation,
        )
        self._exporter = exporter
        self._health = health

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> MetricExportResult:
        """The other exporter's result."""
        result = self._exporter.export(metrics_data, timeout_millis, **kwargs)
        self._health.note(result is MetricExportResult.SUCCESS)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """The other exporter's result."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Shut the other exporter down."""
        self._exporter.shutdown(timeout_millis)


def quieten_exporters() -> None:
    """Keep the exporters from logging each failed attempt; `ExportHealth` says it once."""
    for name in _EXPORTER_LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)
