"""What is looked at in a cluster, and how its findings are made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from midwatch.doctor.cluster.access import Cluster, Web
from midwatch.doctor.report import Finding

Kind = Literal["prometheus", "alertmanager", "tempo", "grafana"]
_PORTS: dict[Kind, int] = {"prometheus": 9090, "alertmanager": 9093, "tempo": 3200, "grafana": 3000}
_NAMED_PORTS = ("http", "web", "http-web", "http-metrics", "service", "tempo-prom-metrics")
_LABELS = ("app.kubernetes.io/component", "app.kubernetes.io/name", "app")
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True)
class Program:
    """A program of an existing setup: what it is called, and how to ask it."""

    name: str
    web: Web


@dataclass(frozen=True)
class Visit:
    """A cluster, and where in it Midwatch is or will be.

    Args:
        cluster: the cluster.
        namespace: the namespace of Midwatch's release.
        prometheus: the URL of a Prometheus that can't be found by itself; empty to look for one.
    """

    cluster: Cluster
    namespace: str = "midwatch"
    prometheus: str = ""

    @cached_property
    def services(self) -> list[dict[str, Any]]:
        """All Services."""
        return self.cluster.items("/api/v1/services")

    def programs(self, kind: Kind) -> Iterator[Program]:
        """The programs of a kind, by the labels of their Services; each once."""
        if kind == "prometheus" and self.prometheus:
            yield Program(self.prometheus, self.cluster.at(self.prometheus))
            return
        known: set[str] = set()
        for service in sorted(self.services, key=_headless_last):
            port = _port(service, kind)
            metadata = service["metadata"]
            selected = (
                f"{metadata['namespace']} {sorted(service['spec'].get('selector', {}).items())}"
            )
            if port is None or not _is(service, kind) or selected in known:
                continue
            known.add(selected)
            name = f"{metadata['namespace']}/{metadata['name']}"
            yield Program(name, self.cluster.service(metadata["namespace"], metadata["name"], port))

    def receivers(self) -> Iterator[Program]:
        """The receivers of OTLP by HTTP, by their port; each once."""
        for service in self.services:
            ports = {one["port"] for one in service["spec"].get("ports", ())}
            if 4318 in ports and service["spec"].get("clusterIP") != "None":
                namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
                yield Program(f"{namespace}/{name}", self.cluster.service(namespace, name, 4318))


def ok(section: str, name: str, detail: str, **data: object) -> Finding:
    """A finding that all is well."""
    return Finding(section, name, "ok", detail, data=data)


def note(section: str, name: str, detail: str, **data: object) -> Finding:
    """A finding that is worth knowing."""
    return Finding(section, name, "note", detail, data=data)


def problem(section: str, name: str, detail: str, remedy: str, **data: object) -> Finding:
    """A finding that something is to be changed."""
    return Finding(section, name, "problem", detail, remedy, data)


def older(version: str, least: str) -> bool:
    """Whether a version is older than another; what says no number is not."""
    given, wanted = _numbers(version), _numbers(least)
    return bool(given) and given < wanted


def _numbers(version: str) -> tuple[int, ...]:
    # What follows + or - says how it was built, not how new it is.
    return tuple(int(one) for one in _NUMBERS.findall(re.split(r"[+-]", version)[0])[:3])


def _is(service: dict[str, Any], kind: Kind) -> bool:
    labels = service["metadata"].get("labels") or {}
    if labels.get(f"operated-{kind}") == "true":
        return True
    # The most telling label there is: its last part, as in kube-prometheus-stack-prometheus.
    named = [labels[label] for label in _LABELS if label in labels]
    return any(value == kind or value.endswith(f"-{kind}") for value in named)


def _port(service: dict[str, Any], kind: Kind) -> int | None:
    ports = service["spec"].get("ports") or ()
    for one in ports:
        if one["port"] == _PORTS[kind]:
            return int(one["port"])
    return next((int(one["port"]) for one in ports if one.get("name") in _NAMED_PORTS), None)


def _headless_last(service: dict[str, Any]) -> bool:
    return bool(service["spec"].get("clusterIP") == "None")
