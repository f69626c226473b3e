"""What the database holds, as metrics: budgets, and the alerts that wait for somebody."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from midwatch.registry import Metric
from midwatch.registry import own_metrics as registry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from midwatch_ledger.services import acknowledgements, budgets
from midwatch_ledger.store import rollups
from midwatch_ledger.store.database import Database, DatabaseUnavailableError

_KEPT_SECONDS = 5.0
_logger = logging.getLogger(__name__)

Values = dict[tuple[str, ...], float]


class DatabaseCollector(Collector):
    """Reads gauges from the database, at most every five seconds however many scrape.

    While the database can't be read there are none, which says more than old ones would.
    """

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._now = now
        self._lock = threading.Lock()
        self._families: list[GaugeMetricFamily] = []
        self._read_at: float | None = None

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: to know the gauges, the registry needn't read the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the gauges."""
        with self._lock:
            if self._read_at is None or time.monotonic() - self._read_at > _KEPT_SECONDS:
                self._families = self._read()
                self._read_at = time.monotonic()
            yield from self._families

    def _read(self) -> list[GaugeMetricFamily]:
        try:
            with self._database.reading() as connection:
                return list(_families(connection, self._now()))
        except DatabaseUnavailableError as error:
            _logger.warning("gauges of the database are left out: %s", error)
            return []


def _families(connection: Connection, now: datetime) -> Iterator[GaugeMetricFamily]:
    lines = budgets.standing(connection, now)
    for metric, name in (
        (registry.AGENT_BUDGET_USD, "amount_usd"),
        (registry.AGENT_BUDGET_SPENT_USD, "spent_usd"),
    ):
        yield _family(
            metric,
            {(line["scope"], line["scope_value"], line["period"]): line[name] for line in lines},
        )
    yield _family(registry.LEDGER_STALE_MINUTES, {(): rollups.stale_count(connection)})
    yield _family(
        registry.LEDGER_ALERT_UNACKNOWLEDGED_SINCE,
        _waiting_since(acknowledgements.unacknowledged(connection, now)),
    )


def _waiting_since(alerts: Iterable[dict[str, Any]]) -> Values:
    """Return when the longest waiting alert of each label set began, in Unix seconds."""
    found: Values = {}
    for alert in alerts:
        labels = alert["labels"]
        key = (
            alert["alert_name"],
            *(labels.get(name, "") for name in ("severity", "team", "service_name", "agent")),
        )
        began = alert["starts_at"].timestamp()
        found[key] = min(began, found.get(key, began))
    return found


def _family(metric: Metric, values: dict[tuple[str, ...], Any]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        metric.prometheus_name, metric.description, labels=metric.attribute_names
    )
    for labels, value in sorted(values.items()):
        family.add_metric(labels, float(value))
    return family
