"""The one place where a signal's name is written; everything else is generated from it or checked.

`METRICS`, `EVENTS` and `SPAN_ATTRIBUTES` are complete: they hold what the shim emits and what the
ledger emits and reads.
Standard library only, so that rules, dashboards and checks can import it anywhere.
"""

from __future__ import annotations

from midwatch.registry.attributes import RESOURCE_ATTRIBUTES
from midwatch.registry.events import EVENTS, EVENTS_BY_NAME
from midwatch.registry.metrics import AGENT_METRICS
from midwatch.registry.model import (
    OVERFLOW_VALUE,
    Attribute,
    Event,
    Instrument,
    Metric,
    Stability,
    prometheus_name,
)
from midwatch.registry.own_metrics import OWN_METRICS
from midwatch.registry.span_attributes import SPAN_ATTRIBUTES

METRICS: tuple[Metric, ...] = (*AGENT_METRICS, *OWN_METRICS)
"""Every metric."""

METRICS_BY_PROMETHEUS_NAME: dict[str, Metric] = {
    metric.prometheus_name: metric for metric in METRICS
}
"""Every metric by the family name that Prometheus stores."""

RESOURCE_LABELS: tuple[str, ...] = tuple(
    attribute.name.replace(".", "_") for attribute in RESOURCE_ATTRIBUTES
)
"""The labels that every series has from its resource."""

__all__ = [
    "EVENTS",
    "EVENTS_BY_NAME",
    "METRICS",
    "METRICS_BY_PROMETHEUS_NAME",
    "OVERFLOW_VALUE",
    "RESOURCE_ATTRIBUTES",
    "RESOURCE_LABELS",
    "SPAN_ATTRIBUTES",
    "Attribute",
    "Event",
    "Instrument",
    "Metric",
    "Stability",
    "prometheus_name",
]
