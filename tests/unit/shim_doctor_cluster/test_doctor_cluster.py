"""`midwatch doctor --cluster`: a real Prometheus behind an API server that answers as real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_cluster import ApiServer, listed, named, node
from midwatch.cli import app
from midwatch.doctor.cluster import diagnose_cluster
from midwatch.doctor.cluster.prometheus import PROMOTED
from midwatch.doctor.cluster.visit import older
from midwatch.doctor.report import Report
from typer.testing import CliRunner

OPERATOR = "/apis/monitoring.coreos.com/v1"
OWN = {"app.kubernetes.io/name": "midwatch"}


def statuses(report: Report, section: str) -> dict[str, str]:
    return {name: one.status for name, one in report.section(section).items()}


@pytest.mark.programs
def test_a_prometheus_without_our_wishes_is_told_every_flag_and_field(
    cluster: ApiServer, bare: int
) -> None:
    cluster.offer("prometheus", 9090, bare)
    report = diagnose_cluster()
    section = report.section("prometheus monitoring/prometheus")
    assert {name for name, one in section.items() if one.status == "problem"} == {
        "OTLP receiver",
        "exemplars",
        "out of order",
        "labels",
        "alerting",
    }
    assert "--web.enable-otlp-receiver" in section["OTLP receiver"].remedy
    assert "--enable-feature=exemplar-storage" in section["exemplars"].remedy
    assert "out_of_order_time_window: 2h" in section["out of order"].remedy
    assert "k8s.namespace.name" in section["labels"].remedy
    assert section["rules"].status == "note"
    assert report.exit_code == 1


@pytest.mark.programs
@pytest.mark.parametrize("named_by", ["label", "service URL", "URL"])
def test_a_prometheus_that_takes_everything_has_no_problem_however_it_is_found(
    cluster: ApiServer, sound: int, named_by: str
) -> None:
    cluster.offer("prometheus" if named_by == "label" else "metrics", 9090, sound)
    urls = {"label": "", "URL": f"http://127.0.0.1:{sound}"}
    urls["service URL"] = "http://metrics.monitoring.svc.cluster.local:9090"
    report = diagnose_cluster(prometheus=urls[named_by])
    name = urls[named_by] or "monitoring/prometheus"
    found = statuses(report, f"prometheus {name}")
    assert found.pop("version") in ("ok", "note")
    assert set(found.values()) == {"ok"}, report.problems
    assert report.problems == ()
    assert set(cluster.asked) == {"Bearer secret-token"}


def test_a_chart_needs_a_prometheus_to_be_there(cluster: ApiServer) -> None:
    (found,) = diagnose_cluster().problems
    assert "--prometheus URL" in found.remedy


def test_an_old_prometheus_and_one_that_hides_its_configuration_are_told(
    cluster: ApiServer,
) -> None:
    built = {"data": {"version": "2.45.6"}}
    cluster.offer("prometheus", 9090, {"/api/v1/status/buildinfo": built})
    section = diagnose_cluster().section("prometheus monitoring/prometheus")
    assert (section["version"].status, section["version"].detail) == (
        "problem",
        "2.45.6 is too old",
    )
    assert section["configuration"].status == "note"
    assert section["exemplars"].status == "note"


SELECTORS: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"ruleSelector": {"matchLabels": {"release": "kps"}}}, {}, "problem", '{"release": "kps"}'),
    (
        {"ruleSelector": {"matchLabels": {"release": "kps"}}, "ruleNamespaceSelector": {}},
        {"release": "kps"},
        "ok",
        "",
    ),
    ({"ruleSelector": {}}, {}, "problem", "ruleNamespaceSelector: {}"),
    ({}, {}, "problem", "set ruleSelector: {} in the Prometheus object monitoring/main"),
    (
        {"ruleSelector": {}, "ruleNamespaceSelector": {"matchLabels": {"watch": "yes"}}},
        {},
        "problem",
        "kubectl label namespace midwatch watch=yes",
    ),
    (
        {
            "ruleSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]},
            "ruleNamespaceSelector": {},
        },
        {"team": "agents"},
        "ok",
        "",
    ),
]


@pytest.mark.parametrize(("spec", "labels", "status", "remedy"), SELECTORS)
def test_rules_that_the_operators_selectors_miss_are_told_with_what_to_set(
    cluster: ApiServer, spec: dict[str, Any], labels: dict[str, str], status: str, remedy: str
) -> None:
    query = "?labelSelector=app.kubernetes.io%2Fname%3Dmidwatch"
    main = named("main", "monitoring") | {"spec": spec}
    cluster.answers |= {
        OPERATOR: {},
        f"{OPERATOR}/prometheuses": listed(main),
        f"{OPERATOR}/prometheusrules{query}": listed(named("own", "midwatch", labels=OWN | labels)),
    }
    found = diagnose_cluster().section("operator monitoring/main")["rules"]
    assert (found.status, found.data["installed"]) == (status, 1)
    assert remedy in found.remedy


def test_before_the_install_the_labels_that_the_operator_wants_are_told(cluster: ApiServer) -> None:
    selector = {"matchLabels": {"release": "kps"}}
    main = named("main", "monitoring")
    main["spec"] = {"ruleSelector": selector, "ruleNamespaceSelector": {}}
    cluster.answers |= {OPERATOR: {}, f"{OPERATOR}/prometheuses": listed(main)}
    found = diagnose_cluster().section("operator monitoring/main")["rules"]
    assert found.status == "note"
    assert 'prometheusOperator.labels: {"release": "kps"}' in found.detail


@pytest.mark.parametrize(
    ("version", "runtime", "way"),
    [
        ("v1.36.3", "containerd://2.4.2", "image-volume"),
        ("v1.36.3", "containerd://1.7.27", "init-container"),
        ("v1.34.1", "cri-o://1.34.0", "init-container"),
    ],
)
def test_the_way_of_injection_follows_from_kubernetes_and_its_runtimes(
    cluster: ApiServer, version: str, runtime: str, way: str
) -> None:
    cluster.answers["/version"] = {"gitVersion": version}
    cluster.answers["/api/v1/nodes"] = listed(node(runtime))
    assert diagnose_cluster().section("cluster")["injection"].data["way"] == way


def test_an_old_cluster_without_a_default_class_is_told_both(cluster: ApiServer) -> None:
    cluster.answers["/version"] = {"gitVersion": "v1.27.9"}
    cluster.answers["/apis/storage.k8s.io/v1/storageclasses"] = listed(named("slow"))
    cluster.answers["/apis/admissionregistration.k8s.io/v1"] = {"resources": []}
    section = diagnose_cluster().section("cluster")
    assert section["version"].status == section["volumes"].status == "problem"
    assert section["volumes"].remedy == "set global.storageClass (slow)"
    assert section["injection"].data["way"] == "none"


def test_receivers_and_stores_are_asked_and_their_versions_judged(cluster: ApiServer) -> None:
    cluster.offer("gateway", 4318, {"/v1/traces": {}})
    cluster.offer("closed", 4318, {"/v1/traces": 401})
    cluster.offer("tempo", 3200, {"/api/status/buildinfo": {"version": "3.0.1"}})
    cluster.offer("grafana", 80, {"/api/health": {"version": "9.5.2"}})
    status = {"versionInfo": {"version": "0.31.1"}}
    cluster.offer("kube-prometheus-stack-alertmanager", 9093, {"/api/v2/status": status})
    report = diagnose_cluster()
    assert statuses(report, "receivers") == {
        "monitoring/gateway": "ok",
        "monitoring/closed": "problem",
    }
    assert statuses(report, "tempo") == {"monitoring/tempo": "ok"}
    assert statuses(report, "grafana") == {"monitoring/grafana": "problem"}
    told = report.section("alertmanager")["monitoring/kube-prometheus-stack-alertmanager"]
    assert told.detail == "0.31.1"


def test_what_may_not_be_read_is_a_problem_with_the_rights_to_give(cluster: ApiServer) -> None:
    cluster.answer = lambda path, data: (403, {"message": "services is forbidden"})
    problems = diagnose_cluster().problems
    assert any("services is forbidden" in one.detail for one in problems)
    assert any("docs/bring-your-own.md" in one.remedy for one in problems)
    assert not any("defect" in one.remedy for one in problems)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["doctor", "--cluster", *arguments])

    return invoke


def test_the_command_prints_json_and_a_cluster_that_is_not_there_is_one_problem(
    run: Callable[..., Any], cluster: ApiServer
) -> None:
    told = json.loads(run("--json").output)
    assert told["schema_version"] == 1
    assert {one["section"] for one in told["findings"]} >= {"cluster", "prometheus", "operator"}
    none = run("--context", "elsewhere")
    assert none.exit_code == 1
    assert "elsewhere" in none.output
    assert "--context" in none.output
    assert "secret-token" not in none.output + json.dumps(told)


@pytest.mark.parametrize(
    ("given", "least", "expected"),
    [("v1.29.0+k3s1", "1.29", False), ("1.9.9", "1.10", True), ("3.0.0-rc.1", "3.0.0", False)],
)
def test_versions_are_compared_by_their_numbers(given: str, least: str, expected: bool) -> None:
    assert older(given, least) is expected


def test_the_labels_that_are_asked_for_are_those_of_the_charts_own_prometheus() -> None:
    root = Path(__file__).resolve().parents[3]
    golden = (root / "charts/midwatch/examples/default/rendered.yaml").read_text(encoding="utf-8")
    settings = [
        yaml.safe_load(one["data"]["prometheus.yml"])
        for one in yaml.load_all(golden, yaml.CSafeLoader)
        if one and "prometheus.yml" in one.get("data", {})
    ]
    assert [each["otlp"]["promote_resource_attributes"] for each in settings] == [list(PROMOTED)]
