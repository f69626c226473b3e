"""The rules of the product: promtool's judgement, our linter's, and what must exist."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from rulecheck import Catalog, Known, RuleSet, lint_rules
from rulegen.dictionary import alerts_by_series

from tests import kept_runs

RULES = Path(__file__).resolve().parents[2] / "prometheus-rules"
RULE_FILES = sorted((RULES / "rules").glob("*.yaml"))
TEST_FILES = sorted((RULES / "tests").glob("*.yaml"))

S3_ALERTS = {
    "AgentToolFailureRatioHigh",
    "AgentSelfRagEscalationSurge",
    "AgentGuardrailDenySurge",
    "AgentReadinessChatFailureCorrelation",
    "AgentHandoffLoop",
    "AgentRouteSkew",
}
CONTRACT = S3_ALERTS | {
    "LlmErrorRateHigh",
    "LlmLatencyHigh",
    "LlmCostSpike",
    "LlmBudgetNearlySpent",
    "LlmBudgetExceeded",
    "LlmBudgetForecastExceeded",
    "LlmTokenSurge",
    "LlmProviderRateLimited",
    "AgentTurnLatencyHigh",
    "AgentErrorBudgetBurn",
    "AgentSilent",
    "AgentNegativeFeedbackSurge",
    "AgentOutcomeDrop",
    "TracingOverheadHigh",
    "TraceSuccessLow",
    "TelemetryBackendUnreachable",
    "AgentThroughputDrop",
    "Watchdog",
}
PAGES = {"AgentToolFailureRatioHigh", "AgentReadinessChatFailureCorrelation"}


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.programs
def test_promtool_accepts_each_rule_file(promtool: Path) -> None:
    # All at once: a process for each takes longer than what it does. What is wrong is named.
    result = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *map(str, RULE_FILES))
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("SUCCESS") == len(RULE_FILES)


@pytest.mark.programs
@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.name)
def test_each_promtool_test_passes(promtool: Path, file: Path) -> None:
    named = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)["rule_files"]
    rules = [path for name in named for path in sorted(file.parent.glob(name))]
    assert len(rules) >= len(named)
    result = kept_runs.run([promtool, "test", "rules", file], reads=rules)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.programs
def test_a_wrong_expectation_makes_promtool_fail(promtool: Path, tmp_path: Path) -> None:
    text = (RULES / "tests" / "thresholds.test.yaml").read_text(encoding="utf-8")
    broken = text.replace("severity: critical", "severity: warning", 1)
    broken = broken.replace("../rules/", f"{RULES}/rules/")
    (tmp_path / "broken.yaml").write_text(broken, encoding="utf-8")
    assert run(promtool, "test", "rules", str(tmp_path / "broken.yaml")).returncode != 0


def test_our_linter_finds_nothing(rules: RuleSet, catalog: Catalog, known: Known) -> None:
    assert lint_rules(rules, catalog, known) == []


def test_the_alerts_are_those_of_the_catalog(rules: RuleSet, catalog: Catalog) -> None:
    assert {rule.name for rule in rules.alerts} == set(catalog.alerts)


def test_the_alerts_of_the_contract_exist(rules: RuleSet) -> None:
    assert {rule.name for rule in rules.alerts} >= CONTRACT


def test_each_critical_alert_has_its_escalation_and_no_other_has(
    rules: RuleSet, catalog: Catalog
) -> None:
    names = {rule.name for rule in rules.alerts if rule.labels["severity"] == "critical"}
    escalations = {name for name in names if name.endswith("Escalated")}
    # While Prometheus stores nothing it can't know who acknowledged: the watchdog ends instead.
    without = {name for name in names if not catalog.alerts[name].escalates}
    assert without == {"PrometheusStorageFailing"}
    assert escalations == {f"{name}Escalated" for name in names - escalations - without}


def test_each_kind_of_anomaly_has_an_alert(rules: RuleSet) -> None:
    signals = {
        rule.labels["signal"]
        for rule in rules.rules
        if rule.name == "signal:midwatch_anomaly:value"
    }
    assert signals == {"cost", "tokens", "latency", "routes", "handoffs"}
    anomalies = [rule for rule in rules.alerts if rule.name.endswith("Anomaly")]
    assert {signal for signal in signals if any(f'"{signal}"' in a.text for a in anomalies)} == (
        signals
    )


def test_what_must_page_is_critical(rules: RuleSet) -> None:
    critical = {rule.name for rule in rules.alerts if rule.labels["severity"] == "critical"}
    assert critical >= PAGES


@cache
def cases() -> list[dict[str, Any]]:
    return [
        case
        for file in TEST_FILES
        for case in yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)["tests"]
    ]


def seconds(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", text))


def looks(case: dict[str, Any], alert: str) -> list[tuple[float, bool]]:
    """When a case looks at an alert, and whether it expects it there."""
    found = [
        (seconds(look["eval_time"]), bool(look["exp_alerts"]))
        for look in case.get("alert_rule_test", [])
        if look["alertname"] == alert
    ]
    for look in case.get("promql_expr_test", []):
        asked = re.findall(r'ALERTS\{[^}]*alertname=~?"([^"]+)"', look["expr"])
        if any(re.fullmatch(name, alert) for name in asked):
            found.append((seconds(look["eval_time"]), bool(look["exp_samples"])))
    return found


def falls(values: str) -> bool:
    """Whether a series in promtool's notation is ever lower than before, as after a restart."""
    last = None
    for part in re.sub(r"_(x\d+)?|stale", "", values).split():
        start, _, step, times = re.findall(r"^([\d.e]+)(([+-][\d.e]+)?)(?:x(\d+))?$", part)[0]
        if (last is not None and float(start) < last) or step.startswith("-"):
            return True
        last = float(start) + float(step or 0) * int(times or 0)
    return False


