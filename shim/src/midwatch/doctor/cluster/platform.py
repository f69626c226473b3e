"""What the chart needs of the cluster itself, and the versions of what else is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from midwatch.doctor.cluster.visit import Kind, Program, Visit, note, ok, older, problem
from midwatch.doctor.report import Finding

OLDEST_KUBERNETES = "1.29"
_POLICIES = "/apis/admissionregistration.k8s.io"
_RUNTIMES = {"containerd": "2.1", "cri-o": "1.31"}
"""The oldest that mount images as volumes."""
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_STORES: dict[Kind, tuple[str, Callable[[Any], object], str]] = {
    "alertmanager": (
        "/api/v2/status",
        lambda told: (told.get("versionInfo") or {}).get("version"),
        "0.27",
    ),
    "tempo": ("/api/status/buildinfo", lambda told: told.get("version"), "2.6"),
    "grafana": ("/api/health", lambda told: told.get("version"), "11.0"),
}


def check_platform(visit: Visit) -> Iterator[Finding]:
    """The version of Kubernetes, volumes, and how pods can be injected."""
    version = str((visit.cluster.ask("/version").json() or {}).get("gitVersion", ""))
    if not version or older(version, OLDEST_KUBERNETES):
        remedy = f"the chart needs Kubernetes {OLDEST_KUBERNETES} or newer"
        yield problem("cluster", "version", version or "is not told", remedy, version=version)
    else:
        yield ok("cluster", "version", version, version=version)
    yield _storage(visit)
    yield _injection(visit, version)


def check_receivers(visit: Visit) -> Iterator[Finding]:
    """Each OTLP receiver, by an empty request."""
    found = False
    for receiver in visit.receivers():
        found = True
        answer = receiver.web.post_nothing("/v1/traces")
        if answer.status < 300:
            yield ok("receivers", receiver.name, "takes traces", http_status=answer.status)
            continue
        told = f"/v1/traces answered {answer.status}: {answer.text[:120]}"
        remedy = "see its pods, its NetworkPolicy, and whether it asks for a token"
        yield problem("receivers", receiver.name, told, remedy, http_status=answer.status)
    if not found:
        told = "no Service has the port 4318: the chart's collector will be the one to send to"
        yield note("receivers", "OTLP", told)


def check_stores(visit: Visit) -> Iterator[Finding]:
    """The versions of Alertmanager, Tempo and Grafana."""
    for kind in _STORES:
        for program in visit.programs(kind):
            yield _store(kind, program)


def _store(kind: Kind, program: Program) -> Finding:
    path, read, least = _STORES[kind]
    answer = program.web.get(path)
    told = answer.json()
    version = str(read(told) or "") if isinstance(told, dict) else ""
    section = kind
    if answer.status != 200 or not version:
        detail = f"{path} answered {answer.status}"
        remedy = "see whether it runs, and whether it is what its labels say"
        return problem(section, program.name, detail, remedy, http_status=answer.status)
    if older(version, least):
        remedy = f"use {kind.capitalize()} {least} or newer"
        return problem(section, program.name, f"{version} is too old", remedy, version=version)
    return ok(section, program.name, version, version=version)


def _storage(visit: Visit) -> Finding:
    classes = visit.cluster.items("/apis/storage.k8s.io/v1/storageclasses")
    for one in classes:
        if (one["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true":
            name = one["metadata"]["name"]
            return ok("cluster", "volumes", f"the default class is {name}", storage_class=name)
    known = ", ".join(one["metadata"]["name"] for one in classes) or "there is none"
    remedy = f"set global.storageClass ({known})"
    return problem("cluster", "volumes", "no storage class is the default", remedy)


def _injection(visit: Visit, version: str) -> Finding:
    served = {
        resource["name"]
        for group in ("v1", "v1beta1")
        for resource in (visit.cluster.ask(f"{_POLICIES}/{group}").json() or {}).get(
            "resources", ()
        )
    }
    if "mutatingadmissionpolicies" not in served:
        told = "no MutatingAdmissionPolicy: pods are injected by values or kustomize"
        return note("cluster", "injection", told, way="none")
    runtimes = [
        one["status"]["nodeInfo"]["containerRuntimeVersion"]
        for one in visit.cluster.items("/api/v1/nodes")
    ]
    old = sorted({runtime for runtime in runtimes if _is_old(runtime)})
    if old or older(version, "1.35"):
        why = f" ({', '.join(old)})" if old else ""
        told = f"by an init container: images are no volumes here{why}"
        return ok("cluster", "injection", told, way="init-container")
    return ok("cluster", "injection", "by an image as a volume", way="image-volume")


def _is_old(runtime: str) -> bool:
    name, _, version = runtime.partition("://")
    return name in _RUNTIMES and older(version, _RUNTIMES[name])
