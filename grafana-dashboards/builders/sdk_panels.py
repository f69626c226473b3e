"""Panels for the SDK: graphs, numbers, tables and traces, with thresholds and links."""

from __future__ import annotations

import warnings
from collections.abc import Callable

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import common as common_builders
    from grafana_foundation_sdk.builders import dashboard, stat, table, timeseries
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models import common as common_models
    from grafana_foundation_sdk.models import dashboard as dashboard_models

from builders.sdk_queries import make_query, source_reference
from builders.spec import Panel
from builders.thresholds import openers

_GOOD, _BAD = "green", "red"

AnyPanel = timeseries.Panel | stat.Panel | table.Panel | dashboard.Panel


def make_panel(board: str, panel: Panel) -> AnyPanel:
    """A panel of a board as the SDK wants it."""
    if panel.kind == "traces":
        return _with_targets(_common(dashboard.Panel().type("traces"), board, panel), panel)
    makers: dict[str, Callable[[Panel, list[float]], AnyPanel]] = {
        "timeseries": _timeseries,
        "stat": _stat,
        "table": _table,
    }
    limits = _limits(board, panel)
    made = makers[panel.kind](panel, limits)
    made = _common(made, board, panel)
    made = (
        made.unit(panel.unit).no_value(panel.no_value).thresholds(_thresholds(limits, panel.worse))
    )
    made = _with_targets(made, panel)
    if panel.links and not panel.link_column:
        made = made.data_links([_link(title, url) for title, url in panel.links])
    return made


def _common(made: AnyPanel, board: str, panel: Panel) -> AnyPanel:
    made = (
        made.id(panel.id)
        .title(panel.title)
        .description(panel.description)
        .datasource(source_reference(panel.source))
        .span(panel.width)
        .height(panel.height)
    )
    runbooks: list[Builder[dashboard_models.DashboardLink]] = [
        _link(f"Runbook {one.name}", one.runbook_url) for one in openers(board, panel.id)
    ]
    return made.links(runbooks) if runbooks else made


def _with_targets(made: AnyPanel, panel: Panel) -> AnyPanel:
    for index, query in enumerate(panel.queries):
        made = made.with_target(make_query(query, chr(ord("A") + index), panel))
    return made


def _timeseries(panel: Panel, limits: list[float]) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .fill_opacity(8)
        .line_width(2)
        .legend(
            common_builders.VizLegendOptions()
            .show_legend(True)
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
        )
        .tooltip(
            common_builders.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
    )
    if panel.minimum is not None:
        made = made.min(panel.minimum)
    if limits:
        made = made.thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(
                common_models.GraphThresholdsStyleMode.DASHED
            )
        )
    return made


def _stat(_: Panel, __: list[float]) -> stat.Panel:
    return stat.Panel().reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))


def _table(panel: Panel, _: list[float]) -> table.Panel:
    made = table.Panel()
    if panel.source == "prometheus":
        made = _merged(made, panel)
    for column, unit in panel.column_units:
        made = made.override_by_name(
            column, [dashboard_models.DynamicConfigValue(id_val="unit", value=unit)]
        )
    if panel.link_column:
        links = [{"title": title, "url": url, "targetBlank": False} for title, url in panel.links]
        made = made.override_by_name(
            panel.link_column, [dashboard_models.DynamicConfigValue(id_val="links", value=links)]
        )
    return made


def _merged(made: table.Panel, panel: Panel) -> table.Panel:
    """One line per set of labels: Prometheus answers each query with a table of its own."""
    hidden = {name: True for name in ("Time", *panel.hidden_columns)}
    transformations: tuple[tuple[str, dict[str, object]], ...] = (
        ("merge", {}),
        ("organize", {"excludeByName": hidden, "renameByName": dict(panel.renamed_columns)}),
    )
    for name, options in transformations:
        made = made.with_transformation(
            dashboard_models.DataTransformerConfig(id_val=name, options=options)
        )
    return made


def _limits(board: str, panel: Panel) -> list[float]:
    """The thresholds of the alerts that open the panel, else the panel's own."""
    found = sorted({one.threshold for one in openers(board, panel.id)})
    if not found and panel.threshold is not None:
        found = [panel.threshold]
    return found


def _thresholds(limits: list[float], worse: str) -> dashboard.ThresholdsConfig:
    good, bad = (_GOOD, _BAD) if worse == "above" else (_BAD, _GOOD)
    steps = [dashboard_models.Threshold(value=None, color=good)]
    steps += [dashboard_models.Threshold(value=limit, color=bad) for limit in limits]
    return dashboard.ThresholdsConfig().mode(dashboard_models.ThresholdsMode.ABSOLUTE).steps(steps)


def _link(title: str, url: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).url(url)
