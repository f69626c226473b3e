"""The real API server takes everything that is rendered, its pods as restricted ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from bundle import CHART, ROOT, rendered
from cluster.access import Cluster, CommandFailed
from toolchain import program_path

EXAMPLES = sorted((CHART / "examples").glob("*/values.yaml"))
AGENT_VALUES = sorted((ROOT / "kind").glob("*-values-kind.yaml"))
RESTRICTED = "restricted"
# Kinds that other programs bring; what they look like is checked by schema in tests/render.
FOREIGN = re.compile(
    r"^(monitoring\.coreos\.com|cert-manager\.io|grafana\.integreatly\.org|keda\.sh)/"
)

Objects = list[dict[str, Any]]


@pytest.fixture(scope="module")
def accepted(cluster: Cluster) -> Callable[[Objects], None]:
    """Fails unless the API server would take the objects, and their pods as restricted ones."""
    cluster.kubectl("create", "namespace", RESTRICTED)
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", RESTRICTED, label)
    # What an example names and a cluster has from whoever runs it.
    given = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1000}
    given["metadata"] = {"name": "on-call"}
    cluster.kubectl("apply", "--filename=-", given=yaml.safe_dump(given))

    def check(objects: Objects) -> None:
        own = [each for each in objects if not FOREIGN.match(each["apiVersion"])]
        assert own
        sent = [_placed(each) for each in [*own, *_pods_of(own)] if each["kind"] != "Namespace"]
        cluster.kubectl(
            "apply", "--dry-run=server", "--server-side", "--filename=-", given=_text(sent)
        )

    return check


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_api_server_takes_every_object_of_every_example(
    values: Path, accepted: Callable[[Objects], None]
) -> None:
    accepted(_objects(rendered(CHART, values, RESTRICTED, program_path("helm"))))


@pytest.mark.parametrize("values", AGENT_VALUES, ids=lambda path: path.stem)
def test_the_api_server_takes_the_agents(values: Path, accepted: Callable[[Objects], None]) -> None:
    chart = ROOT / "charts" / values.name.removesuffix("-values-kind.yaml")
    accepted(_objects(rendered(chart, values, RESTRICTED, program_path("helm"))))


@pytest.mark.parametrize(
    "manifest", sorted((ROOT / "k8s" / "observability").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_api_server_takes_the_plain_manifests(
    manifest: Path, cluster: Cluster, accepted: Callable[[Objects], None]
) -> None:
    objects = _objects(manifest.read_text(encoding="utf-8"))
    if all(FOREIGN.match(each["apiVersion"]) for each in objects):
        pytest.skip("it needs the operator's own kinds")
    accepted(objects)


def test_a_pod_that_breaks_the_restricted_standard_is_refused(
    cluster: Cluster, accepted: Callable[[Objects], None]
) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "loose"},
        "spec": {"containers": [{"name": "loose", "image": "x:1"}]},
    }
    with pytest.raises(CommandFailed, match="violates PodSecurity"):
        accepted([pod])


def _objects(text: str) -> Objects:
    return [each for each in yaml.safe_load_all(text) if each]


def _pods_of(objects: Objects) -> Objects:
    """A workload that breaks the standard is taken with a warning; its pod is refused."""
    workloads = [each for each in objects if each["kind"] in ("StatefulSet", "Deployment", "Job")]
    pods = []
    for workload in workloads:
        name, template = workload["metadata"]["name"], workload["spec"]["template"]
        claims = [
            {"name": each["metadata"]["name"], "emptyDir": {}}
            for each in workload["spec"].get("volumeClaimTemplates", ())
        ]
        # The account does not exist, since nothing is made for real.
        specification = {**template["spec"], "serviceAccountName": "default"}
        specification["volumes"] = [*template["spec"].get("volumes", ()), *claims]
        pods.append(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {**template["metadata"], "name": name},
                "spec": specification,
            }
        )
    return pods


def _placed(given: dict[str, Any]) -> dict[str, Any]:
    metadata = dict(given["metadata"])
    if "namespace" in metadata or given["kind"] == "Pod":
        metadata["namespace"] = RESTRICTED
    return {**given, "metadata": metadata}


def _text(objects: Objects) -> str:
    return yaml.safe_dump_all(objects)
