"""What a reader of metrics collected, with other metrics in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric, MetricsData


def with_metrics(
    data: MetricsData, changed: Callable[[Sequence[Metric]], Sequence[Metric]]
) -> MetricsData:
    """The same data with the metrics that each scope's become; what was given stays as it is."""
    return replace(
        data,
        resource_metrics=[
            replace(
                resource,
                scope_metrics=[
                    replace(scope, metrics=changed(scope.metrics))
                    for scope in resource.scope_metrics
                ],
            )
            for resource in data.resource_metrics
        ],
    )
