"""Whoever has another's address in its configuration is let in by the other's NetworkPolicy."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from cluster.selectors import selects

Objects = list[dict[str, Any]]
ADDRESS = re.compile(r"\b([a-z0-9-]+)\.midwatch\.svc:(\d+)")
GOSSIP = "9094"


def of_kind(rendered: Objects, *kinds: str) -> Objects:
    return [item for item in rendered if item["kind"] in kinds]


def pods_of(rendered: Objects) -> Objects:
    workloads = [
        item["spec"]["template"] for item in of_kind(rendered, "Deployment", "StatefulSet")
    ]
    return [*workloads, *of_kind(rendered, "Pod")]


def told_to(pod: dict[str, Any], rendered: Objects) -> str:
    """All that a pod reads of addresses: its variables, arguments and mounted files."""
    mounted = {
        volume["configMap"]["name"] for volume in pod["spec"]["volumes"] if "configMap" in volume
    }
    maps = [
        item["data"]
        for item in of_kind(rendered, "ConfigMap")
        if item["metadata"]["name"] in mounted
    ]
    return json.dumps([pod["spec"]["containers"], maps])


def refused(rendered: Objects) -> list[str]:
    """Who would be kept from a port that it is told of."""
    services = {item["metadata"]["name"]: item["spec"] for item in of_kind(rendered, "Service")}
    policies = [item["spec"] for item in of_kind(rendered, "NetworkPolicy")]
    found, asked = [], 0
    for caller in pods_of(rendered):
        labels = caller["metadata"]["labels"]
        for name, number in sorted(set(ADDRESS.findall(told_to(caller, rendered)))):
            selector = services[name]["selector"]
            if selects({"matchLabels": selector}, labels) and number != GOSSIP:
                continue  # The address under which people reach it.
            (policy,) = (
                each for each in policies if each["podSelector"]["matchLabels"] == selector
            )
            for port in ports_of(rendered, selector, int(number)):
                asked += 1
                if not any(lets_in(rule, port, labels) for rule in policy["ingress"]):
                    found.append(f"{labels['app.kubernetes.io/component']} to {name}:{port}")
    assert asked
    return found


def ports_of(rendered: Objects, selector: dict[str, str], number: int) -> list[str]:
    """The names of a port; one for TCP and one for UDP can have the same number."""
    names = [
        port["name"]
        for pod in pods_of(rendered)
        if selects({"matchLabels": selector}, pod["metadata"]["labels"])
        for port in pod["spec"]["containers"][0].get("ports", ())
        if port["containerPort"] == number
    ]
    assert names
    return names


def lets_in(rule: dict[str, Any], port: str, labels: dict[str, str]) -> bool:
    return port in {each["port"] for each in rule["ports"]} and any(
        "namespaceSelector" in peer or selects(peer["podSelector"], labels) for peer in rule["from"]
    )


def test_each_component_reaches_what_it_is_told_of(objects, example):
    rendered = objects(example)
    if not of_kind(rendered, "NetworkPolicy"):
        pytest.skip("it has no NetworkPolicies")
    assert refused(rendered) == []


def test_a_port_that_a_policy_forgets_is_found(objects):
    rendered = copy.deepcopy(objects())
    (policy,) = [
        item["spec"]
        for item in of_kind(rendered, "NetworkPolicy")
        if item["metadata"]["name"] == "midwatch-tempo"
    ]
    policy["ingress"] = [rule for rule in policy["ingress"] if rule["ports"][0]["port"] == "http"]
    assert refused(rendered) == ["collector to midwatch-tempo:otlp-http"]
