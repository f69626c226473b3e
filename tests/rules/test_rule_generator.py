"""What `make rules` derives: up to date, told when it is not, and refused when data contradict."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from midwatch.registry import METRICS
from rulecheck import Catalog, RuleSet, load_catalog, parse_rules
from rulegen.dictionary import GuideError, alerts_by_series, guide
from rulegen.escalations import escalation_file
from rulegen.outputs import outputs
from rulegen.runbooks import BEGIN, RunbookError, shown
from rulegen.slos import SlosError, load_slos, slo_file
from rulegen.thresholds import thresholds_file

ROOT = Path(__file__).resolve().parents[2]
SLOS = ROOT / "prometheus-rules" / "slos.yaml"
COPIED = ("prometheus-rules", "docs/runbooks", "docs/benchmarks")
GUIDE = "docs/agent-observability-runbook.md"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The folders that the generator reads and writes, to change at will."""
    for name in COPIED:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    shutil.copy(ROOT / GUIDE, tmp_path / GUIDE)
    return tmp_path


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "rulegen", *arguments],
        cwd=root / "prometheus-rules",
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_derived_is_up_to_date() -> None:
    result = generate(ROOT, "--check")
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_check_names_what_is_out_of_date_and_changes_nothing(clone: Path) -> None:
    rules = clone / "prometheus-rules" / "rules" / "slo.rules.yaml"
    rules.write_text("groups: []\n", encoding="utf-8")
    result = generate(clone, "--check")
    assert result.returncode == 1
    assert "slo.rules.yaml" in result.stdout
    assert "make rules" in result.stderr
    assert rules.read_text(encoding="utf-8") == "groups: []\n"


def test_generating_twice_changes_nothing_the_second_time(clone: Path) -> None:
    for name in ("slo", "thresholds", "escalation"):
        (clone / "prometheus-rules" / "rules" / f"{name}.rules.yaml").unlink()
    assert generate(clone).returncode == 0
    assert "0 changed" in generate(clone).stdout


def test_a_threshold_is_one_line_of_the_catalog(clone: Path) -> None:
    catalog = clone / "prometheus-rules" / "catalog.yaml"
    text = catalog.read_text(encoding="utf-8")
    changed = text.replace("LlmLatencyHigh: {threshold: 30,", "LlmLatencyHigh: {threshold: 45,")
    assert changed != text
    catalog.write_text(changed, encoding="utf-8")
    derived = {path.name: body for path, body in outputs(clone).items()}
    (rule,) = [
        rule
        for rule in parse_rules(derived["thresholds.rules.yaml"]).rules
        if rule.labels.get("alert") == "LlmLatencyHigh"
    ]
    assert rule.text == "vector(45)"
    assert (
        "| Threshold | 45 s (`prometheus.thresholds.LlmLatencyHigh`) |"
        in (derived["LlmLatencyHigh.md"])
    )
    assert "| 45 s |" in derived["alerts.md"]


def test_the_thresholds_are_those_of_the_catalog_that_can_be_set(catalog: Catalog) -> None:
    rules = parse_rules(thresholds_file(catalog, load_slos(SLOS))).rules
    found = {rule.labels["alert"] for rule in rules if "alert" in rule.labels}
    wanted = {name for name, entry in catalog.alerts.items() if entry.tunable != "fixed"}
    assert found == wanted


def test_a_new_critical_alert_gets_an_escalation(rules: RuleSet, catalog: Catalog) -> None:
    derived = parse_rules(escalation_file(rules, catalog))
    critical = {rule.name for rule in rules.alerts if rule.labels["severity"] == "critical"}
    wanted = {
        f"{name}Escalated"
        for name in critical
        if not name.endswith("Escalated") and catalog.alerts[name].escalates
    }
    assert {rule.name for rule in derived.rules} == wanted


def test_each_burn_is_an_alert_with_its_windows_and_factor() -> None:
    slos = load_slos(SLOS)
    alerts = parse_rules(slo_file(slos, load_catalog(SLOS.with_name("catalog.yaml")))).alerts
    found = {
        (a.labels["severity"], a.labels["long"], a.labels["short"], a.patience) for a in alerts
    }
    assert found == {
        ("critical", "1h", "5m", "2m"),
        ("critical", "6h", "30m", "15m"),
        ("warning", "1d", "2h", "1h"),
        ("warning", "3d", "6h", "3h"),
    }
    factors = [float(re.findall(r"> ([\d.]+)", alert.text)[0]) for alert in alerts]
    assert factors == [14.4, 6.0, 3.0, 1.0]


