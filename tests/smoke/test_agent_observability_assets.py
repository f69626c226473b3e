"""The assets that S3 asks for are there, hold what they must, and work with their programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests.plan import repository_root
from toolchain import program_path

from tests import kept_runs

ROOT = repository_root()
SCRIPTS = (
    "kind_demo_up.sh",
    "kind_demo_deploy.sh",
    "kind_demo_status.sh",
    "kind_demo_down.sh",
    "demo_dependencies_up.sh",
    "demo_dependencies_down.sh",
)


def read_yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def read_all(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / path).read_text(encoding="utf-8")))


def helm_template(chart: str, *arguments: str) -> list[dict[str, Any]]:
    command = [str(program_path("helm")), "template", chart, f"charts/{chart}", *arguments]
    done = kept_runs.run(command)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if item]


def container_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (deployment,) = [item for item in objects if item["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


def environment_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in container_of(objects)["env"]}


def test_the_security_agents_values_carry_the_defaults_of_the_plan():
    env = read_yaml("charts/security-agent/values.yaml")["env"]
    assert env["AGENT_OBSERVABILITY_ENABLED"] == "true"
    assert env["AGENT_METRICS_NAMESPACE"] == "security_agent"
    assert env["AGENT_TRACE_JSONL_PATH"].endswith("data/logs/agent-traces.jsonl")


def test_the_security_agents_chart_renders_with_the_values_for_kind():
    objects = helm_template("security-agent", "-f", "kind/security-agent-values-kind.yaml")
    env = environment_of(objects)
    assert env["AGENT_METRICS_NAMESPACE"] == "security_agent"
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://midwatch-collector.midwatch.svc:4318"


def test_the_trace_events_are_written_where_the_pod_may_write():
    (deployment,) = [
        item for item in helm_template("security-agent") if item["kind"] == "Deployment"
    ]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    env = {one["name"]: one.get("value") for one in container["env"]}
    mounts = [Path(mount["mountPath"]) for mount in container["volumeMounts"]]
    for name in ("AGENT_TRACE_JSONL_PATH", "MIDWATCH_SPOOL_DIR"):
        assert any(Path(env[name]).is_relative_to(mount) for mount in mounts), name


def test_the_retail_simulations_chart_renders_with_the_values_for_kind():
    arguments = ("-f", "kind/retail-simulation-values-kind.yaml")
    env = environment_of(helm_template("retail-simulation", *arguments))
    assert not [name for name in env if name.startswith(("OTEL_", "AGENT_", "MIDWATCH_"))]


def test_the_rules_file_holds_the_alerts_of_the_plan():
    (rules,) = read_all("k8s/observability/prometheus-rules-agent.yaml")
    assert rules["kind"] == "PrometheusRule"
    alerts = {
        rule["alert"]
        for group in rules["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert alerts >= {
        "AgentToolFailureRatioHigh",
        "AgentSelfRagEscalationSurge",
        "AgentGuardrailDenySurge",
        "AgentReadinessChatFailureCorrelation",
        "AgentHandoffLoop",
        "AgentRouteSkew",
    }


def test_promtool_takes_the_groups_of_the_rules_file(tmp_path):
    (rules,) = read_all("k8s/observability/prometheus-rules-agent.yaml")
    plain = tmp_path / "rules.yaml"
    plain.write_text(yaml.safe_dump(rules["spec"]), encoding="utf-8")
    command = [program_path("promtool"), "check", "rules", plain]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_asset_names_the_security_agent_in_a_fixed_namespace():
    for path in [*ROOT.glob("k8s/**/*.yaml"), *ROOT.glob("charts/midwatch/templates/**/*")]:
        if path.is_file():
            assert "security-agent.default" not in path.read_text(encoding="utf-8"), path


def test_the_collectors_scrape_finds_pods_in_their_own_namespaces():
    arguments = ("--set", "collector.scrape.enabled=true")
    objects = helm_template("midwatch", *arguments)
    (config,) = [
        item["data"]["collector.yaml"]
        for item in objects
        if item["kind"] == "ConfigMap" and "collector.yaml" in (item["data"] or {})
    ]
    (job,) = yaml.safe_load(config)["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert job["kubernetes_sd_configs"] == [{"role": "pod"}]
    kept = job["relabel_configs"][0]
    assert kept["source_labels"] == ["__meta_kubernetes_pod_annotation_midwatch_dev_scrape"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_parses(script):
    done = subprocess.run(["bash", "-n", ROOT / "kind" / script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_explains_itself_and_is_strict(script):
    path = ROOT / "kind" / script
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in path.read_text(encoding="utf-8")
    done = subprocess.run([path, "--help"], capture_output=True, text=True, check=True)
    assert f"Usage: kind/{script}" in done.stdout
    assert "set -euo" not in done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_names_all_missing_programs_and_how_to_get_them(script, tmp_path):
    # Only what the script itself needs to tell what is missing.
    for program in ("bash", "dirname", "sed", "env"):
        found = shutil.which(program)
        assert found, program
        (tmp_path / program).symlink_to(found)
    command = [ROOT / "kind" / script]
    environment = {"PATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    missing = re.search(r"error: not on PATH: (.+)", done.stderr)
    assert missing, done.stderr
    for program in missing[1].split():
        assert f"  {program}: install" in done.stderr


def test_a_script_refuses_an_unknown_argument():
    command = [str(ROOT / "kind/kind_demo_status.sh"), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "unknown argument '--quick'; allowed is --help" in done.stderr


def test_the_demo_dependencies_answer_where_the_charts_look_for_them():
    services = {
        f"http://{item['metadata']['name']}.{item['metadata']['namespace']}.svc:{port['port']}"
        for item in read_all("kind/dependencies.yaml")
        if item["kind"] == "Service"
        for port in item["spec"]["ports"]
    }
    values = read_yaml("charts/security-agent/values.yaml")
    assert values["applianceUrl"] in services
    assert values["model"]["baseUrl"].removesuffix("/v1") in services


def test_the_readme_of_the_manifests_names_every_file_and_metric_of_the_plan():
    text = (ROOT / "k8s/observability/README.md").read_text(encoding="utf-8")
    for path in ROOT.glob("k8s/observability/*.yaml"):
        assert path.name in text
    for metric in ("route", "handoff_loops", "tool_calls", "selfrag_decision", "guardrail"):
        assert f"agent_{metric}_total" in text
