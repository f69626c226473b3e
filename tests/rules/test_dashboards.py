"""The boards: what Grafana's own linter asks, what it misses, and what alerts rely on."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import promql_parser as promql
import pytest
import yaml
from builders import BOARDS, Board, Panel, Variable, render
from midwatch.registry import METRICS as METRICS_OF_REGISTRY
from midwatch.registry import SPAN_ATTRIBUTES
from rulecheck import Catalog, Known, RuleSet, query_problems
from rulecheck.tree import walk

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "grafana-dashboards" / "build.py"
GENERATED = ROOT / "grafana-dashboards" / "generated"
UNITS = {"short", "percentunit", "reqps", "s", "currencyUSD", "bytes"}

PANELS = [
    pytest.param(board, panel, id=f"{board.uid}-{panel.id}")
    for board in BOARDS
    for panel in board.panels
]
METRICS = [
    pytest.param(board, panel, id=f"{board.uid}-{panel.id}")
    for board in BOARDS
    for panel in board.panels
    if panel.source == "prometheus"
]
SEARCHES = [
    pytest.param(board, panel, id=f"{board.uid}-{panel.id}")
    for board in BOARDS
    for panel in board.panels
    if panel.source == "tempo"
]
# What the shim names itself, and what the conventions name and the shim emits as they do.
SPAN_NAMES = {attribute.name for attribute in SPAN_ATTRIBUTES} | {
    "gen_ai.request.model",
    "gen_ai.tool.name",
}
# Series of Midwatch's own programs and of budgets, which have no agent's namespace and service.
NOT_OF_AGENTS = (
    "ALERTS",
    "up",
    "job",
    "prometheus_",
    "alertmanager_",
    "otelcol_",
    "midwatch_ledger_",
    "agent_budget_",
)
SOURCES = {"prometheus": "${datasource}", "tempo": "${tempo}", "ledger": "${ledger}"}


@cache
def dashboard(board: Board) -> dict[str, Any]:
    """What Grafana is given; read only, for hundreds of tests read the same dozen."""
    parsed: dict[str, Any] = json.loads(render(board))
    return parsed


def generated_panel(board: Board, panel: Panel) -> dict[str, Any]:
    (found,) = [p for p in dashboard(board)["panels"] if p["id"] == panel.id]
    return dict(found)


def plain(query: str) -> str:
    return query.replace("$__rate_interval", "1m").replace("$__range", "1h")


def selectors(query: str) -> list[promql.VectorSelector]:
    parsed = promql.parse(plain(query))
    return [node for node, _ in walk(parsed) if isinstance(node, promql.VectorSelector)]


def matched(selector: promql.VectorSelector) -> set[str]:
    return {matcher.name for matcher in selector.matchers.matchers}


def test_the_generated_files_are_what_the_builders_make() -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", str(BUILD), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_the_check_names_files_that_differ_lack_or_are_too_many(tmp_path: Path) -> None:
    build = [sys.executable, str(BUILD), "--folder", str(tmp_path)]
    subprocess.run(build, check=True)
    first, second = sorted(tmp_path.glob("*.json"))[:2]
    first.write_text("{}", encoding="utf-8")
    second.unlink()
    (tmp_path / "stranger.json").write_text("{}", encoding="utf-8")
    result = subprocess.run([*build, "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    for file in (first.name, second.name, "stranger.json"):
        assert file in result.stderr
    subprocess.run(build, check=True)
    assert sorted(file.stem for file in tmp_path.glob("*.json")) == sorted(b.uid for b in BOARDS)


@pytest.mark.parametrize(("board", "panel"), METRICS)
def test_each_query_parses_and_asks_for_what_exists(
    board: Board, panel: Panel, everything: Known
) -> None:
    assert panel.queries
    for query in panel.queries:
        problems = query_problems(plain(query.expr), everything)
        assert problems == [], query.expr


@pytest.mark.programs
def test_promtool_accepts_every_query(promtool: Path, tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{board.uid.replace('-', '_')}_{panel.id}:{index}", "expr": expr}
        for board in BOARDS
        for panel in board.panels
        if panel.source == "prometheus"
        for index, expr in enumerate(plain(query.expr) for query in panel.queries)
    ]
    rules += [
        {"record": f"mark:{board.uid.replace('-', '_')}:{index}", "expr": annotation.expr}
        for board in BOARDS
        for index, annotation in enumerate(board.annotations)
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": rules}]}), encoding="utf-8")
    result = subprocess.run(
        [promtool, "check", "rules", "--lint=none", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("board", "panel"), METRICS)
def test_each_rate_of_a_graph_uses_the_rate_interval(board: Board, panel: Panel) -> None:
    for query in panel.queries:
        for window in re.findall(r"\b(?:i?rate)\([^\[]*\[([^\]]+)\]", query.expr):
            assert window == "$__rate_interval"


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_each_panel_has_title_description_unit_source_and_a_word_for_no_data(
    board: Board, panel: Panel
) -> None:
    made = generated_panel(board, panel)
    assert made["title"]
    assert made["description"].endswith(".")
    if panel.kind != "traces":
        assert made["fieldConfig"]["defaults"]["unit"] in UNITS
        assert made["fieldConfig"]["defaults"]["noValue"]
    assert made["targets"]
    sources = [made["datasource"], *(target["datasource"] for target in made["targets"])]
    assert all(source["uid"] == SOURCES[panel.source] for source in sources)


@pytest.mark.parametrize(("board", "panel"), METRICS)
def test_each_selector_follows_the_boards_variables(
    board: Board, panel: Panel, everything: Known
) -> None:
    names = {variable.name for variable in board.variables}
    wanted = {
        label
        for variable, label in (
            ("namespace", "k8s_namespace_name"),
            ("service", "service_name"),
            ("agent", "agent"),
            ("model", "model"),
        )
        if variable in names
    }
    for query in panel.queries:
        for selector in selectors(query.expr):
            if selector.name is None or selector.name.startswith(NOT_OF_AGENTS):
                continue
            has = everything.series[selector.name].labels
            assert wanted & has <= matched(selector) | _service_wide(panel), query.expr


def _service_wide(panel: Panel) -> set[str]:
    """Labels that a panel leaves open: a model's failures concern all agents that call it."""
    return {"agent"} if panel.id in {51, 52} else set()