def is_born(values: str) -> bool:
    """Whether a series in promtool's notation is not there at first, and then begins above zero."""
    return re.match(r"_(x\d+)?\s+[1-9]", values) is not None


def expectations() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for file in TEST_FILES:
        for case in yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)["tests"]:
            for expectation in case.get("alert_rule_test", []):
                found.setdefault(expectation["alertname"], []).append(expectation)
    return found


def test_each_alert_is_tested_to_fire_with_all_labels_and_annotations(rules: RuleSet) -> None:
    tested = expectations()
    for rule in rules.alerts:
        fired = [alert for e in tested.get(rule.name, []) for alert in e["exp_alerts"]]
        assert fired, f"no promtool test sees {rule.name} fire"
        for alert in fired:
            assert set(alert["exp_annotations"]) == set(rule.annotations), rule.name
            assert set(alert["exp_labels"]) >= set(rule.labels), rule.name


def test_each_alert_but_the_watchdog_is_tested_to_be_quiet(rules: RuleSet) -> None:
    tested = expectations()
    for rule in rules.alerts:
        if rule.name != "Watchdog":
            assert any(not e["exp_alerts"] for e in tested[rule.name]), rule.name


def test_each_alert_but_the_watchdog_is_tested_to_resolve(rules: RuleSet) -> None:
    for alert in {rule.name for rule in rules.alerts} - {"Watchdog"}:
        assert any(
            fires and ends > begins and not still
            for case in cases()
            for begins, fires in looks(case, alert)
            for ends, still in looks(case, alert)
        ), alert


def test_each_alert_on_counters_is_tested_against_a_restart(rules: RuleSet) -> None:
    restarted: dict[str, list[dict[str, Any]]] = {}
    for case in cases():
        for series in case["input_series"]:
            if falls(series["values"]):
                restarted.setdefault(series["series"].split("{")[0], []).append(case)
    on_counters: dict[str, set[str]] = {}
    for name, alerts in alerts_by_series(rules).items():
        if re.search("_(total|count|bucket|sum)$", name):
            for alert in alerts:
                on_counters.setdefault(alert, set()).add(name)
    assert len(on_counters) > 20
    for alert, names in on_counters.items():
        fallen = [case for name in names for case in restarted.get(name, [])]
        assert any(looks(case, alert) for case in fallen), alert


# Each has a reason for which no series of it begins with what is told.
NEVER_BORN = {
    # What is compared with earlier times has them, and is silent without.
    "AgentCostAnomaly",
    "AgentHandoffAnomaly",
    "AgentLatencyAnomaly",
    "AgentRouteMixAnomaly",
    "AgentTokensAnomaly",
    "AgentOutcomeDrop",
    "AgentThroughputDrop",
    "AgentTurnLatencyHigh",
    "LlmCostSpike",
    "LlmLatencyHigh",
    "LlmTokenSurge",
    # Of all turns, not of those that went wrong; the ledger's lag is a gauge.
    "TracingOverheadHigh",
    "LedgerLagHigh",
    # Prometheus and Alertmanager show these as zero from their start.
    "AlertmanagerNotificationsFailing",
    "PrometheusEvaluationSlow",
    "PrometheusNotificationsFailing",
    "PrometheusRuleFailures",
}


def test_each_alert_on_counters_of_failures_is_tested_with_a_series_born_with_the_first(
    rules: RuleSet,
) -> None:
    on_counters: dict[str, set[str]] = {}
    for name, alerts in alerts_by_series(rules).items():
        if re.search("_(total|count|bucket|sum)$", name):
            for alert in alerts:
                on_counters.setdefault(alert, set()).add(name)
    for alert in on_counters.keys() - NEVER_BORN:
        assert any(
            any(fires for _, fires in looks(case, alert))
            for case in cases()
            for series in case["input_series"]
            if is_born(series["values"]) and series["series"].split("{")[0] in on_counters[alert]
        ), alert
