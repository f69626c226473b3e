"""The only module that knows grafana-foundation-sdk: boards become Grafana's classic JSON here.

Classic, because file provisioning of the new schema exists only as a Kubernetes object and Grafana
13.0 still refuses such files in places. The SDK calls its classic builders deprecated on import;
that warning is silenced here, for these imports only, and a later switch touches this module alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import common as common_builders
    from grafana_foundation_sdk.builders import dashboard, prometheus, stat, table, timeseries
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common as common_models
    from grafana_foundation_sdk.models import dashboard as dashboard_models
    from grafana_foundation_sdk.models import prometheus as prometheus_models

from builders.spec import Board, Panel, Query, Row, Variable
from builders.thresholds import alert_threshold

_SOURCE = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")
_GOOD, _BAD = "green", "red"

AnyPanel = timeseries.Panel | stat.Panel | table.Panel


def render(board: Board) -> str:
    """Render a board as JSON, always the same for the same board."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["midwatch"])
        .readonly()
        .time("now-1h", "now")
        .refresh("10s")
        .timezone("utc")
        .tooltip(dashboard_models.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
        .link(
            dashboard.DashboardLink("Midwatch boards")
            .type(dashboard_models.DashboardLinkType.DASHBOARDS)
            .tags(["midwatch"])
            .include_vars(True)
            .keep_time(True)
        )
    )
    for variable in board.variables:
        builder = builder.with_variable(_variable(variable))
    for row in board.rows:
        builder = _with_row(builder, row)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return JSONEncoder(sort_keys=True, indent=2).encode(builder.build()) + "\n"


def _with_row(builder: dashboard.Dashboard, row: Row) -> dashboard.Dashboard:
    builder = builder.with_row(dashboard.Row(row.title).id(row.id))
    for panel in row.panels:
        builder = builder.with_panel(_panel(panel))
    return builder


def _variable(variable: Variable) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .description(variable.description)
        .datasource(_SOURCE)
        .query(variable.query)
        .refresh(dashboard_models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard_models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(dashboard_models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _panel(panel: Panel) -> AnyPanel:
    makers: dict[str, Callable[[Panel], AnyPanel]] = {
        "timeseries": _timeseries,
        "stat": _stat,
        "table": _table,
    }
    made: AnyPanel = makers[panel.kind](panel)
    made = (
        made.id(panel.id)
        .title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(_SOURCE)
        .span(panel.width)
        .height(panel.height)
        .no_value(panel.no_value)
        .thresholds(_thresholds(panel))
    )
    for index, query in enumerate(panel.queries):
        made = made.with_target(_target(query, chr(ord("A") + index), panel.kind))
    if panel.links:
        made = made.data_links([_link(title, url) for title, url in panel.links])
    return made


def _timeseries(panel: Panel) -> timeseries.Panel:
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
    if _threshold(panel) is not None:
        made = made.thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(
                common_models.GraphThresholdsStyleMode.DASHED
            )
        )
    return made


def _stat(_: Panel) -> stat.Panel:
    return stat.Panel().reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))


def _table(panel: Panel) -> table.Panel:
    hidden = {name: True for name in ("Time", *panel.hidden_columns)}
    transformations: tuple[tuple[str, dict[str, object]], ...] = (
        ("merge", {}),
        ("organize", {"excludeByName": hidden, "renameByName": dict(panel.renamed_columns)}),
    )
    made = table.Panel()
    for name, options in transformations:
        made = made.with_transformation(
            dashboard_models.DataTransformerConfig(id_val=name, options=options)
        )
    for column, unit in panel.column_units:
        made = made.override_by_name(
            column, [dashboard_models.DynamicConfigValue(id_val="unit", value=unit)]
        )
    return made


def _threshold(panel: Panel) -> float | None:
    return alert_threshold(panel.alert) if panel.alert else panel.threshold


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    steps = [dashboard_models.Threshold(value=None, color=_GOOD)]
    limit = _threshold(panel)
    if limit is not None:
        steps.append(dashboard_models.Threshold(value=limit, color=_BAD))
    return dashboard.ThresholdsConfig().mode(dashboard_models.ThresholdsMode.ABSOLUTE).steps(steps)


def _target(query: Query, ref_id: str, kind: str) -> prometheus.Dataquery:
    target = (
        prometheus.Dataquery()
        .datasource(_SOURCE)
        .expr(query.expr)
        .legend_format(query.legend)
        .exemplar(query.exemplar)
        .ref_id(ref_id)
    )
    if kind == "table":
        return target.instant().format(prometheus_models.PromQueryFormat.TABLE)
    return target.instant() if kind == "stat" else target.range()


def _link(title: str, url: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).url(url)