@pytest.mark.parametrize(("board", "panel"), METRICS)
def test_exemplars_are_asked_of_raw_histograms_only_and_of_all_of_them_in_graphs(
    board: Board, panel: Panel
) -> None:
    first, *others = panel.queries
    raw = any((s.name or "").endswith("_seconds_bucket") for s in selectors(first.expr))
    assert first.exemplar == (raw and panel.kind == "timeseries"), first.expr
    # Grafana asks for exemplars once per metric and panel: the first target has them all.
    assert not any(query.exemplar for query in others)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_ids_are_unique_and_panels_do_not_overlap(board: Board) -> None:
    panels = dashboard(board)["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_uids_and_titles_are_unique() -> None:
    assert len({board.uid for board in BOARDS}) == len(BOARDS)
    assert len({board.title for board in BOARDS}) == len(BOARDS)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_board_is_read_only_and_chooses_its_data_source(board: Board) -> None:
    made = dashboard(board)
    assert made["editable"] is False
    variables = made["templating"]["list"]
    count = len(board.sources)
    assert [(v["name"], v["type"]) for v in variables[:count]] == [
        (SOURCES[source].strip("${}"), "datasource") for source in board.sources
    ]
    assert all(variable["label"] for variable in variables)
    for variable in variables[count:]:
        if variable["type"] == "textbox":
            continue
        assert variable["refresh"] == 2
        assert variable["multi"]
        assert variable["includeAll"]
        # ".*" matches an absent label, ".+" does not: on a laptop there is no namespace.
        assert variable["allValue"] == ".*"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_each_variable_asks_for_a_label_that_exists(board: Board, everything: Known) -> None:
    for variable in board.variables:
        if not isinstance(variable, Variable):
            continue
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable.query)
        assert match, variable.query
        selector, label = match.groups()
        (parsed,) = selectors(selector)
        assert {*matched(parsed), label} <= everything.series[parsed.name or ""].labels


