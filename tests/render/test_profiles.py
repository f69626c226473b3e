"""The profile ha: several of each, two tiers of collectors, and everything that several need."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from chart_examples import example_values


@pytest.fixture(scope="module")
def ha(objects) -> list[dict[str, Any]]:
    return objects(example_values("ha"))


@pytest.fixture(scope="module")
def shards(objects) -> list[dict[str, Any]]:
    return objects(example_values("ha-shards"))


def one(rendered: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [
        item
        for item in rendered
        if item["kind"] == kind and item["metadata"]["name"] == f"midwatch-{name}"
    ]
    return found


def config(rendered: list[dict[str, Any]], name: str, file: str) -> dict[str, Any]:
    return yaml.safe_load(one(rendered, "ConfigMap", name)["data"][file])


def names_of(rendered: list[dict[str, Any]], kind: str) -> set[str]:
    return {
        item["metadata"]["name"].removeprefix("midwatch-")
        for item in rendered
        if item["kind"] == kind
    }


def test_in_small_one_of_each_runs_and_nothing_asks_for_more(objects):
    rendered = objects()
    workloads = [item for item in rendered if item["kind"] in {"StatefulSet", "Deployment"}]
    assert {item["spec"]["replicas"] for item in workloads} == {1}
    assert not names_of(rendered, "PodDisruptionBudget")
    assert not names_of(rendered, "HorizontalPodAutoscaler")
    assert not any("topologySpreadConstraints" in str(item) for item in workloads)


def test_in_ha_several_run_that_are_spread_and_keep_a_disruption_budget(ha):
    several = {"collector", "sampler", "prometheus", "alertmanager", "ledger", "grafana"}
    assert names_of(ha, "PodDisruptionBudget") == several
    for name in several:
        kind = "Deployment" if name == "ledger" else "StatefulSet"
        workload = one(ha, kind, name)
        spread = workload["spec"]["template"]["spec"]["topologySpreadConstraints"]
        labels = workload["spec"]["selector"]["matchLabels"]
        assert {item["topologyKey"] for item in spread} == {
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        }
        assert all(item["labelSelector"]["matchLabels"] == labels for item in spread)
        budget = one(ha, "PodDisruptionBudget", name)["spec"]
        assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}


def test_both_tiers_grow_with_the_load_and_shrink_one_at_a_time_and_late(ha):
    assert names_of(ha, "HorizontalPodAutoscaler") == {"collector", "sampler"}
    for name in ("collector", "sampler"):
        workload = one(ha, "StatefulSet", name)
        assert "replicas" not in workload["spec"], "an upgrade would undo the autoscaler"
        scaler = one(ha, "HorizontalPodAutoscaler", name)["spec"]
        assert scaler["scaleTargetRef"]["name"] == workload["metadata"]["name"]
        assert scaler["minReplicas"] == 2
        assert scaler["maxReplicas"] == 6
        assert scaler["behavior"]["scaleDown"]["policies"] == [
            {"type": "Pods", "value": 1, "periodSeconds": 300}
        ]
        assert scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 1800


def test_the_first_tier_gives_traces_to_samplers_by_name_from_queues_on_disk(ha):
    balancing = config(ha, "collector", "collector.yaml")["exporters"]["load_balancing/samplers"]
    sampler = one(ha, "StatefulSet", "sampler")
    assert balancing["routing_key"] == "traceID"
    assert balancing["resolver"]["k8s"]["return_hostnames"] is True
    service = one(ha, "Service", sampler["spec"]["serviceName"].removeprefix("midwatch-"))
    assert balancing["resolver"]["k8s"]["service"] == f"{service['metadata']['name']}.midwatch"
    # A sampler that restarts keeps its name in the list: what is its own waits for it.
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["clusterIP"] == "None"
    assert balancing["protocol"]["otlp"]["sending_queue"]["storage"] == "file_storage/queue"


def test_only_samplers_judge_traces_and_only_the_first_tier_takes_telemetry_in(ha):
    first, second = (
        config(ha, name, "collector.yaml")["service"]["pipelines"]
        for name in ("collector", "sampler")
    )
    assert first["traces/receive"]["exporters"] == ["load_balancing/samplers"]
    assert first.keys() == {"traces/receive", "metrics/receive", "logs/receive"}
    assert "redaction" in first["traces/receive"]["processors"]
    assert second["traces/receive"]["exporters"] == [
        "otlp_http/ledger",
        "span_metrics",
        "forward/sampled",
    ]
    # Tempo refuses a whole request for one span whose trace has no id.
    assert second["traces/sampled"]["processors"] == ["filter/nameless", "tail_sampling"]


def digits_of_shards(rendered: list[dict[str, Any]]) -> list[set[str]]:
    """The last digits of the traces that are each sampler's."""
    processors = config(rendered, "collector", "collector.yaml")["processors"]
    count = sum(name.startswith("filter/shard-") for name in processors)
    conditions = [processors[f"filter/shard-{number}"]["traces"]["span"] for number in range(count)]
    return [set(text.partition("[")[2].partition("]")[0]) for (text,) in conditions]


def test_with_shards_each_trace_has_one_sampler_and_no_api_is_asked(shards):
    digits = digits_of_shards(shards)
    assert sorted(digit for one in digits for digit in one) == sorted("0123456789abcdef")
    assert sorted(map(len, digits)) == [5, 5, 6]
    roles = [item for item in shards if item["kind"] == "Role"]
    assert {item["rules"][0]["resources"][0] for item in roles} == {"pods"}


