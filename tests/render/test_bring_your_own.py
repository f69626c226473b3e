"""Objects for operators that run a Prometheus or a Grafana of the user's own, and TLS by option."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml
from chart_examples import example_values
from manifests.plan import repository_root
from toolchain import program_path

SERVERS = ("collector", "prometheus", "alertmanager", "tempo", "grafana")


def of_kind(rendered: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    found = [item for item in rendered if item["kind"] == kind]
    return {item["metadata"]["name"].removeprefix("midwatch-"): item for item in found}


@pytest.fixture(scope="module")
def operator(objects) -> list[dict[str, Any]]:
    return objects(example_values("operator"))


@pytest.mark.programs
def test_the_prometheus_rule_holds_every_rule_and_promtool_takes_it(operator, files_of, tmp_path):
    (rule,) = of_kind(operator, "PrometheusRule").values()
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    command = [str(program_path("promtool")), "check", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    texts = files_of()["midwatch-prometheus-rules"].values()
    groups = [group["name"] for text in texts for group in yaml.safe_load(text)["groups"]]
    assert sorted(group["name"] for group in rule["spec"]["groups"]) == sorted(groups)
    assert rule["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_comments_are_left_out_of_rules_and_nothing_else(files_of):
    folder = repository_root() / "charts/midwatch/files/rules"
    for name, text in files_of()["midwatch-prometheus-rules"].items():
        original = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
        rendered = yaml.safe_load(text)
        assert [len(group["rules"]) for group in rendered["groups"]] == [
            len(group["rules"]) for group in original["groups"]
        ]
        for ours, theirs in zip(rendered["groups"], original["groups"], strict=True):
            for one, other in zip(ours["rules"], theirs["rules"], strict=True):
                assert one.get("annotations", {}).get("description") == other.get(
                    "annotations", {}
                ).get("description")


def test_each_service_monitor_finds_one_service_and_names_the_job_that_rules_know(operator):
    services = [item for item in operator if item["kind"] == "Service"]
    monitors = of_kind(operator, "ServiceMonitor")
    assert monitors.keys() == {"collector", "tempo", "ledger"}
    for name, monitor in monitors.items():
        assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
        selector = monitor["spec"]["selector"]
        (service,) = [
            one
            for one in services
            if selector["matchLabels"].items() <= one["metadata"]["labels"].items()
            and all(e["key"] in one["metadata"]["labels"] for e in selector["matchExpressions"])
        ]
        assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == name
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_a_prometheus_of_yours_may_reach_what_it_is_told_to_scrape(operator):
    for name in ("collector", "tempo"):
        policy = of_kind(operator, "NetworkPolicy")[name]["spec"]["ingress"]
        anywhere = {
            port["port"]
            for rule in policy
            if {"namespaceSelector": {}} in rule["from"]
            for port in rule["ports"]
        }
        assert ("metrics" if name == "collector" else "http") in anywhere


def test_boards_for_a_sidecar_are_whole_and_carry_its_label(operator):
    boards = {
        name: item
        for name, item in of_kind(operator, "ConfigMap").items()
        if name.startswith("grafana-board-")
    }
    assert len(boards) == 5
    for item in boards.values():
        assert item["metadata"]["labels"]["grafana_dashboard"] == "1"
        (text,) = item["data"].values()
        assert json.loads(text)["uid"].startswith("midwatch-")


def test_grafana_operator_gets_boards_and_data_sources_for_the_grafana_that_is_named(objects):
    values = example_values("operator")
    values["grafana"]["external"] |= {
        "boards": "operator",
        "instanceSelector": {"dashboards": "on-call"},
    }
    rendered = objects(values)
    maps = of_kind(rendered, "ConfigMap")
    boards, sources = of_kind(rendered, "GrafanaDashboard"), of_kind(rendered, "GrafanaDatasource")
    assert len(boards) == 5
    for item in (*boards.values(), *sources.values()):
        assert item["spec"]["instanceSelector"]["matchLabels"] == {"dashboards": "on-call"}
    for item in boards.values():
        reference = item["spec"]["configMapRef"]
        assert reference["key"] in maps[reference["name"].removeprefix("midwatch-")]["data"]
    uids = {item["spec"]["datasource"]["uid"] for item in sources.values()}
    assert uids == {"prometheus", "tempo", "alertmanager"}


@pytest.fixture(scope="module")
def secured(objects) -> list[dict[str, Any]]:
    return objects(example_values("tls"))


def test_each_server_has_a_certificate_for_every_name_under_which_it_is_called(secured):
    certificates = of_kind(secured, "Certificate")
    assert certificates.keys() == set(SERVERS)
    for name, item in certificates.items():
        assert item["spec"]["issuerRef"]["name"] == "midwatch-ca"
        assert {
            f"midwatch-{name}",
            f"midwatch-{name}.midwatch.svc",
            f"*.midwatch-{name}-pods.midwatch.svc",
        } <= set(item["spec"]["dnsNames"])
        pod = of_kind(secured, "StatefulSet")[name]["spec"]["template"]["spec"]
        (volume,) = [one for one in pod["volumes"] if one["name"] == "tls"]
        assert volume["secret"]["secretName"] == item["spec"]["secretName"]


def test_with_tls_nothing_of_midwatch_is_called_in_the_clear_but_the_ledger(secured):
    text = json.dumps([item["data"] for item in secured if item["kind"] == "ConfigMap"])
    for name in SERVERS:
        assert f"http://midwatch-{name}" not in text, name
    collector = yaml.safe_load(of_kind(secured, "ConfigMap")["collector"]["data"]["collector.yaml"])
    exporters = collector["exporters"]
    assert exporters["otlp_http/tempo"]["tls"] == {"ca_file": "/etc/midwatch/tls/ca.crt"}
    assert exporters["otlp_http/prometheus"]["tls"] == {"ca_file": "/etc/midwatch/tls/ca.crt"}
    for protocol in collector["receivers"]["otlp"]["protocols"].values():
        assert protocol["tls"]["cert_file"] == "/etc/midwatch/tls/tls.crt"


def test_probes_and_scrapes_of_servers_with_tls_use_it(secured):
    for name in ("prometheus", "alertmanager", "tempo", "grafana"):
        (container,) = of_kind(secured, "StatefulSet")[name]["spec"]["template"]["spec"][
            "containers"
        ]
        assert container["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    text = of_kind(secured, "ConfigMap")["prometheus"]["data"]["prometheus.yml"]
    for job in yaml.safe_load(text)["scrape_configs"]:
        plain = job["job_name"] in {"collector", "ledger"}
        assert ("scheme" in job) is not plain, job["job_name"]