def test_each_alert_opens_a_panel_that_draws_its_threshold(
    rules: RuleSet, catalog: Catalog
) -> None:
    boards = {board.uid: board for board in BOARDS}
    for rule in rules.alerts:
        url = urlsplit(re.sub(r"\{\{.*?\}\}", "", rule.annotations["dashboard_url"], flags=re.S))
        board = boards[url.path.removeprefix("/d/")]
        asked = parse_qs(url.query, keep_blank_values=True)
        (panel,) = [p for p in board.panels if p.id == int(asked["viewPanel"][0])]
        known = {f"var-{variable.name}" for variable in board.variables}
        assert {name for name in asked if name.startswith("var-")} <= known, rule.name
        steps = generated_panel(board, panel)["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert catalog.alerts[rule.name].threshold in [step["value"] for step in steps], rule.name


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_a_panel_that_alerts_open_links_to_their_runbooks(
    board: Board, panel: Panel, catalog: Catalog
) -> None:
    wanted = {
        f"{catalog.runbooks}/{name}"
        for name, entry in catalog.alerts.items()
        if (entry.dashboard, entry.panel) == (board.uid, panel.id)
    }
    made = generated_panel(board, panel)
    assert {link["url"] for link in made.get("links") or []} == wanted


def urls_of(panel: dict[str, Any]) -> list[str]:
    """All links on a panel's data, on the fields as well as on columns."""
    config = panel.get("fieldConfig", {})
    found = list(config.get("defaults", {}).get("links") or [])
    for override in config.get("overrides") or []:
        for made in override["properties"]:
            if made["id"] == "links":
                found += made["value"]
    return [link["url"] for link in found]


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_links_of_panels_lead_to_boards_traces_the_ledger_or_runbooks(
    board: Board, panel: Panel, catalog: Catalog
) -> None:
    boards = {board.uid: board for board in BOARDS}
    urls = urls_of(generated_panel(board, panel))
    assert len(urls) == len(panel.links)
    for url in urls:
        if url.startswith("/d/"):
            target = boards[urlsplit(url).path.removeprefix("/d/")]
            known = {"var-datasource", *(f"var-{variable.name}" for variable in target.variables)}
            assert set(re.findall(r"var-\w+", url)) <= known
            assert "from=${__from}&to=${__to}" in url
        elif url.startswith("/explore?"):
            (panes,) = parse_qs(urlsplit(url).query)["panes"]
            (pane,) = json.loads(panes).values()
            assert pane["range"] == {"from": "${__from}", "to": "${__to}"}
            assert pane["datasource"] == "tempo"
            assert_traceql(pane["queries"][0]["query"])
        else:
            assert url.startswith((f"{catalog.ledger}/monitoring/traces/", f"{catalog.runbooks}/"))


def assert_traceql(query: str) -> None:
    """As far as it can be told without Tempo: balanced, and of attributes that there are."""
    assert query.count("{") == query.count("}")
    assert query.count('"') % 2 == 0
    named = set(re.findall(r"span\.([a-z_.]+)", query))
    assert named <= SPAN_NAMES, query


@pytest.mark.parametrize(("board", "panel"), SEARCHES)
def test_searches_for_traces_ask_for_attributes_that_are_emitted(
    board: Board, panel: Panel
) -> None:
    for query in panel.queries:
        assert_traceql(query.expr)


@pytest.mark.parametrize(("board", "panel"), METRICS)
def test_a_link_uses_labels_that_the_series_keep(board: Board, panel: Panel) -> None:
    urls = " ".join(urls_of(generated_panel(board, panel)))
    kept = " ".join(query.expr for query in panel.queries)
    for label in re.findall(r"__field\.labels\.(\w+)", urls):
        assert re.search(rf"by \([^)]*\b{label}\b", kept) or ":" in kept, label


@pytest.mark.parametrize(
    "board", [b for b in BOARDS if "prometheus" in b.sources], ids=lambda board: board.uid
)
def test_graphs_are_marked_with_alerts_and_deployments(board: Board, everything: Known) -> None:
    made = {one["name"]: one for one in dashboard(board)["annotations"]["list"]}
    assert {"Alerts", "Deployments"} <= set(made)
    for annotation in board.annotations:
        assert query_problems(plain(annotation.expr), everything) == []
        assert made[annotation.name]["datasource"]["uid"] == "${datasource}"


def test_the_boards_show_every_metric_that_agents_and_the_shim_emit() -> None:
    asked = " ".join(
        query.expr for board in BOARDS for panel in board.panels for query in panel.queries
    )
    recorded_only = {"chat_requests_total", "chat_failures_total", "service_ready"}
    for metric in METRICS_OF_REGISTRY:
        if metric.prometheus_name not in recorded_only | {
            "agent_route_total",
            "agent_selfrag_decision_total",
            "agent_handoff_loops_total",
        }:
            assert metric.prometheus_name in asked, metric.prometheus_name


def test_the_boards_are_classic_json_by_the_version_of_the_sdk_that_makes_it() -> None:
    # Unpinned, pip takes a build for Grafana 10.1 whose version has an epoch; and Grafana takes
    # boards of its second format only as objects of Kubernetes.
    assert importlib.metadata.version("grafana-foundation-sdk").lstrip("v") == "0.0.21"
    for board in BOARDS:
        made = dashboard(board)
        assert made["schemaVersion"] == 42
        assert not {"apiVersion", "kind", "spec", "elements"} & set(made)


def test_rendering_twice_gives_the_same_text() -> None:
    assert [render(board) for board in BOARDS] == [render(board) for board in BOARDS]