def test_a_sampler_that_is_added_takes_its_share_and_moves_no_other_trace(objects):
    values = example_values("ha-shards")

    def digits_of(samplers: int) -> list[set[str]]:
        sampler = {**values["collector"]["sampler"], "replicas": samplers}
        return digits_of_shards(
            objects({**values, "collector": {**values["collector"], "sampler": sampler}})
        )

    for before, share in ((2, 5), (15, 1)):
        kept, grown = digits_of(before), digits_of(before + 1)
        assert len(grown[-1]) == share
        assert [one - grown[-1] for one in kept] == grown[:-1]


def test_one_scraper_scrapes_and_reads_the_pods_of_the_named_namespaces_only(shards):
    scraper = one(shards, "StatefulSet", "scraper")
    assert scraper["spec"]["replicas"] == 1
    for name in ("collector", "sampler"):
        assert "prometheus" not in config(shards, name, "collector.yaml")["receivers"]
    assert not names_of(shards, "ClusterRole")
    bindings = [item for item in shards if item["kind"] == "RoleBinding"]
    rights = {
        (item["subjects"][0]["name"], item["metadata"]["namespace"], item["roleRef"]["name"])
        for item in bindings
    }
    assert rights == {
        ("midwatch-collector", "shop", "midwatch-midwatch-collector-pods"),
        ("midwatch-scraper", "shop", "midwatch-midwatch-scraper-pods"),
        ("midwatch-scraper", "support", "midwatch-midwatch-scraper-pods"),
    }


def test_the_search_for_samplers_reads_endpoint_slices_of_its_own_namespace(ha):
    (role,) = [item for item in ha if item["kind"] == "Role"]
    assert role["metadata"]["namespace"] == "midwatch"
    assert role["rules"] == [
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["get", "list", "watch"],
        }
    ]
    tokens = {
        item["metadata"]["name"]
        for item in ha
        if item["kind"] in {"StatefulSet", "Deployment"}
        and item["spec"]["template"]["spec"]["automountServiceAccountToken"]
    }
    assert tokens == {"midwatch-collector"}


def test_each_of_two_prometheus_gets_everything_and_their_alerts_are_one(ha):
    for name in ("collector", "sampler"):
        exporters = config(ha, name, "collector.yaml")["exporters"]
        endpoints = {
            settings["endpoint"]
            for exporter, settings in exporters.items()
            if exporter.startswith("otlp_http/prometheus")
        }
        assert endpoints == {
            f"http://midwatch-prometheus-{number}.midwatch-prometheus-pods.midwatch.svc:9090/api/v1/otlp"
            for number in range(2)
        }
    prometheus = config(ha, "prometheus", "prometheus.yml")
    assert prometheus["global"]["external_labels"] == {"prometheus_replica": "${POD_NAME}"}
    assert prometheus["alerting"]["alert_relabel_configs"] == [
        {"regex": "prometheus_replica", "action": "labeldrop"}
    ]
    assert one(ha, "Service", "prometheus")["spec"]["sessionAffinity"] == "ClientIP"


def test_every_prometheus_tells_every_alertmanager_and_those_gossip(ha):
    alerting = config(ha, "prometheus", "prometheus.yml")["alerting"]["alertmanagers"]
    hosts = [
        f"midwatch-alertmanager-{number}.midwatch-alertmanager-pods.midwatch.svc"
        for number in range(3)
    ]
    assert alerting[0]["static_configs"] == [{"targets": [f"{host}:9093" for host in hosts]}]
    (container,) = one(ha, "StatefulSet", "alertmanager")["spec"]["template"]["spec"]["containers"]
    assert [arg for arg in container["args"] if "cluster" in arg] == [
        "--cluster.listen-address=0.0.0.0:9094",
        *(f"--cluster.peer={host}:9094" for host in hosts),
    ]
    policy = one(ha, "NetworkPolicy", "alertmanager")["spec"]["ingress"]
    gossip = [(port["port"], port["protocol"]) for rule in policy for port in rule["ports"]]
    assert {("gossip", "TCP"), ("gossip-udp", "UDP")} <= set(gossip)


def test_all_tiers_of_the_collector_are_one_job_for_the_rules(shards):
    jobs = {
        job["job_name"]: job
        for job in config(shards, "prometheus", "prometheus.yml")["scrape_configs"]
    }
    assert jobs["collector"]["dns_sd_configs"][0]["names"] == [
        f"midwatch-{name}-pods.midwatch.svc" for name in ("collector", "sampler", "scraper")
    ]
    assert {"sampler", "scraper"} & jobs.keys() == set()


def test_the_ledger_migrates_before_its_replicas_start(ha):
    pod = one(ha, "Deployment", "ledger")["spec"]["template"]["spec"]
    (migration,) = pod["initContainers"]
    assert migration["args"] == ["migrate"]
    assert "readinessProbe" not in migration
    assert migration["image"] == pod["containers"][0]["image"]


def test_names_of_the_pods_stay_from_small_to_ha(objects, ha):
    # These can't be changed in place: both profiles must say the same.
    small = objects()
    for name in ("collector", "prometheus", "alertmanager", "grafana"):
        before, after = (one(rendered, "StatefulSet", name)["spec"] for rendered in (small, ha))
        for fixed in ("serviceName", "podManagementPolicy", "selector", "volumeClaimTemplates"):
            assert before[fixed] == after[fixed]
