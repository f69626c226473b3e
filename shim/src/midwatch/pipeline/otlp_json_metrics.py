"""Metrics as OTLP/JSON, without protobuf."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ScopeMetrics,
    Sum,
)

from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.otlp_json import JSON
from midwatch.pipeline.otlp_values import (
    attributes_json,
    double_json,
    quote,
    resource_json,
    schema_json,
    scope_json,
    to_bytes,
)
from midwatch.pipeline.payloads import Payload
from midwatch.pipeline.politeness import unhurried


def encode_metrics(batch: Sequence[MetricsData]) -> Payload:
    """Metrics as an `ExportMetricsServiceRequest`; one that cannot be encoded is counted."""
    count = 0
    resources: list[str] = []
    for data in batch:
        for resource_metrics in data.resource_metrics:
            scopes: list[str] = []
            for scope_metrics in resource_metrics.scope_metrics:
                text, points = _scope_metrics_json(scope_metrics)
                scopes.append(text)
                count += points
            resources.append(
                f'{{"resource":{resource_json(resource_metrics.resource)},'
                f'"scopeMetrics":[{",".join(scopes)}]'
                f"{schema_json(resource_metrics.resource.schema_url)}}}"
            )
    return Payload(
        "metrics", JSON, to_bytes(f'{{"resourceMetrics":[{",".join(resources)}]}}'), count
    )


def _scope_metrics_json(scope_metrics: ScopeMetrics) -> tuple[str, int]:
    metrics: list[str] = []
    count = 0
    for metric in unhurried(scope_metrics.metrics):
        try:
            metrics.append(_metric_json(metric))
            count += len(metric.data.data_points)
        except Exception as error:
            FAILURES.note("encode.metric", error)
    scope = scope_metrics.scope
    text = (
        f'{{"scope":{scope_json(scope)},"metrics":[{",".join(metrics)}]'
        f"{schema_json(scope.schema_url)}}}"
    )
    return text, count


def _metric_json(metric: Metric) -> str:
    return (
        f'{{"name":{quote(metric.name)},"description":{quote(metric.description or "")},'
        f'"unit":{quote(metric.unit or "")},{_data_json(metric)}}}'
    )


def _data_json(metric: Metric) -> str:
    data = metric.data
    if isinstance(data, Sum):
        monotonic = "true" if data.is_monotonic else "false"
        return (
            f'"sum":{{"aggregationTemporality":{data.aggregation_temporality.value},'
            f'"isMonotonic":{monotonic},'
            f'"dataPoints":[{_joined(map(_sum_point, unhurried(data.data_points)))}]}}'
        )
    if isinstance(data, Gauge):
        return (
            f'"gauge":{{"dataPoints":[{_joined(map(_gauge_point, unhurried(data.data_points)))}]}}'
        )
    if isinstance(data, Histogram):
        return (
            f'"histogram":{{"aggregationTemporality":{data.aggregation_temporality.value},'
            f'"dataPoints":[{_joined(map(_histogram_point, unhurried(data.data_points)))}]}}'
        )
    if isinstance(data, ExponentialHistogram):
        return (
            f'"exponentialHistogram":{{"aggregationTemporality":{data.aggregation_temporality.value},'
            f'"dataPoints":[{_joined(map(_exponential_point, unhurried(data.data_points)))}]}}'
        )
    raise TypeError(f"OTLP has no metric data of type {type(data).__qualname__}")


def _sum_point(point: NumberDataPoint) -> str:
    start = f',"startTimeUnixNano":"{point.start_time_unix_nano or 0}"'
    return f"{{{_number(point.value)},{_common(point)}{start}}}"


def _gauge_point(point: NumberDataPoint) -> str:
    return f"{{{_number(point.value)},{_common(point)}}}"


def _histogram_point(point: HistogramDataPoint) -> str:
    bounds = ",".join(map(double_json, point.explicit_bounds))
    return (
        f'{{{_common(point)},"startTimeUnixNano":"{point.start_time_unix_nano or 0}",'
        f'"count":"{point.count}"{_statistics(point)},'
        f'"bucketCounts":{_counts(point.bucket_counts)},"explicitBounds":[{bounds}]}}'
    )


def _exponential_point(point: ExponentialHistogramDataPoint) -> str:
    flags = f',"flags":{point.flags}' if point.flags else ""
    return (
        f'{{{_common(point)},"startTimeUnixNano":"{point.start_time_unix_nano or 0}",'
        f'"count":"{point.count}"{_statistics(point)},"scale":{point.scale},'
        f'"zeroCount":"{point.zero_count}"{_buckets("positive", point.positive)}'
        f"{_buckets('negative', point.negative)}{flags}}}"
    )


def _common(point: NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint) -> str:
    text = (
        f'"attributes":{attributes_json(point.attributes)},'
        f'"timeUnixNano":"{point.time_unix_nano or 0}"'
    )
    if point.exemplars:
        text += f',"exemplars":[{_joined(map(_exemplar_json, point.exemplars))}]'
    return text


def _exemplar_json(exemplar: Exemplar) -> str:
    ids = ""
    if exemplar.trace_id is not None and exemplar.span_id is not None:
        ids = f',"traceId":"{exemplar.trace_id:032x}","spanId":"{exemplar.span_id:016x}"'
    return (
        f'{{{_number(exemplar.value)},"timeUnixNano":"{exemplar.time_unix_nano}",'
        f'"filteredAttributes":{attributes_json(exemplar.filtered_attributes)}{ids}}}'
    )


def _number(value: int | float) -> str:
    if isinstance(value, int):
        return f'"asInt":"{int(value)}"'
    return f'"asDouble":{double_json(value)}'


def _statistics(point: HistogramDataPoint | ExponentialHistogramDataPoint) -> str:
    # Each may be missing: a histogram can be told to record neither minimum nor maximum.
    given: dict[str, float | None] = {"sum": point.sum, "min": point.min, "max": point.max}
    return "".join(f',"{name}":{double_json(v)}' for name, v in given.items() if v is not None)


def _counts(counts: Iterable[int]) -> str:
    return "[" + ",".join([f'"{count}"' for count in counts]) + "]"


def _buckets(name: str, buckets: Buckets) -> str:
    if not buckets.bucket_counts:
        return ""
    counts = _counts(buckets.bucket_counts)
    return f',"{name}":{{"offset":{buckets.offset},"bucketCounts":{counts}}}'


def _joined(parts: Iterable[str]) -> str:
    return ",".join(parts)
