"""Queries of panels for the SDK: PromQL, TraceQL, and the ledger's SQL."""

from __future__ import annotations

import warnings
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import prometheus
    from grafana_foundation_sdk.cog import builder as cog_builder
    from grafana_foundation_sdk.cog import variants
    from grafana_foundation_sdk.models import common as common_models
    from grafana_foundation_sdk.models import prometheus as prometheus_models

from builders.spec import Panel, Query, Source

SOURCES: dict[Source, tuple[str, str]] = {
    "prometheus": ("datasource", "prometheus"),
    "tempo": ("tempo", "tempo"),
    "ledger": ("ledger", "grafana-postgresql-datasource"),
}
"""The variable that chooses each source on a board, and Grafana's type of it."""

AnyQuery = cog_builder.Builder[variants.Dataquery]


def source_reference(source: Source) -> common_models.DataSourceRef:
    """What Grafana calls the source that the board's variable has chosen."""
    name, kind = SOURCES[source]
    return common_models.DataSourceRef(type_val=kind, uid=f"${{{name}}}")


def make_query(query: Query, ref_id: str, panel: Panel) -> AnyQuery:
    """A panel's query as the SDK wants it."""
    if panel.source == "tempo":
        return _traceql(query, ref_id)
    if panel.source == "ledger":
        return _sql(query, ref_id)
    return _promql(query, ref_id, panel)


def _promql(query: Query, ref_id: str, panel: Panel) -> prometheus.Dataquery:
    target = (
        prometheus.Dataquery()
        .datasource(source_reference("prometheus"))
        .expr(query.expr)
        .legend_format(query.legend)
        .exemplar(query.exemplar)
        .ref_id(ref_id)
    )
    if panel.kind == "table":
        return target.instant().format(prometheus_models.PromQueryFormat.TABLE)
    return target.instant() if panel.kind == "stat" else target.range()


def _traceql(query: Query, ref_id: str) -> AnyQuery:
    return _Plain(
        datasource=source_reference("tempo"),
        limit=20,
        query=query.expr,
        queryType="traceql",
        refId=ref_id,
        tableType="traces",
    )


def _sql(query: Query, ref_id: str) -> AnyQuery:
    return _Plain(
        datasource=source_reference("ledger"),
        editorMode="code",
        format="table",
        rawQuery=True,
        rawSql=query.expr,
        refId=ref_id,
    )


class _Fields(variants.Dataquery):
    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def to_json(self) -> dict[str, Any]:
        return self._fields


class _Plain(cog_builder.Builder[variants.Dataquery]):
    """A query of a source for which the SDK's classic builders have no class."""

    def __init__(self, **fields: Any) -> None:
        self._fields = fields

    def build(self) -> variants.Dataquery:
        return _Fields(self._fields)
