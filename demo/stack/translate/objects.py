"""The rendered objects, indexed the way a kubelet looks at them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

COMPONENT_LABEL = "app.kubernetes.io/component"
_WORKLOAD_KINDS = ("Deployment", "StatefulSet")
_OTHER_WORKLOAD_KINDS = ("DaemonSet", "ReplicaSet", "Pod")


@dataclass(frozen=True)
class Service:
    """An address that clients use.

    Attributes:
        targets: for each service port the pod's port, by number or name.
    """

    name: str
    namespace: str
    selector: Mapping[str, str]
    targets: Mapping[int, int | str]


@dataclass(frozen=True)
class Workload:
    """A Deployment or StatefulSet with its one container.

    Attributes:
        component: what it is; decides which local program runs for it.
        labels: of its pods.
        container: the container as rendered.
        volumes: the pod's volumes by name, volume claim templates included.
        ports: the container's ports by name.
    """

    kind: str
    name: str
    namespace: str
    component: str
    labels: Mapping[str, str]
    container: Mapping[str, Any]
    volumes: Mapping[str, Mapping[str, Any]]
    ports: Mapping[str, int]


@dataclass
class Rendered:
    """What was rendered from one or several charts.

    Attributes:
        config_maps: text by namespace and name.
        secrets: the same, decoded.
        problems: what was found that this machine can't run.
    """

    workloads: list[Workload] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    config_maps: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    secrets: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str, namespace: str) -> Rendered:
        """Read rendered YAML; objects without a namespace are in the one given."""
        rendered = cls()
        # The loader in C: a rendering is half a megabyte.
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader):
            for item in _unlisted(document):
                rendered._add(item, item["metadata"].get("namespace", namespace))
        return rendered

    def joined(self, others: Iterable[Rendered]) -> Rendered:
        """Return these objects and the others' together."""
        result = Rendered(
            list(self.workloads),
            list(self.services),
            dict(self.config_maps),
            dict(self.secrets),
            list(self.problems),
        )
        for other in others:
            result.workloads += other.workloads
            result.services += other.services
            result.config_maps |= other.config_maps
            result.secrets |= other.secrets
            result.problems += other.problems
        return result

    def _add(self, item: Mapping[str, Any], namespace: str) -> None:
        kind, name = item["kind"], item["metadata"]["name"]
        if kind in _WORKLOAD_KINDS:
            self._add_workload(item, namespace)
        elif kind in _OTHER_WORKLOAD_KINDS:
            self.problems.append(
                f"{kind} {name}: only {' and '.join(_WORKLOAD_KINDS)} are run locally; switch it "
                "off in the values of the local stack"
            )
        elif kind == "Service":
            self.services.append(_service(item, namespace))
        elif kind == "ConfigMap":
            self.config_maps[(namespace, name)] = dict(item.get("data") or {})
        elif kind == "Secret":
            encoded = item.get("data") or {}
            decoded = {key: base64.b64decode(value).decode() for key, value in encoded.items()}
            self.secrets[(namespace, name)] = {**decoded, **(item.get("stringData") or {})}

    def _add_workload(self, item: Mapping[str, Any], namespace: str) -> None:
        name, spec = item["metadata"]["name"], item["spec"]
        if spec.get("replicas", 1) == 0:
            return
        pod = spec["template"]["spec"]
        labels = spec["template"]["metadata"].get("labels", {})
        where = f"{item['kind']} {name}"
        component = labels.get(COMPONENT_LABEL)
        if component is None:
            self.problems.append(f"{where}: its pods lack the label {COMPONENT_LABEL}")
            return
        containers = [*pod.get("initContainers", []), *pod["containers"]]
        if len(containers) != 1:
            names = ", ".join(container["name"] for container in containers)
            self.problems.append(
                f"{where}: has {len(containers)} containers ({names}); one process is run for a pod"
            )
            return
        self.workloads.append(
            Workload(
                kind=item["kind"],
                name=name,
                namespace=namespace,
                component=component,
                labels=labels,
                container=containers[0],
                volumes=_volumes(pod, spec),
                ports={
                    port["name"]: port["containerPort"] for port in containers[0].get("ports", [])
                },
            )
        )


def _unlisted(document: Any) -> Iterator[Mapping[str, Any]]:
    if not document:
        return
    if document["kind"] == "List":
        for item in document["items"]:
            yield from _unlisted(item)
        return
    yield document


def _volumes(
    pod: Mapping[str, Any], workload_spec: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    volumes: dict[str, Mapping[str, Any]] = {v["name"]: v for v in pod.get("volumes", [])}
    for claim in workload_spec.get("volumeClaimTemplates", []):
        volumes[claim["metadata"]["name"]] = {"persistentVolumeClaim": {}}
    return volumes


def _service(item: Mapping[str, Any], namespace: str) -> Service:
    spec = item["spec"]
    return Service(
        name=item["metadata"]["name"],
        namespace=namespace,
        selector=spec.get("selector") or {},
        targets={p["port"]: p.get("targetPort", p["port"]) for p in spec.get("ports", [])},
    )
