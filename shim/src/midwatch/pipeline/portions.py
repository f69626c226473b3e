"""Payloads that are no larger than what receivers take.

Receivers of gRPC take four mebibytes, unless they are told otherwise, and refuse all of more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from math import ceil
from typing import TypeVar

from opentelemetry.sdk.metrics.export import DataPointT, Metric, MetricsData

from midwatch.pipeline.payloads import Encoder, Payload

MOST_BYTES = 3 << 20
"""What a payload of several items may hold, not compressed."""

Item = TypeVar("Item")

_Point = tuple[int, int, int, DataPointT]
"""A data point with the places of its resource, its scope and its metric."""


def portions(encode: Encoder[Item], batch: Sequence[Item]) -> Iterator[tuple[int, Payload]]:
    """The batch in as many payloads as its size asks for, each with how many items it is of."""
    payload = encode(batch)
    parts = _parts(payload, len(batch))
    if parts == 1:
        yield len(batch), payload
    else:
        for part in _split(batch, parts):
            yield from portions(encode, part)


def metric_portions(encode: Encoder[MetricsData], data: MetricsData) -> Iterator[Payload]:
    """The same for a collection of metrics, which may be parted between any two data points."""
    payload = encode([data])
    points = _points(data) if len(payload.body) > MOST_BYTES else []
    parts = _parts(payload, len(points))
    if parts == 1:
        yield payload
    else:
        for part in _split(points, parts):
            yield from metric_portions(encode, _only(data, part))


def _parts(payload: Payload, items: int) -> int:
    return max(min(ceil(len(payload.body) / MOST_BYTES), items), 1)


def _split(items: Sequence[Item], parts: int) -> Iterator[Sequence[Item]]:
    size = ceil(len(items) / parts)
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _points(data: MetricsData) -> list[_Point]:
    return [
        (one, two, three, point)
        for one, resource in enumerate(data.resource_metrics)
        for two, scope in enumerate(resource.scope_metrics)
        for three, metric in enumerate(scope.metrics)
        for point in metric.data.data_points
    ]


def _only(data: MetricsData, points: Sequence[_Point]) -> MetricsData:
    """The collection with these of its points."""
    resources = []
    for one, of_resource in groupby(points, lambda point: point[0]):
        resource = data.resource_metrics[one]
        scopes = []
        for two, of_scope in groupby(of_resource, lambda point: point[1]):
            scope = resource.scope_metrics[two]
            metrics = [
                _with_points(scope.metrics[three], [point[3] for point in of_metric])
                for three, of_metric in groupby(of_scope, lambda point: point[2])
            ]
            scopes.append(replace(scope, metrics=metrics))
        resources.append(replace(resource, scope_metrics=scopes))
    return replace(data, resource_metrics=resources)


def _with_points(metric: Metric, points: Sequence[DataPointT]) -> Metric:
    return replace(metric, data=replace(metric.data, data_points=points))  # type: ignore[arg-type]
