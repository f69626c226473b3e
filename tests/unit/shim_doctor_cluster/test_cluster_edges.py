"""`midwatch doctor --cluster` where a cluster or a program in it answers in another way."""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from fake_cluster import ApiServer, listed, named
from midwatch.doctor.cluster import diagnose_cluster
from midwatch.doctor.cluster.prometheus import PROMOTED
from midwatch.doctor.cluster.selectors import labels_for, selects, told
from midwatch.doctor.report import Finding

from tests.free_ports import free_port

OPERATOR = "/apis/monitoring.coreos.com/v1"


@pytest.mark.parametrize(
    ("operator", "values", "taken", "not_taken"),
    [
        ("In", ["a", "b"], {"team": "b"}, {"team": "c"}),
        ("NotIn", ["a", "b"], {}, {"team": "a"}),
        ("Exists", None, {"team": ""}, {"other": "a"}),
        ("DoesNotExist", None, {"other": "a"}, {"team": "a"}),
    ],
)
def test_each_operator_of_a_selector_takes_what_kubernetes_takes(
    operator: str, values: list[str] | None, taken: dict[str, str], not_taken: dict[str, str]
) -> None:
    selector = {"matchExpressions": [{"key": "team", "operator": operator, "values": values}]}
    assert selects(selector, taken)
    assert not selects(selector, not_taken)
    assert selects({}, not_taken)
    assert f"team {operator}" in told(selector)


@pytest.mark.parametrize(
    "selector",
    [
        {},
        {"matchLabels": {"a": "b"}},
        {"matchExpressions": [{"key": "team", "operator": "In", "values": ["x", "y"]}]},
        {"matchExpressions": [{"key": "team", "operator": "Exists"}], "matchLabels": {"team": "x"}},
        {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]},
    ],
)
def test_the_labels_that_are_proposed_for_a_selector_are_taken_by_it(
    selector: dict[str, Any],
) -> None:
    assert selects(selector, labels_for(selector))


def test_a_selector_is_told_in_one_line() -> None:
    expression = {"key": "team", "operator": "In", "values": ["x", "y"]}
    selector = {"matchLabels": {"a": "b"}, "matchExpressions": [expression]}
    assert told(selector) == "a=b, team In (x, y)"
    assert told({}) == "everything"


def prometheus_that_says(cluster: ApiServer, **answers: Any) -> dict[str, Finding]:
    """What is found of a Prometheus that gives these answers to its API of status."""
    paths = {
        "built": "/api/v1/status/buildinfo",
        "flags": "/api/v1/status/flags",
        "config": "/api/v1/status/config",
        "rules": "/api/v1/rules?type=alert",
        "alertmanagers": "/api/v1/alertmanagers",
        "otlp": "/api/v1/otlp/v1/metrics",
    }
    given = {"built": {"version": "3.13.0"}, **answers}
    behind = {
        paths[name]: answer if isinstance(answer, int) else {"data": answer}
        for name, answer in given.items()
    }
    cluster.offer("prometheus", 9090, behind)
    return diagnose_cluster().section("prometheus monitoring/prometheus")


def test_a_program_that_is_no_prometheus_is_told_and_asked_no_more(cluster: ApiServer) -> None:
    found = prometheus_that_says(cluster, built=404)
    assert list(found) == ["version"]
    assert found["version"].detail == "/api/v1/status/buildinfo answered 404"
    assert "--prometheus" in found["version"].remedy


def test_a_prometheus_older_than_what_is_tested_is_worth_knowing(cluster: ApiServer) -> None:
    found = prometheus_that_says(cluster, built={"version": "3.1.0"})["version"]
    assert (found.status, found.detail) == ("note", "3.1.0; tested is 3.13.0")


def test_a_receiver_that_something_stands_before_is_told_as_that(cluster: ApiServer) -> None:
    found = prometheus_that_says(cluster, otlp=403)["OTLP receiver"]
    assert found.data["http_status"] == 403
    assert "a proxy, its rights, or a NetworkPolicy" in found.remedy


@pytest.mark.parametrize("config", [{"yaml": "a: [b"}, {"yaml": "- a list"}, {"yaml": 7}])
def test_a_configuration_that_cannot_be_read_is_left_to_the_reader(
    cluster: ApiServer, config: dict[str, Any]
) -> None:
    found = prometheus_that_says(cluster, config=config)
    assert found["configuration"].status == "note"
    assert not {"out of order", "labels"} & set(found)


def test_a_window_that_is_too_short_and_labels_that_are_left_out_are_told(
    cluster: ApiServer,
) -> None:
    settings = {
        "storage": {"tsdb": {"out_of_order_time_window": "1h30m"}},
        "otlp": {
            "promote_all_resource_attributes": True,
            "ignore_resource_attributes": [PROMOTED[0]],
        },
    }
    found = prometheus_that_says(cluster, config={"yaml": yaml.safe_dump(settings)})
    assert found["out of order"].status == "problem"
    assert found["out of order"].data["minutes"] == 90
    assert found["labels"].data["missing"] == [PROMOTED[0]]


