"""Every pod is as the restricted Pod Security Standard asks, with no more rights than it uses."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from manifests.plan import repository_root

ROOT = repository_root()
WORKLOADS = {"StatefulSet", "Deployment"}
RESTRICTED_VOLUMES = {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}


def pods_of(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item["spec"]["template"] for item in objects if item["kind"] in WORKLOADS]


def every_pod_of(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pods of workloads, of jobs by schedule, and of `helm test`."""
    scheduled = [
        item["spec"]["jobTemplate"]["spec"]["template"]
        for item in objects
        if item["kind"] == "CronJob"
    ]
    return pods_of(objects) + scheduled + [item for item in objects if item["kind"] == "Pod"]


def posture_problems(pod: dict[str, Any]) -> list[str]:
    """What the restricted standard, and Midwatch beyond it, finds wrong with a pod."""
    spec = pod["spec"]
    security = spec.get("securityContext", {})
    wanted = {
        "runs as root": security.get("runAsNonRoot") is True and security.get("runAsUser", 0) > 0,
        "no seccomp profile": security.get("seccompProfile") == {"type": "RuntimeDefault"},
        "service links": spec.get("enableServiceLinks") is False,
        "host access": not {"hostNetwork", "hostPID", "hostIPC"} & set(spec),
        "volume type": all(
            set(volume) - {"name"} <= RESTRICTED_VOLUMES for volume in spec["volumes"]
        ),
        "token not decided": "automountServiceAccountToken" in spec,
    }
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        own = container.get("securityContext", {})
        resources = container.get("resources", {})
        wanted |= {
            "privilege escalation": own.get("allowPrivilegeEscalation") is False,
            "writable root": own.get("readOnlyRootFilesystem") is True,
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "no memory limit": "memory" in resources.get("limits", {}),
            "no requests": {"cpu", "memory"} <= set(resources.get("requests", {})),
            "no writable /tmp": "/tmp" in {m["mountPath"] for m in container["volumeMounts"]},
        }
    return [problem for problem, right in wanted.items() if not right]


def test_every_pod_of_every_example_is_restricted(objects, example):
    pods = every_pod_of(objects(example))
    assert [posture_problems(pod) for pod in pods if posture_problems(pod)] == []


@pytest.mark.parametrize("chart", ["security-agent", "retail-simulation"])
def test_the_demo_pods_are_restricted(objects, chart):
    (pod,) = pods_of(objects(None, chart, release=chart))
    assert posture_problems(pod) == []


def test_the_demo_dependencies_are_restricted():
    documents = yaml.safe_load_all((ROOT / "kind/dependencies.yaml").read_text(encoding="utf-8"))
    pods = pods_of(list(documents))
    assert len(pods) == 2
    assert [posture_problems(pod) for pod in pods] == [[], []]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("securityContext", "runAsNonRoot"), False),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}),
        (("hostNetwork",), True),
        (("containers", 0, "securityContext", "readOnlyRootFilesystem"), False),
        (("containers", 0, "securityContext", "capabilities"), {"drop": ["NET_RAW"]}),
        (("containers", 0, "resources", "limits"), {}),
    ],
)
def test_a_weaker_pod_is_found(objects, path, value):
    (pod, *_) = yaml.safe_load(yaml.safe_dump(pods_of(objects())))
    target = pod["spec"]
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    assert len(posture_problems(pod)) == 1


def test_only_the_collector_has_a_token_and_it_reads_pods_and_namespaces(objects):
    rendered = objects()
    with_token = [
        pod["metadata"]["labels"]["app.kubernetes.io/component"]
        for pod in pods_of(rendered)
        if pod["spec"]["automountServiceAccountToken"]
    ]
    assert with_token == ["collector"]
    (role,) = [item for item in rendered if item["kind"] == "ClusterRole"]
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["get", "list", "watch"]}
    ]


