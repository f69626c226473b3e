"""The boards: what Grafana's own linter asks, what it misses, and what alerts rely on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import promql_parser as promql
import pytest
import yaml
from builders import BOARDS, Board, Panel, Query, Row, render
from rulecheck import Catalog, Known, RuleSet, query_problems
from rulecheck.tree import walk

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "grafana-dashboards" / "build.py"
GENERATED = ROOT / "grafana-dashboards" / "generated"
UNITS = {"short", "percentunit", "reqps", "s", "currencyUSD"}

PANELS = [
    pytest.param(board, panel, id=f"{board.uid}-{panel.id}")
    for board in BOARDS
    for panel in board.panels
]


def dashboard(board: Board) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(render(board))
    return parsed


def generated_panel(board: Board, panel: Panel) -> dict[str, Any]:
    (found,) = [p for p in dashboard(board)["panels"] if p["id"] == panel.id]
    return dict(found)


def plain(query: str) -> str:
    return query.replace("$__rate_interval", "1m")


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


@pytest.mark.parametrize(("board", "panel"), PANELS)
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
        for index, expr in enumerate(plain(query.expr) for query in panel.queries)
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


@pytest.mark.parametrize(("board", "panel"), PANELS)
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
    assert made["fieldConfig"]["defaults"]["unit"] in UNITS
    assert made["fieldConfig"]["defaults"]["noValue"]
    sources = [made["datasource"], *(target["datasource"] for target in made["targets"])]
    assert all(source["uid"] == "${datasource}" for source in sources)


@pytest.mark.parametrize(("board", "panel"), PANELS)
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
        )
        if variable in names
    }
    for query in panel.queries:
        for selector in selectors(query.expr):
            if selector.name is None or selector.name == "ALERTS":
                continue
            has = everything.series[selector.name].labels
            assert wanted & has <= matched(selector) | _service_wide(panel), query.expr


def _service_wide(panel: Panel) -> set[str]:
    """Labels that a panel leaves open: a model's failures concern all agents that call it."""
    return {"agent"} if panel.id in {51, 52} else set()


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_exemplars_are_asked_of_raw_histograms_only_and_of_all_of_them_in_graphs(
    board: Board, panel: Panel
) -> None:
    for query in panel.queries:
        raw = any((s.name or "").endswith("_seconds_bucket") for s in selectors(query.expr))
        assert query.exemplar == (raw and panel.kind == "timeseries"), query.expr


def test_the_first_target_of_a_panel_has_the_exemplars() -> None:
    for board in BOARDS:
        for panel in board.panels:
            assert not any(query.exemplar for query in panel.queries[1:])


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
    source, *others = made["templating"]["list"]
    assert (source["name"], source["label"], source["type"]) == (
        "datasource",
        "Data source",
        "datasource",
    )
    for variable in others:
        assert variable["refresh"] == 2
        assert variable["multi"]
        assert variable["includeAll"]
        # ".*" matches an absent label, ".+" does not: on a laptop there is no namespace.
        assert variable["allValue"] == ".*"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_each_variable_asks_for_a_label_that_exists(board: Board, everything: Known) -> None:
    for variable in board.variables:
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
        assert steps[-1]["value"] == catalog.alerts[rule.name].threshold, rule.name


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_links_of_panels_lead_to_a_board_and_its_variables(board: Board, panel: Panel) -> None:
    boards = {board.uid: board for board in BOARDS}
    for _, url in panel.links:
        target = boards[urlsplit(url).path.removeprefix("/d/")]
        known = {"var-datasource", *(f"var-{variable.name}" for variable in target.variables)}
        assert set(re.findall(r"var-\w+", url)) <= known


def test_rendering_twice_gives_the_same_text() -> None:
    assert [render(board) for board in BOARDS] == [render(board) for board in BOARDS]


def test_a_panel_for_an_alert_that_does_not_exist_cannot_be_built() -> None:
    panel = Panel(1, "t", "d.", "short", (Query("up"),), alert="NoSuchAlert")
    with pytest.raises(KeyError, match="NoSuchAlert"):
        render(Board("u", "t", "d", (), (Row(2, "r", (panel,)),)))
