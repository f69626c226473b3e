"""Whether the Prometheus Operator takes Midwatch's rules and monitors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from midwatch.doctor.cluster.selectors import labels_for, selects, told
from midwatch.doctor.cluster.visit import Visit, note, ok, problem
from midwatch.doctor.report import Finding

_API = "/apis/monitoring.coreos.com/v1"


@dataclass(frozen=True)
class _Kind:
    name: str
    plural: str
    field: str
    value: str

    @property
    def selector(self) -> str:
        return f"{self.field}Selector"

    @property
    def namespaces(self) -> str:
        return f"{self.field}NamespaceSelector"


_KINDS = (
    _Kind("rules", "prometheusrules", "rule", "prometheusOperator.rules"),
    _Kind("service monitors", "servicemonitors", "serviceMonitor", "prometheusOperator.monitors"),
    _Kind("pod monitors", "podmonitors", "podMonitor", "prometheusOperator.monitors"),
)


def check_operator(visit: Visit) -> Iterator[Finding]:
    """Each Prometheus object: which labels and namespaces it wants; whether Midwatch has them."""
    if visit.cluster.ask(_API).status == 404:
        yield note("operator", "operator", "the cluster has no Prometheus Operator")
        return
    objects = visit.cluster.items(f"{_API}/prometheuses")
    if not objects:
        yield note("operator", "operator", "there is no Prometheus object")
    spaces = {
        one["metadata"]["name"]: one["metadata"].get("labels") or {}
        for one in visit.cluster.items("/api/v1/namespaces")
    }
    for kind in _KINDS:
        own = visit.cluster.items(
            f"{_API}/{kind.plural}?labelSelector=app.kubernetes.io%2Fname%3Dmidwatch"
        )
        for prometheus in objects:
            yield _judge(visit, kind, prometheus, own, spaces)


def _judge(
    visit: Visit,
    kind: _Kind,
    prometheus: dict[str, Any],
    own: list[dict[str, Any]],
    spaces: dict[str, dict[str, str]],
) -> Finding:
    place, name = prometheus["metadata"]["namespace"], prometheus["metadata"]["name"]
    section, selector = f"operator {place}/{name}", prometheus["spec"].get(kind.selector)
    if selector is None:
        detail = f"takes none: it has no {kind.selector}"
        remedy = f"set {kind.selector}: {{}} in the Prometheus object {place}/{name}"
        return problem(section, kind.name, detail, remedy, installed=len(own))
    missed = [one for one in own if not selects(selector, one["metadata"].get("labels") or {})]
    if missed:
        detail = f"takes what has {told(selector)}; {len(missed)} of {len(own)} have not"
        remedy = f"set prometheusOperator.labels: {json.dumps(labels_for(selector))}"
        return problem(section, kind.name, detail, remedy, installed=len(own))
    namespaces = sorted({one["metadata"]["namespace"] for one in own} or {visit.namespace})
    wanted = prometheus["spec"].get(kind.namespaces)
    for namespace in namespaces:
        if namespace in spaces and not _reaches(wanted, place, namespace, spaces[namespace]):
            return _unreached(section, kind, wanted, namespace, len(own))
    if own:
        return ok(section, kind.name, f"takes all {len(own)}", installed=len(own))
    wants = f"prometheusOperator.labels: {json.dumps(labels_for(selector))}"
    detail = f"none is there; for them set {kind.value}: true"
    if labels_for(selector):
        detail += f" and {wants}"
    return note(section, kind.name, detail, installed=0)


def _reaches(wanted: Any, place: str, namespace: str, labels: dict[str, str]) -> bool:
    # Without one, only its own namespace is looked at.
    return place == namespace if wanted is None else selects(wanted, labels)


def _unreached(section: str, kind: _Kind, wanted: Any, namespace: str, count: int) -> Finding:
    if wanted is None:
        detail = f"looks only into its own namespace, not into {namespace}"
        remedy = f"set {kind.namespaces}: {{}} in the Prometheus object"
    else:
        detail = f"looks into namespaces with {told(wanted)}, and {namespace} is none"
        labels = " ".join(f"{key}={value}" for key, value in labels_for(wanted).items())
        remedy = f"kubectl label namespace {namespace} {labels}".rstrip()
    return problem(section, kind.name, detail, remedy, installed=count)
