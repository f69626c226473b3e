"""The instruments' values as Prometheus text, for `/metrics`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics._internal.exemplar import AlwaysOffExemplarFilter
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    MetricsData,
    NumberDataPoint,
)
from opentelemetry.sdk.metrics.export import Metric as MetricData
from opentelemetry.sdk.resources import Resource

from midwatch.registry import METRICS, Instrument, Metric

_TYPES = {
    Instrument.COUNTER: "counter",
    Instrument.UP_DOWN_COUNTER: "gauge",
    Instrument.GAUGE: "gauge",
    Instrument.HISTOGRAM: "histogram",
}
_BY_OTEL_NAME = {metric.name: metric for metric in METRICS}
OWN_PREFIXES = ("agent_", "midwatch_")
"""The canonical names that `/metrics` shows beside the application's own."""


class RenderReader(InMemoryMetricReader):
    """Reads the values when asked for them; pushes nothing."""


def local_meter_provider(reader: RenderReader) -> MeterProvider:
    """A meter provider that only this reader reads, without threads and without exemplars."""
    return MeterProvider(
        metric_readers=[reader],
        resource=Resource.get_empty(),
        exemplar_filter=AlwaysOffExemplarFilter(),
        shutdown_on_exit=False,
    )


@dataclass(frozen=True)
class Family:
    """One metric family as text: its name and its lines."""

    name: str
    text: str


def render_families(
    data: MetricsData | None, namespace: str, prefixes: Sequence[str] = OWN_PREFIXES
) -> list[Family]:
    """The registry's metrics in the data whose canonical names begin so, each as Prometheus text.

    Names get the namespace as prefix. Metrics that the registry does not have are left out.
    """
    families: list[Family] = []
    for found in _metrics_of(data):
        metric = _BY_OTEL_NAME.get(found.name)
        if metric is None or not metric.prometheus_name.startswith(tuple(prefixes)):
            continue
        name = f"{namespace}_{metric.prometheus_name}" if namespace else metric.prometheus_name
        lines = [f"# HELP {name} {_escape_help(metric.description)}"]
        lines.append(f"# TYPE {name} {_TYPES[metric.instrument]}")
        for point in found.data.data_points:
            if isinstance(point, HistogramDataPoint):
                lines.extend(_histogram(name, metric, point))
            elif isinstance(point, NumberDataPoint):
                labels = _labels(metric, point.attributes or {})
                lines.append(f"{name}{_braces(labels)} {_number(point.value)}")
        families.append(Family(name, "\n".join(lines) + "\n"))
    return sorted(families, key=lambda family: family.name)


def join_families(families: Iterable[Family], body: str = "") -> str:
    """The families after a body of Prometheus text, without those that the body has."""
    present = {line.split(" ", 3)[2] for line in body.splitlines() if _declares(line)}
    text = "".join(family.text for family in families if family.name not in present)
    separator = "" if not body or body.endswith("\n") else "\n"
    return f"{body}{separator}{text}"


def _declares(line: str) -> bool:
    return line.startswith(("# TYPE ", "# HELP ")) and line.count(" ") >= 2


def _metrics_of(data: MetricsData | None) -> Iterable[MetricData]:
    if data is None:
        return
    for resource_metrics in data.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            yield from scope_metrics.metrics


def _labels(metric: Metric, attributes: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name, str(attributes[name])) for name in metric.attribute_names if name in attributes]


def _histogram(name: str, metric: Metric, point: HistogramDataPoint) -> list[str]:
    labels = _labels(metric, point.attributes or {})
    lines: list[str] = []
    total = 0
    bounds = [_number(float(bound)) for bound in point.explicit_bounds]
    for bound, count in zip([*bounds, "+Inf"], point.bucket_counts, strict=True):
        total += count
        lines.append(f"{name}_bucket{_braces([*labels, ('le', bound)])} {total}")
    lines.append(f"{name}_sum{_braces(labels)} {_number(point.sum)}")
    lines.append(f"{name}_count{_braces(labels)} {point.count}")
    return lines


def _braces(labels: Sequence[tuple[str, str]]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    return repr(value)
