"""Thresholds and objectives of an installation: rendered, taken by Prometheus, and obeyed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests.plan import repository_root
from toolchain import program_path

from tests import kept_runs

ROOT = repository_root()
RULES = "midwatch-prometheus-rules"
OWN = {
    "prometheus": {
        "thresholds": {"SpoolGrowing": 134217728, "AgentToolFailureRatioHigh": 0.6},
        "agentThresholds": {"AgentToolFailureRatioHigh": {"a": 0.2}},
        "objectives": {"tool-success": 0.9},
        "agentObjectives": {"turn-success": {"a": 0.95}},
    }
}
pytestmark = pytest.mark.programs


def rules_in(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_without_values_the_thresholds_are_those_of_the_rules(files_of):
    rendered = rules_in(files_of()[RULES]["thresholds.rules.yaml"])
    file = ROOT / "prometheus-rules" / "rules" / "thresholds.rules.yaml"
    assert rendered == rules_in(file.read_text(encoding="utf-8"))


def test_values_replace_thresholds_and_add_those_of_agents(files_of):
    before = rules_in(files_of()[RULES]["thresholds.rules.yaml"])
    after = rules_in(files_of(OWN)[RULES]["thresholds.rules.yaml"])
    added = [rule for rule in after if rule not in before]
    assert [(rule["record"], rule["labels"], rule["expr"]) for rule in added] == [
        (
            "alert:midwatch_threshold:default",
            {"alert": "AgentToolFailureRatioHigh"},
            "vector(0.6)",
        ),
        ("alert:midwatch_threshold:default", {"alert": "SpoolGrowing"}, "vector(1.34217728e+08)"),
        ("slo:midwatch_objective:default", {"slo": "tool-success"}, "vector(0.9)"),
        (
            "alert_agent:midwatch_threshold:override",
            {"alert": "AgentToolFailureRatioHigh", "agent": "a"},
            "vector(0.2)",
        ),
        (
            "slo_agent:midwatch_objective:override",
            {"slo": "turn-success", "agent": "a"},
            "vector(0.95)",
        ),
    ]


def test_an_alert_obeys_them_and_its_message_says_them(files_of, tmp_path: Path):
    for name, text in files_of(OWN)[RULES].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    calls = 'agent_tool_calls_total{service_name="s",tool="t",agent="%s",status="%s"}'
    test = {
        "rule_files": ["thresholds.rules.yaml", "agent.rules.yaml"],
        "evaluation_interval": "5s",
        "tests": [
            {
                "interval": "5s",
                "input_series": [
                    {"series": calls % (agent, status), "values": values}
                    for agent in ("a", "b")
                    for status, values in (("ok", "0+5x40"), ("error", "0+5x40"))
                ],
                "promql_expr_test": [
                    {
                        "expr": "count by (agent) (ALERTS)",
                        "eval_time": "2m",
                        "exp_samples": [{"labels": '{agent="a"}', "value": 1}],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test), encoding="utf-8")
    command = [str(program_path("promtool")), "test", "rules", "test.yaml"]
    done = kept_runs.run(command, folder=tmp_path, reads=[tmp_path])
    assert done.returncode == 0, done.stdout + done.stderr


def test_names_that_no_rule_has_are_refused_all_at_once_with_those_that_there_are(refusal):
    told = refusal(
        {
            "prometheus": {
                "thresholds": {"LlmLatencyHihg": 20, "CollectorDown": 1},
                "agentThresholds": {"LlmLatencyHigh": {"a": 20}},
                "objectives": {"tool-sucess": 0.9},
            }
        }
    )
    assert "prometheus.thresholds.LlmLatencyHihg is no alert whose threshold can be set" in told
    assert "prometheus.thresholds.CollectorDown is no alert whose threshold can be set" in told
    assert "prometheus.agentThresholds.LlmLatencyHigh is no alert" in told
    assert "prometheus.objectives.tool-sucess is no SLO" in told
    assert "AgentToolFailureRatioHigh" in told
    assert "turn-success" in told


@pytest.mark.parametrize("objective", [0, 1, 99, "high"])
def test_an_objective_is_a_share(refusal, objective):
    assert "/prometheus/objectives/turn-success" in refusal(
        {"prometheus": {"objectives": {"turn-success": objective}}}
    )
