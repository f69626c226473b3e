"""k8s/injection: what kustomize makes of workloads that know nothing of Midwatch."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from manifests.objects import problems_of
from manifests.plan import repository_root
from manifests.values_table import documented_values

INJECTION = repository_root() / "k8s" / "injection"
VALUES = repository_root() / "charts/midwatch/values.yaml"

POD = {
    "metadata": {"labels": {"app": "shop"}},
    "spec": {
        "containers": [
            {"name": "web", "image": "shop"},
            {
                "name": "worker",
                "image": "shop",
                "env": [{"name": "PYTHONPATH", "value": "/app"}, {"name": "LEVEL", "value": "1"}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            },
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}


def workload(version: str, kind: str) -> dict:
    spec: dict = {"template": POD}
    if kind == "CronJob":
        spec = {"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": POD}}}
    elif kind != "Job":
        spec["selector"] = {"matchLabels": {"app": "shop"}}
    if kind == "StatefulSet":
        spec["serviceName"] = "shop"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": kind.lower()}, "spec": spec}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("there is no kubectl on this machine")
    folder: Path = tmp_path_factory.mktemp("kustomize")
    shutil.copytree(INJECTION / "component", folder / "component")
    application = folder / "application"
    application.mkdir()
    kinds = [("apps/v1", kind) for kind in ("Deployment", "StatefulSet", "DaemonSet")]
    kinds += [("batch/v1", "Job"), ("batch/v1", "CronJob")]
    objects = [workload(*one) for one in kinds]
    (application / "all.yaml").write_text(yaml.safe_dump_all(objects))
    overlay = {"resources": ["all.yaml"], "components": ["../component"]}
    (application / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    command = [str(kubectl), "kustomize", str(application)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return {item["kind"]: item for item in yaml.safe_load_all(done.stdout)}


def pod_of(item: dict) -> dict:
    spec = item["spec"]
    return (spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec)["template"]


def test_every_kind_of_workload_gets_it_and_fits_the_api(built):
    assert len(built) == 5
    assert [problem for item in built.values() for problem in problems_of(item)] == []
    for item in built.values():
        pod = pod_of(item)
        assert pod["metadata"]["labels"] == {"app": "shop", "midwatch.dev/injected": "0.1.0"}
        (copying,) = pod["spec"]["initContainers"]
        assert copying["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {one["name"] for one in pod["spec"]["volumes"]} == {"data", "midwatch-injection"}


def test_every_container_gets_path_mount_and_settings_and_keeps_its_own(built):
    for item in built.values():
        web, worker = pod_of(item)["spec"]["containers"]
        env = [{one["name"]: one.get("value") for one in each["env"]} for each in (web, worker)]
        assert env[0]["PYTHONPATH"] == "/opt/midwatch/python/entry:"
        assert env[1]["PYTHONPATH"] == "/opt/midwatch/python/entry:/app"
        assert env[1]["LEVEL"] == "1"
        mounts = [{one["name"]: one for one in each["volumeMounts"]} for each in (web, worker)]
        for each, mounted in zip(env, mounts, strict=True):
            endpoint = each["MIDWATCH_DEFAULT_OTEL_EXPORTER_OTLP_ENDPOINT"]
            assert endpoint == "http://midwatch-collector.midwatch.svc:4318"
            assert mounted["midwatch-injection"]["readOnly"] is True
        assert mounts[1]["data"]["mountPath"] == "/data"


@pytest.mark.parametrize("way", ["image-volume", "init-container"])
def test_the_policies_are_those_of_the_chart(way):
    text = (INJECTION / way / "policy.yaml").read_text(encoding="utf-8")
    policy, binding = yaml.safe_load_all(text)
    assert policy["kind"] == "MutatingAdmissionPolicy"
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert "namespace" not in policy["metadata"]


def test_the_values_of_injection_are_documented():
    paths = {entry.path for entry in documented_values(VALUES)}
    assert {"injection.mode", "injection.initContainer.runAsUser"} <= paths