def test_rules_that_cannot_be_evaluated_are_named(cluster: ApiServer) -> None:
    rules = [{"name": "AgentSlow", "health": "err"}, {"name": "AgentGone", "health": "ok"}]
    groups = [{"name": "midwatch-agents", "rules": rules}, {"name": "others", "rules": [{}]}]
    found = prometheus_that_says(cluster, rules={"groups": groups})["rules"]
    assert (found.status, found.data["alerts"]) == ("problem", 2)
    assert found.detail == "can't evaluate AgentSlow"


def test_where_its_alerts_go_is_told(cluster: ApiServer) -> None:
    active = [{"url": "http://alerts:9093/api/v2/alerts"}]
    found = prometheus_that_says(cluster, alertmanagers={"activeAlertmanagers": active})
    assert found["alerting"].detail == "sends to http://alerts:9093/api/v2/alerts"


def test_an_operator_without_a_prometheus_is_told(cluster: ApiServer) -> None:
    cluster.answers |= {OPERATOR: {}, f"{OPERATOR}/prometheuses": listed()}
    assert diagnose_cluster().section("operator")["operator"].detail == (
        "there is no Prometheus object"
    )


def test_before_the_install_an_operator_that_takes_everything_needs_no_labels(
    cluster: ApiServer,
) -> None:
    main = named("main", "monitoring")
    main["spec"] = {"ruleSelector": {}, "ruleNamespaceSelector": {}}
    cluster.answers |= {OPERATOR: {}, f"{OPERATOR}/prometheuses": listed(main)}
    found = diagnose_cluster().section("operator monitoring/main")["rules"]
    assert found.detail == "none is there; for them set prometheusOperator.rules: true"


def test_a_store_that_is_not_what_its_labels_say_is_a_problem(cluster: ApiServer) -> None:
    cluster.offer("tempo", 3200, {"/api/status/buildinfo": 503})
    found = diagnose_cluster().section("tempo")["monitoring/tempo"]
    assert (found.status, found.data["http_status"]) == ("problem", 503)


def test_an_answer_of_another_shape_is_told_and_the_other_checks_go_on(
    cluster: ApiServer,
) -> None:
    cluster.answers["/api/v1/nodes"] = listed({"status": {}})
    report = diagnose_cluster()
    assert any("could not be read (KeyError" in one.detail for one in report.problems)
    assert report.section("operator")["operator"].status == "note"


def test_a_service_that_wants_tls_is_asked_again_with_it(cluster: ApiServer) -> None:
    cluster.offer("prometheus", 9090, {})
    asked: list[str] = []

    def answer(path: str, data: bytes | None) -> tuple[int, Any]:
        if "/proxy/" not in path:
            return (200, cluster.answers[path]) if path in cluster.answers else (404, {})
        asked.append(path)
        if "/https:prometheus:" not in path:
            return 400, b"Client sent an HTTP request to an HTTPS server.\n"
        return 200, {"data": {"version": "3.13.0"}}

    cluster.answer = answer
    found = diagnose_cluster().section("prometheus monitoring/prometheus")
    assert found["version"].status == "ok"
    assert [path for path in asked if "/https:" not in path] == asked[:1]


def test_the_url_of_a_service_keeps_its_scheme_its_port_and_its_path(cluster: ApiServer) -> None:
    asked: list[str] = []

    def answer(path: str, data: bytes | None) -> tuple[int, Any]:
        asked.append(path)
        return (200, cluster.answers[path]) if path in cluster.answers else (404, {})

    cluster.answer = answer
    diagnose_cluster(prometheus="https://metrics.monitoring.svc/prometheus/")
    assert (
        "/api/v1/namespaces/monitoring/services/https:metrics:443/proxy"
        "/prometheus/api/v1/status/buildinfo"
    ) in asked


@pytest.fixture
def locked() -> Iterator[str]:
    """The URL of a server that lets nobody in."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_prometheus_by_its_url_that_lets_nobody_in_is_told(
    cluster: ApiServer, locked: str
) -> None:
    found = diagnose_cluster(prometheus=locked).section(f"prometheus {locked}")["version"]
    assert found.detail.endswith("answered 401")


def test_a_prometheus_by_its_url_that_is_not_there_is_told(cluster: ApiServer) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    found = diagnose_cluster(prometheus=url).section("prometheus")["prometheus"]
    assert f"{url} does not answer" in found.detail
    assert found.remedy == "see whether it runs, and its address"


def test_a_cluster_that_does_not_answer_is_told_by_its_address(
    cluster: ApiServer, tmp_path: Any
) -> None:
    file = tmp_path / "kubeconfig"
    text = file.read_text().replace(str(cluster.server_port), str(free_port()))
    file.write_text(text)
    problems = diagnose_cluster(timeout_seconds=2).problems
    assert problems
    assert all("does not answer" in one.detail for one in problems)
    assert all("secret-token" not in str(one) for one in problems)


def test_without_the_client_of_kubernetes_its_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    (found,) = diagnose_cluster().problems
    assert found.remedy == "install midwatch[cluster]"


def test_in_a_pod_without_an_account_the_kubeconfig_is_asked_for(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (found,) = diagnose_cluster().problems
    assert found.name == "access"
    assert "a pod with a service account" in found.remedy