def test_without_kubernetes_attributes_and_pod_discovery_nobody_has_a_token(objects):
    values = {"collector": {"kubernetesAttributes": {"enabled": False}}}
    rendered = objects(values)
    assert not any(pod["spec"]["automountServiceAccountToken"] for pod in pods_of(rendered))
    assert not [item for item in rendered if "Role" in item["kind"]]


def test_go_programs_know_eighty_per_cent_of_their_memory_limit(objects):
    values = {"tempo": {"resources": {"limits": {"memory": "1Gi"}}}}
    limits = {}
    for pod in pods_of(objects(values)):
        (container,) = pod["spec"]["containers"]
        env = {one["name"]: one.get("value") for one in container.get("env", [])}
        limits[container["name"]] = env.get("GOMEMLIMIT")
    assert limits.pop("ledger") is None
    assert limits.pop("tempo") == "819MiB"
    assert all(limit and re.fullmatch(r"\d+MiB", limit) for limit in limits.values())


def test_no_secret_is_rendered_but_those_that_are_new_each_time(objects):
    rendered = [item for item in objects() if item["kind"] == "Secret"]
    again = [item for item in objects(namespace="other") if item["kind"] == "Secret"]
    names = {"midwatch-grafana-admin", "midwatch-ledger-keys"}
    assert {item["metadata"]["name"] for item in rendered} == names
    for one, other in zip(rendered, again, strict=True):
        assert one["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        assert one["data"].keys() == other["data"].keys()
        assert all(one["data"][key] != other["data"][key] for key in one["data"])
    (made,) = [item["data"] for item in rendered if item["metadata"]["name"].endswith("-keys")]
    assert len(set(made.values())) == 3


def keys_mounted(rendered):
    """Give the keys of the ledger that each pod mounts, by its container's name."""
    mounted = {}
    for pod in pods_of(rendered):
        for volume in pod["spec"]["volumes"]:
            if volume["name"] == "secret-ledger":
                items = volume["secret"]["items"]
                mounted[pod["spec"]["containers"][0]["name"]] = [item["key"] for item in items]
    return mounted


def test_each_pod_has_no_more_keys_of_the_ledger_than_it_needs(objects):
    assert keys_mounted(objects()) == {
        "alertmanager": ["alerts-key"],
        "collector": ["ingest-key"],
        "ledger": ["admin-key", "alerts-key", "ingest-key"],
    }
    yours = {"enabled": "external", "external": {"url": "http://ledger:8088"}}
    assert keys_mounted(objects({"ledger": yours})) == {}
    with_key = {**yours, "keys": {"existingSecret": "mine"}}
    assert keys_mounted(objects({"ledger": with_key})).keys() == {"alertmanager", "collector"}


def test_a_ledger_without_keys_says_that_it_is_open(objects):
    (ledger,) = [
        pod["spec"]["containers"][0]
        for pod in pods_of(objects({"ledger": {"keys": {"required": False}}}))
        if pod["spec"]["containers"][0]["name"] == "ledger"
    ]
    env = {one["name"]: one["value"] for one in ledger["env"]}
    assert env["MIDWATCH_LEDGER_OPEN"] == "true"
    assert not [name for name in env if name.endswith("_KEY_FILE")]


def test_secrets_reach_alertmanager_as_files(objects, everything):
    (pod,) = [
        pod
        for pod in pods_of(objects(everything))
        if pod["spec"]["containers"][0]["name"] == "alertmanager"
    ]
    mounts = {mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]}
    secrets = {f"/etc/midwatch/secrets/{name}" for name in ("slack", "email", "dead-mans-switch")}
    assert secrets <= mounts


def test_idle_requests_stay_within_the_promised_footprint(objects):
    cpu, memory = 0, 0
    for pod in pods_of(objects()):
        requests = pod["spec"]["containers"][0]["resources"]["requests"]
        cpu += int(requests["cpu"].removesuffix("m"))
        memory += int(requests["memory"].removesuffix("Mi"))
    assert cpu <= 2000
    assert memory <= 4096
