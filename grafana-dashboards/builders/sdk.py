"""The only modules that know grafana-foundation-sdk: boards become Grafana's classic JSON here.

Classic, because file provisioning of the new schema exists only as a Kubernetes object and Grafana
13.0 still refuses such files in places. The SDK calls its classic builders deprecated on import;
that warning is silenced here, for these imports only, and a later switch touches `sdk.py` and
`sdk_panels.py` alone.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import dashboard
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import dashboard as dashboard_models

from builders.sdk_panels import make_panel
from builders.sdk_queries import SOURCES, source_reference
from builders.spec import Annotation, Board, Row, TextVariable, Variable

_LABELS = {"prometheus": "Data source", "tempo": "Traces", "ledger": "Ledger"}


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
        .link(
            dashboard.DashboardLink("Midwatch boards")
            .type(dashboard_models.DashboardLinkType.DASHBOARDS)
            .tags(["midwatch"])
            .include_vars(True)
            .keep_time(True)
        )
    )
    for source in board.sources:
        name, kind = SOURCES[source]
        builder = builder.with_variable(
            dashboard.DatasourceVariable(name).label(_LABELS[source]).type(kind)
        )
    for variable in board.variables:
        builder = builder.with_variable(_variable(variable))
    for annotation in board.annotations:
        builder = builder.annotation(_annotation(annotation))
    for row in board.rows:
        builder = _with_row(builder, board, row)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return JSONEncoder(sort_keys=True, indent=2).encode(builder.build()) + "\n"


def _with_row(builder: dashboard.Dashboard, board: Board, row: Row) -> dashboard.Dashboard:
    builder = builder.with_row(dashboard.Row(row.title).id(row.id))
    for panel in row.panels:
        builder = builder.with_panel(make_panel(board.uid, panel))
    return builder


def _variable(
    variable: Variable | TextVariable,
) -> dashboard.QueryVariable | dashboard.TextBoxVariable:
    if isinstance(variable, TextVariable):
        return (
            dashboard.TextBoxVariable(variable.name)
            .label(variable.label)
            .description(variable.description)
            .default_value("")
        )
    return (
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .description(variable.description)
        .datasource(source_reference("prometheus"))
        .query(variable.query)
        .refresh(dashboard_models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard_models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(dashboard_models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _annotation(annotation: Annotation) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name(annotation.name)
        .datasource(source_reference("prometheus"))
        .expr(annotation.expr)
        .title_format(annotation.title)
        .text_format(annotation.text)
        .icon_color(annotation.color)
        .step("30s")
        .enable(True)
    )
