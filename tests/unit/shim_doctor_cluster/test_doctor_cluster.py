"""`midwatch doctor --cluster`: a real Prometheus behind an API server that answers as real ones."""

from __future__ import annotations

import http.server
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from midwatch.cli import app
from midwatch.doctor.cluster import diagnose_cluster
from midwatch.doctor.cluster.visit import older
from midwatch.doctor.report import Report
from toolchain import program_path
from typer.testing import CliRunner

PROXIED = re.compile(r"/api/v1/namespaces/([\w-]+)/services/(?:https:)?([\w-]+):(\d+)/proxy(/.*)")
OPERATOR = "/apis/monitoring.coreos.com/v1"
OWN = {"app.kubernetes.io/name": "midwatch"}
SOUND = """
storage: {tsdb: {out_of_order_time_window: 2h}}
otlp: {promote_all_resource_attributes: true}
rule_files: [rules.yaml]
alerting: {alertmanagers: [{static_configs: [{targets: [alerts.example:9093]}]}]}
"""
RULES = """
groups: [{name: midwatch-watchdog, rules: [{alert: Watchdog, expr: vector(1)}]}]
"""


class ApiServer(http.server.ThreadingHTTPServer):
    """What a cluster answers by path; a service is another server, or an answer by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.services: dict[str, dict[str, Any] | int] = {}
        self.asked: list[str | None] = []
        self.answers: dict[str, Any] = {
            "/version": {"gitVersion": "v1.36.3"},
            "/api/v1/services": listed(),
            "/api/v1/nodes": listed(node("containerd://2.4.2")),
            "/api/v1/namespaces": listed(named("midwatch"), named("monitoring")),
            "/apis/storage.k8s.io/v1/storageclasses": listed(
                named("fast", annotations={"storageclass.kubernetes.io/is-default-class": "true"})
            ),
            "/apis/admissionregistration.k8s.io/v1": {
                "resources": [{"name": "mutatingadmissionpolicies"}]
            },
        }

    def offer(self, name: str, port: int, behind: dict[str, Any] | int, **labels: str) -> None:
        """Add a Service of the namespace monitoring and what is behind it."""
        self.services[f"{name}:{port}"] = behind
        service = named(name, "monitoring", labels={"app.kubernetes.io/name": name, **labels})
        service["spec"] = {"clusterIP": "10.0.0.1", "ports": [{"port": port, "name": "http"}]}
        service["spec"]["selector"] = {"app": name}
        self.answers["/api/v1/services"]["items"].append(service)

    def answer(self, path: str, data: bytes | None) -> tuple[int, Any]:
        found = PROXIED.fullmatch(path)
        if found is None:
            return (200, self.answers[path]) if path in self.answers else (404, {})
        behind = self.services[f"{found[2]}:{found[3]}"]
        if isinstance(behind, int):
            return passed_on(f"http://127.0.0.1:{behind}{found[4]}", data)
        answer = behind.get(found[4], 404)
        return (answer, {}) if isinstance(answer, int) else (200, answer)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"] or 0)))

    def _answer(self, data: bytes | None) -> None:
        self.server.asked.append(self.headers["Authorization"])
        status, body = self.server.answer(self.path, data)
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def passed_on(url: str, data: bytes | None) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/x-protobuf"} if data is not None else {}
    method = "GET" if data is None else "POST"
    answer = httpx.request(method, url, content=data, headers=headers)
    return answer.status_code, answer.content


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(items)}


def named(name: str, namespace: str = "", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "spec": {}}


def node(runtime: str) -> dict[str, Any]:
    return {"status": {"nodeInfo": {"containerRuntimeVersion": runtime}}}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def prometheus(folder: Path, config: str, *arguments: str) -> Iterator[int]:
    folder.mkdir()
    (folder / "prometheus.yaml").write_text(config)
    (folder / "rules.yaml").write_text(RULES)
    port = free_port()
    command = [str(program_path("prometheus")), f"--config.file={folder / 'prometheus.yaml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", *arguments]
    command += [f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if passed_on(f"http://127.0.0.1:{port}/-/ready", None)[0] == 200:
                    break
            except httpx.HTTPError:
                assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Prometheus as it is without Midwatch's wishes."""
    with prometheus(tmp_path_factory.mktemp("bare") / "p", "global: {}\n") as port:
        yield port


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    flags = (
        "--web.enable-otlp-receiver",
        "--enable-feature=exemplar-storage,memory-snapshot-on-shutdown",
    )
    with prometheus(tmp_path_factory.mktemp("sound") / "p", SOUND, *flags) as port:
        yield port


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    server = ApiServer()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    kubeconfig = {
        "clusters": [
            {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        ],
        "users": [{"name": "u", "user": {"token": "secret-token"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "here",
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    yield server
    server.shutdown()
    server.server_close()


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
    cluster.answer = lambda path, data: (403, {"message": "services is forbidden"})  # type: ignore[method-assign]
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
