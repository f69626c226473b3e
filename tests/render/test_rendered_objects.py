"""What the chart renders is what the Kubernetes API and the chart's own conventions ask for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from chart_examples import example_names, example_values
from manifests.objects import problems_of
from older_kubernetes import older_versions, problems_with

COMPONENTS = ("collector", "prometheus", "alertmanager", "tempo", "grafana", "ledger")
LABEL = "app.kubernetes.io/component"
WORKLOADS = {"StatefulSet", "Deployment"}
PORTS = {
    "collector": {"otlp-grpc": 4317, "otlp-http": 4318, "health": 13133, "metrics": 8888},
    "prometheus": {"http": 9090},
    "alertmanager": {"http": 9093},
    "tempo": {"http": 3200, "otlp-grpc": 4317, "otlp-http": 4318, "grpc": 9095, "gossip": 7946},
    "grafana": {"http": 3000},
    "ledger": {"http": 8088},
}


def by_kind(objects: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    return [item for item in objects if item["kind"] in kinds]


# Kinds that an operator brings; what is in them is tested with what they are for.
CUSTOM = {
    "cert-manager.io/v1": {"Certificate"},
    "monitoring.coreos.com/v1": {"PrometheusRule", "ServiceMonitor", "PodMonitor"},
    "grafana.integreatly.org/v1beta1": {"GrafanaDashboard", "GrafanaDatasource"},
}


def custom(item: dict[str, Any]) -> bool:
    """Whether it is of a kind that an operator brings."""
    return item["kind"] in CUSTOM.get(item["apiVersion"], set())


def headless(item: dict[str, Any]) -> bool:
    """Whether it is a Service that only gives names to pods."""
    return item["kind"] == "Service" and item["spec"].get("clusterIP") == "None"


def container_of(workload: dict[str, Any]) -> dict[str, Any]:
    containers = workload["spec"]["template"]["spec"]["containers"]
    assert len(containers) == 1
    return containers[0]


def test_every_object_of_every_example_fits_the_kubernetes_api(objects, example):
    rendered = [item for item in objects(example) if not custom(item)]
    assert [problem for item in rendered for problem in problems_of(item)] == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"spec": {"replicass": 1}}, "replicass is no field"),
        ({"spec": {"replicas": "1"}}, "must be of type int"),
        ({"spec": {"replicas": True}}, "must be of type int"),
        ({"spec": {"ports": {}}}, "must be a list"),
        ({"kind": "Sevice"}, "no such kind"),
    ],
)
def test_an_object_that_does_not_fit_the_api_is_told(change, problem):
    good = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {}}
    if "replicas" in str(change):
        good |= {"apiVersion": "v1", "kind": "ReplicationController"}
    assert problems_of(good) == []
    assert any(problem in found for found in problems_of(good | change))


@pytest.mark.parametrize("version", older_versions())
def test_every_object_of_every_example_fits_older_kubernetes_apis(objects, everything, version):
    examples = [example_values(name) for name in example_names()]
    rendered = [
        item
        for values in [*examples, everything]
        for item in objects(values)
        # Rendered only where the cluster has the kind, which a real install asks it.
        if not custom(item) and not item["kind"].startswith("MutatingAdmissionPolicy")
    ]
    assert problems_with(version, rendered) == []


def test_what_came_later_does_not_fit_an_older_kubernetes_api():
    volume = {"name": "shim", "image": {"reference": "shim:1"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "a"}], "volumes": [volume]},
    }
    assert problems_of(pod) == []
    (problem,) = problems_with("1.29", [pod])
    assert "volumes[0].image is no field" in problem


def test_each_component_has_one_workload_service_account_and_network_policy(objects):
    rendered = objects()
    for kinds in (WORKLOADS, {"Service"}, {"ServiceAccount"}, {"NetworkPolicy"}):
        named = [item["metadata"] for item in by_kind(rendered, *kinds) if not headless(item)]
        assert sorted(meta["labels"][LABEL] for meta in named) == sorted(COMPONENTS)
        assert {meta["name"] for meta in named} == {f"midwatch-{name}" for name in COMPONENTS}


def test_each_port_of_a_program_is_a_named_container_port(objects):
    for workload in by_kind(objects(), *WORKLOADS):
        container = container_of(workload)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == PORTS[container["name"]]


def test_no_object_leaves_the_namespace_of_the_release_unnamed(objects):
    clusterwide = {"ClusterRole", "ClusterRoleBinding"}
    clusterwide |= {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}
    for item in objects(namespace="watch"):
        expected = None if item["kind"] in clusterwide else "watch"
        assert item["metadata"].get("namespace") == expected, item["metadata"]["name"]


def test_selectors_services_probes_and_policies_name_what_the_pods_have(objects, example):
    rendered = objects(example)
    pods = [workload["spec"]["template"] for workload in by_kind(rendered, *WORKLOADS)]

    def selected(labels: dict[str, str]) -> list[dict[str, Any]]:
        return [pod for pod in pods if labels.items() <= pod["metadata"]["labels"].items()]

    def names(pod: dict[str, Any]) -> set[str]:
        return {port["name"] for port in pod["spec"]["containers"][0]["ports"]}

    for service in by_kind(rendered, "Service"):
        (pod,) = selected(service["spec"]["selector"])
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names(pod)
    for policy in by_kind(rendered, "NetworkPolicy"):
        (pod,) = selected(policy["spec"]["podSelector"]["matchLabels"])
        rules = policy["spec"]["ingress"]
        assert {port["port"] for rule in rules for port in rule["ports"]} <= names(pod)
    for pod in pods:
        container = pod["spec"]["containers"][0]
        for probe in ("readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["port"] in names(pod)


def test_what_a_pod_mounts_is_rendered_beside_it(objects, example):
    rendered = objects(example)
    maps = {item["metadata"]["name"] for item in by_kind(rendered, "ConfigMap")}
    for workload in by_kind(rendered, *WORKLOADS):
        spec = workload["spec"]["template"]["spec"]
        volumes = {volume["name"] for volume in spec["volumes"]}
        claims = workload["spec"].get("volumeClaimTemplates", [])
        volumes |= {claim["metadata"]["name"] for claim in claims}
        assert {mount["name"] for mount in container_of(workload)["volumeMounts"]} == volumes
        mounted = {
            volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume
        }
        assert mounted <= maps


def test_every_secret_of_tls_that_a_pod_mounts_is_asked_of_cert_manager(objects, everything):
    values = everything | {"tls": {"mode": "certManager", "issuer": {"name": "any"}}}
    rendered = objects(values)
    made = {item["spec"]["secretName"] for item in by_kind(rendered, "Certificate")}
    mounted = {
        volume["secret"]["secretName"]
        for workload in by_kind(rendered, *WORKLOADS)
        for volume in workload["spec"]["template"]["spec"]["volumes"]
        if volume["name"] == "tls"
    }
    assert mounted == made
    assert mounted


def test_no_mount_lies_inside_another(objects, everything):
    for workload in by_kind(objects(everything), *WORKLOADS):
        paths = [mount["mountPath"] for mount in container_of(workload)["volumeMounts"]]
        nested = [(a, b) for a in paths for b in paths if a != b and b.startswith(f"{a}/")]
        assert nested == []


def test_each_address_in_a_configuration_is_a_port_of_a_rendered_service(objects, render, example):
    services = {
        (item["metadata"]["name"], port["port"])
        for item in by_kind(objects(example), "Service")
        for port in item["spec"]["ports"]
    }
    found = set(re.findall(r"(midwatch-[a-z-]+)\.midwatch\.svc:(\d+)", render(example)))
    # Links in alerts lead to Grafana; nothing connects there.
    # Gossip is no port of a Service: pods' names are enough for it.
    named = {(name, int(port)) for name, port in found if name != "midwatch-grafana"}
    assert {one for one in named if one[1] != 9094} <= services
    assert found


def test_a_component_that_is_off_leaves_nothing_behind(objects):
    off = {"tempo": {"enabled": False}, "grafana": {"enabled": False}}
    labels = {item["metadata"]["labels"][LABEL] for item in objects(off)}
    assert labels - {"tests"} == set(COMPONENTS) - {"tempo", "grafana"}


def test_a_changed_configuration_restarts_its_pods_and_no_others(objects):
    def checksums(values: dict[str, Any]) -> dict[str, str]:
        return {
            item["metadata"]["name"]: item["spec"]["template"]["metadata"]["annotations"][
                "checksum/config"
            ]
            for item in by_kind(objects(values), *WORKLOADS)
        }

    before, after = checksums({}), checksums({"prometheus": {"outOfOrderWindow": "3h"}})
    assert {name for name in before if before[name] != after[name]} == {"midwatch-prometheus"}


def test_postgresql_makes_the_ledger_a_deployment_without_a_volume(objects):
    rendered = objects({"ledger": {"database": {"existingSecret": "db"}, "replicas": 2}})
    (ledger,) = by_kind(rendered, "Deployment")
    env = {one["name"]: one for one in container_of(ledger)["env"]}
    assert ledger["spec"]["replicas"] == 2
    assert env["MIDWATCH_LEDGER_DATABASE_URL"]["valueFrom"] == {
        "secretKeyRef": {"name": "db", "key": "url"}
    }
    assert {volume["name"] for volume in ledger["spec"]["template"]["spec"]["volumes"]} == {
        "tmp",
        "secret-ledger",
    }


def test_an_image_comes_from_the_global_registry_and_a_digest_wins(objects):
    digest = f"sha256:{'0' * 64}"
    values = {
        "global": {"imageRegistry": "registry.local/mirror"},
        "tempo": {"image": {"digest": digest}},
    }
    images = {
        container_of(item)["name"]: container_of(item)["image"]
        for item in by_kind(objects(values), *WORKLOADS)
    }
    assert images["tempo"] == f"registry.local/mirror/grafana/tempo@{digest}"
    assert images["prometheus"] == "registry.local/mirror/prometheus/prometheus:v3.16.0"
    assert all(image.startswith("registry.local/mirror/") for image in images.values())


@pytest.mark.parametrize("chart", ["security-agent", "retail-simulation"])
def test_the_demo_charts_fit_the_kubernetes_api(objects, chart):
    rendered = objects(None, chart, release=chart, namespace="demo")
    assert [problem for item in rendered for problem in problems_of(item)] == []
    assert {item["metadata"]["name"] for item in rendered} == {chart}


def test_the_retail_simulation_knows_nothing_of_telemetry(render):
    text = render(None, "retail-simulation", release="retail-simulation", namespace="demo")
    assert re.findall(r"(?i)otel|otlp|telemetry|midwatch\.dev|AGENT_|MIDWATCH_", text) == []