def test_each_promise_says_what_it_is_and_asks_for_what_exists() -> None:
    names = {name for metric in METRICS for name in metric.series_names}
    for slo in load_slos(SLOS).slos.values():
        assert slo.says.endswith(".")
        asked = {slo.histogram + "_count"} if slo.histogram else {slo.total.split("{")[0]}
        assert asked <= names


def broken(change: Callable[[dict[str, dict[str, object]]], None], folder: Path) -> Path:
    data = yaml.safe_load(SLOS.read_text(encoding="utf-8"))
    change(data["slos"])
    file = folder / "slos.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    return file


def test_impossible_promises_are_refused_all_at_once_with_what_is_allowed(tmp_path: Path) -> None:
    def change(slos: dict[str, dict[str, object]]) -> None:
        slos["turn-success"]["objective"] = 99
        slos["turn-latency"]["above"] = 31
        slos["tool-success"].pop("bad")
        slos["tool-latency"]["histogram"] = "agent_nothing_seconds"

    with pytest.raises(SlosError) as refused:
        load_slos(broken(change, tmp_path))
    said = str(refused.value)
    assert "turn-success: objective is 99; give a share between 0 and 1, such as 0.99" in said
    assert "turn-latency: above is 31, no bucket of agent_turn_latency_seconds; allowed:" in said
    assert "tool-success: give total and bad, or histogram and above" in said
    assert "tool-latency: above is 10, no bucket of agent_nothing_seconds; allowed: none" in said


def test_runbooks_without_their_marks_are_named(clone: Path) -> None:
    for name in ("Watchdog.md", "LedgerDown.md"):
        page = clone / "docs" / "runbooks" / name
        page.write_text(page.read_text(encoding="utf-8").replace(BEGIN, ""), encoding="utf-8")
    with pytest.raises(RunbookError, match=r"Watchdog\.md, LedgerDown\.md|LedgerDown\.md, Watch"):
        outputs(clone)


def test_a_metric_names_the_alerts_that_are_computed_from_it_and_no_others(rules: RuleSet) -> None:
    readers = alerts_by_series(rules)
    # Directly, through recorded series, and told apart by a label where these share their name.
    assert readers["agent_guardrail_total"] == ["AgentGuardrailDenySurge"]
    assert readers["agent_llm_tokens_total"] == ["AgentTokensAnomaly", "LlmTokenSurge"]
    assert set(readers["agent_invocation_latency_seconds_bucket"]) == {
        "AgentLatencyAnomaly",
        "AgentErrorBudgetBurn",
    }
    # What the collector refuses is asked by patterns of names.
    by_pattern = {"CollectorDataRefused"}
    assert {name for names in readers.values() for name in names} == {
        rule.name for rule in rules.alerts
    } - by_pattern


def test_the_reference_shows_the_newest_kept_run_of_the_incident_suite(clone: Path) -> None:
    told = {"alert": "CollectorDown", "firing_seconds": 13.6, "message_seconds": {"slack": 18.1}}
    stirrings = [{"alert": "LedgerDown", "fired": True}, {"alert": "AgentSilent", "fired": False}]
    record = {
        "quiet": {"minutes": 60, "stirrings": stirrings},
        "incidents": [{"incident": "collector-down", "over_seconds": 23.4, "alerts": [told]}],
    }
    for day, kept in (("2026-01-01", {"quiet": None, "incidents": []}), ("2099-01-01", record)):
        file = clone / "docs" / "benchmarks" / f"incidents-{day}.json"
        file.write_text(json.dumps(kept), encoding="utf-8")
    (page,) = [text for path, text in outputs(clone).items() if path.name == "alerts.md"]
    assert "(benchmarks/incidents-2099-01-01.md)" in page
    assert "| CollectorDown | collector-down | 13.6 s | 23 s after the end | 18.1 s | 0 |" in page
    assert "| LedgerDown |  | rule test | rule test |  | 1 |" in page
    assert "| AgentSilent |  | rule test | rule test |  | 0 |" in page


def test_a_guide_without_its_marks_says_which_are_missing(rules: RuleSet, catalog: Catalog) -> None:
    text = (ROOT / GUIDE).read_text(encoding="utf-8")
    assert guide(text, rules, catalog) == text
    with pytest.raises(GuideError, match="<!-- end of events -->"):
        guide(text.replace("<!-- end of events -->", ""), rules, catalog)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.3, "ratio", "30 %"),
        (30, "seconds", "30 s"),
        (900, "seconds", "15 min"),
        (0.1, "seconds", "0.1 s"),
        (67108864, "bytes", "64 MiB"),
        (3, "factor", "3 times"),
        (2, "usd", "2 USD"),
        (20, "count", "20"),
    ],
)
def test_numbers_are_written_as_people_say_them(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text
