"""The real programs take the rendered configurations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests.plan import repository_root
from toolchain import program_path

from tests import kept_runs

ROOT = repository_root()
pytestmark = pytest.mark.programs


def run(program: str, folder: Path, *arguments: str | Path, **environment: str) -> str:
    """Start a program where it finds all that it reads; give what it says of it."""
    command = [program_path(program), *arguments]
    done = kept_runs.run(command, folder=folder, reads=[folder], environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def written(files: dict[str, str], folder: Path, replacements: dict[str, Path]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        for cluster_path, local in replacements.items():
            text = text.replace(cluster_path, str(local))
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def alertmanager_file(files: dict[str, dict[str, str]], folder: Path) -> Path:
    templates = written(files["midwatch-alertmanager-templates"], folder / "templates", {})
    mounted = {"/etc/midwatch/alertmanager/templates": templates}
    return written(files["midwatch-alertmanager"], folder, mounted) / "alertmanager.yml"


@pytest.fixture
def files(files_of, example) -> dict[str, dict[str, str]]:
    return files_of(example)


COLLECTORS = ("midwatch-collector", "midwatch-sampler", "midwatch-scraper")


def test_every_collector_of_every_example_validates(files, tmp_path):
    for name in set(COLLECTORS) & set(files):
        folder = tmp_path / name
        folder.mkdir()
        validate(files[name]["collector.yaml"], folder)


@pytest.mark.parametrize("content", ["off", "full"])
def test_the_collector_validates_with_every_content_policy(files_of, everything, content, tmp_path):
    text = files_of(everything | {"content": content})["midwatch-collector"]["collector.yaml"]
    validate(text, tmp_path)


def validate(text: str, folder: Path) -> None:
    """Have the real collector validate a configuration, with the keys that its pod would have."""
    keys = dict.fromkeys(re.findall(r"\$\{env:(\w+)\}", text), "key")
    file = folder / "collector.yaml"
    config = without_what_only_the_image_has(yaml.safe_load(text))
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    run("otelcol", folder, "validate", f"--config={file}", **keys)


def without_what_only_the_image_has(config: dict[str, Any]) -> dict[str, Any]:
    """Replace the two components whose Go modules can't be had, so that the rest is validated.

    What the load-balancing exporter is told of one sampler is what an OTLP exporter is told: that
    part is validated as one. Its own three keys are compared with those its documentation names.
    """
    exporters, connectors = config["exporters"], config.get("connectors", {})
    if balancing := exporters.pop("load_balancing/samplers", None):
        assert balancing.keys() == {"routing_key", "protocol", "resolver"}
        assert balancing["routing_key"] == "traceID"
        assert balancing["resolver"] == {
            "k8s": {
                "service": "midwatch-sampler-pods.midwatch",
                "ports": [4317],
                "return_hostnames": True,
            }
        }
        exporters["otlp_grpc/samplers"] = balancing["protocol"]["otlp"] | {"endpoint": "any:4317"}
    graph = connectors.pop("service_graph", None)
    for pipeline in config["service"]["pipelines"].values():
        pipeline["exporters"] = [
            name.replace("load_balancing", "otlp_grpc")
            for name in pipeline["exporters"]
            if name != "service_graph"
        ]
    if graph:
        del config["service"]["pipelines"]["metrics/graph"]
    return config


def test_promtool_takes_configuration_and_rules(files, tmp_path):
    if "midwatch-prometheus" not in files:
        assert "midwatch-prometheus-rules" not in files
        return
    rules = written(files["midwatch-prometheus-rules"], tmp_path / "rules", {})
    mounted = {"/etc/midwatch/prometheus/rules": rules}
    folder = written(files["midwatch-prometheus"], tmp_path, mounted)
    told = run("promtool", folder, "check", "config", folder / "prometheus.yml")
    assert len(re.findall(r"SUCCESS: \d+ rules found", told)) == len(
        files["midwatch-prometheus-rules"]
    )


def test_amtool_takes_configuration_and_templates(files, tmp_path):
    if "midwatch-alertmanager" not in files:
        assert "midwatch-alertmanager-templates" not in files
        return
    run(
        "amtool",
        tmp_path,
        "check-config",
        alertmanager_file(files, tmp_path),
        "--enable-feature=utf8-strict-mode",
    )


ROUTES = [
    ({"alertname": "Watchdog", "severity": "none"}, "ledger,dead-mans-switch"),
    ({"alertname": "A", "severity": "critical", "team": "agents"}, "ledger,page"),
    ({"alertname": "A", "severity": "critical", "team": "payments"}, "ledger,page-payments"),
    ({"alertname": "A", "severity": "warning", "team": "agents"}, "ledger,notify"),
    ({"alertname": "A", "severity": "warning", "team": "payments"}, "ledger,notify-payments"),
    ({"alertname": "A", "severity": "warning"}, "ledger,notify"),
    ({"alertname": "A", "severity": "info", "team": "payments"}, "ledger,none"),
    ({"alertname": "A"}, "ledger,notify"),
]


@pytest.mark.parametrize(("labels", "receivers"), ROUTES, ids=[str(labels) for labels, _ in ROUTES])
def test_an_alert_goes_to_whom_its_labels_say(files_of, everything, tmp_path, labels, receivers):
    config = alertmanager_file(files_of(everything), tmp_path)
    arguments = [f"{name}={value}" for name, value in labels.items()]
    run(
        "amtool",
        tmp_path,
        "config",
        "routes",
        "test",
        f"--config.file={config}",
        f"--verify.receivers={receivers}",
        *arguments,
    )


def test_every_alert_of_the_rules_reaches_whom_its_severity_says(files_of, everything, tmp_path):
    files = files_of(everything)
    config = alertmanager_file(files, tmp_path)
    expected = {"critical": "ledger,page", "warning": "ledger,notify", "info": "ledger,none"}
    # A dead way is told by all the others, too.
    special = {
        "Watchdog": "ledger,dead-mans-switch",
        "AlertmanagerNotificationsFailing": "ledger,page",
    }
    alerts = [rule for rule in rules_of(files) if "alert" in rule]
    assert alerts
    for rule in alerts:
        severity = rule["labels"]["severity"]
        receivers = special.get(rule["alert"]) or expected[severity]
        labels = [f"alertname={rule['alert']}", f"severity={severity}"]
        run(
            "amtool",
            tmp_path,
            "config",
            "routes",
            "test",
            f"--config.file={config}",
            f"--verify.receivers={receivers}",
            *labels,
        )


def rules_of(files: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    texts = files["midwatch-prometheus-rules"].values()
    return [
        rule
        for text in texts
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    ]


def test_links_in_alerts_lead_to_this_installation(files_of):
    values = {
        "grafana": {"externalUrl": "https://boards.example.com/"},
        "prometheus": {"runbooksUrl": "https://wiki.example.com/runbooks"},
    }
    alerts = [rule for rule in rules_of(files_of(values)) if "alert" in rule]
    for rule in alerts:
        assert rule["annotations"]["dashboard_url"].startswith("https://boards.example.com/d/")
        assert (
            rule["annotations"]["runbook_url"]
            == f"https://wiki.example.com/runbooks/{rule['alert']}"
        )


def test_resource_attributes_become_the_labels_of_the_contract(files_of):
    config = yaml.safe_load(files_of()["midwatch-prometheus"]["prometheus.yml"])
    assert config["otlp"]["promote_resource_attributes"] == [
        "service.name",
        "service.namespace",
        "service.version",
        "k8s.namespace.name",
        "k8s.pod.name",
        "deployment.environment.name",
        "midwatch.project",
    ]


def test_prometheus_scrapes_every_installed_component(files_of):
    def jobs(values: dict[str, Any]) -> set[str]:
        config = yaml.safe_load(files_of(values)["midwatch-prometheus"]["prometheus.yml"])
        return {job["job_name"] for job in config["scrape_configs"]}

    every = {"collector", "prometheus", "alertmanager", "tempo", "grafana", "ledger"}
    assert jobs({}) == every
    assert jobs({"tempo": {"enabled": False}}) == every - {"tempo"}


def test_critical_alerts_wait_a_second_for_company(files_of, everything):
    config = yaml.safe_load(files_of(everything)["midwatch-alertmanager"]["alertmanager.yml"])
    critical = 'severity="critical"'
    pages = [one for one in config["route"]["routes"] if critical in one.get("matchers", ())]
    assert len(pages) == 2
    assert {route["group_wait"] for route in pages} == {"1s"}


def test_every_label_that_inhibitions_compare_is_on_every_alert(files_of, everything):
    config = yaml.safe_load(files_of(everything)["midwatch-alertmanager"]["alertmanager.yml"])
    compared = {label for rule in config["inhibit_rules"] for label in rule.get("equal", [])}
    catalog = yaml.safe_load((ROOT / "prometheus-rules/catalog.yaml").read_text(encoding="utf-8"))
    assert compared <= {"alertname", *catalog["identity_labels"]}


def test_tempo_deletes_by_the_key_that_deletes_and_takes_what_the_collector_leaves(files_of):
    values = {"tempo": {"retention": "48h"}, "collector": {"maxAttributeBytes": 4096}}
    files = files_of(values)
    tempo = yaml.safe_load(files["midwatch-tempo"]["tempo.yaml"])
    assert tempo["backend_worker"]["compaction"]["block_retention"] == "48h"
    assert tempo["distributor"]["max_attribute_bytes"] == 4096
    assert "truncate_all(span.attributes, 4096)" in files["midwatch-collector"]["collector.yaml"]


def test_tempos_parts_are_told_where_the_others_are(files_of):
    tempo = yaml.safe_load(files_of({})["midwatch-tempo"]["tempo.yaml"])
    itself = f"127.0.0.1:{tempo['server']['grpc_listen_port']}"
    assert tempo["querier"]["frontend_worker"]["frontend_address"] == itself
    assert tempo["backend_worker"]["backend_scheduler_addr"] == itself


def test_grafana_has_fixed_data_sources_that_link_exemplars_to_traces(files_of):
    text = files_of()["midwatch-grafana-datasources"]["datasources.yaml"]
    sources = {one["uid"]: one for one in yaml.safe_load(text)["datasources"]}
    assert sources.keys() == {"prometheus", "tempo", "alertmanager"}
    (link,) = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert (link["name"], link["datasourceUid"]) == ("trace_id", "tempo")
    assert sources["tempo"]["jsonData"]["serviceMap"]["datasourceUid"] == "prometheus"


def test_a_data_source_that_is_absent_is_linked_by_nobody(files_of):
    text = files_of({"tempo": {"enabled": False}})["midwatch-grafana-datasources"][
        "datasources.yaml"
    ]
    assert "tempo" not in text


def test_grafana_reads_its_password_from_a_file(files_of):
    ini = files_of()["midwatch-grafana"]["grafana.ini"]
    assert "admin_password = $__file{/etc/midwatch/secrets/admin/admin-password}" in ini
    assert "secret_key = $__file{/etc/midwatch/secrets/admin/secret-key}" in ini
