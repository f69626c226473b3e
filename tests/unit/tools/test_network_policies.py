"""What NetworkPolicies become for a node's packet filter; `make test-cluster` shows it at work."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cluster.enforcer import Known
from cluster.network_policies import table
from cluster.selectors import selects

RANGE = "10.244.0.0/16"
NAMESPACES = [
    {"metadata": {"name": "watch", "labels": {"kubernetes.io/metadata.name": "watch"}}},
    {"metadata": {"name": "shop", "labels": {"team": "retail"}}},
]


def pod(name: str, number: int, namespace: str = "watch", **more: Any) -> dict[str, Any]:
    ports = [{"name": each, "containerPort": port} for each, port in more.pop("ports", {}).items()]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"containers": [{"ports": ports}], **more.pop("spec", {})},
        "status": {"podIP": f"10.244.0.{number}", "phase": "Running", **more.pop("status", {})},
    }


STORE = pod("store", 2, ports={"http": 9090})
READER = pod("reader", 3)
FRONT = pod("front", 4, "shop")
OTHER_STORE = pod("store", 5, "shop", ports={"http": 8080})


def policy(app: str | None = "store", **spec: Any) -> dict[str, Any]:
    chosen = {} if app is None else {"matchLabels": {"app": app}}
    return {
        "metadata": {"name": "policy", "namespace": "watch"},
        "spec": {"podSelector": chosen, **spec},
    }


def chains(*policies: dict[str, Any], pods: Any = (STORE, READER, FRONT, OTHER_STORE)) -> Any:
    text = table(pods, NAMESPACES, policies, RANGE)
    found = re.findall(r"chain (\S+) \{\n(.*?)\n  \}", text, re.DOTALL)
    return {name: [line.strip() for line in lines.splitlines()] for name, lines in found}


def allowed(*policies: dict[str, Any], chain: str = "ingress-10.244.0.2", **more: Any) -> list[str]:
    lines: list[str] = chains(*policies, **more)[chain]
    assert lines[-1] == "reject with icmp admin-prohibited"
    return [line.removesuffix("return").strip() for line in lines[:-1]]


def test_without_policies_all_is_forwarded():
    assert chains() == {
        "forward": [
            "type filter hook forward priority filter; policy accept;",
            "ct state established,related accept",
        ]
    }


def test_a_policy_without_rules_denies_all_that_it_selects_and_nothing_else():
    found = chains(policy(None))
    assert set(found) == {"ingress-10.244.0.2", "ingress-10.244.0.3", "forward"}
    assert allowed(policy(None)) == []
    jumps = found["forward"][-1]
    assert jumps.startswith("ip daddr vmap {")
    assert "10.244.0.2 : jump ingress-10.244.0.2" in jumps
    # A pod may always call itself, by its Service for one.
    assert "10.244.0.2 . 10.244.0.2" in found["forward"][-2]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, [""]),
        ({"from": [{"podSelector": {}}]}, ["ip saddr { 10.244.0.2, 10.244.0.3 }"]),
        ({"from": [{"podSelector": {"matchLabels": {"app": "front"}}}]}, []),
        ({"from": [{"namespaceSelector": {}}]}, [f"ip saddr {RANGE}"]),
        (
            {"from": [{"namespaceSelector": {"matchLabels": {"team": "retail"}}}]},
            ["ip saddr { 10.244.0.4, 10.244.0.5 }"],
        ),
        (
            {
                "from": [
                    {
                        "namespaceSelector": {},
                        "podSelector": {"matchLabels": {"app": "front"}},
                    }
                ]
            },
            ["ip saddr { 10.244.0.4 }"],
        ),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]},
            ["ip saddr 10.0.0.0/8 ip saddr != 10.1.0.0/16"],
        ),
        ({"from": [{"ipBlock": {"cidr": "fd00::/8"}}]}, []),
        ({"ports": [{"port": "http"}]}, ["tcp dport 9090"]),
        ({"ports": [{"port": "no such port"}]}, []),
        ({"ports": [{"port": 53, "protocol": "UDP"}]}, ["udp dport 53"]),
        ({"ports": [{"port": 100, "endPort": 200}]}, ["tcp dport 100-200"]),
        ({"ports": [{"protocol": "SCTP"}]}, ["ip protocol sctp"]),
        (
            {"ports": [{"port": 1}, {"port": 2}], "from": [{"namespaceSelector": {}}]},
            [f"ip saddr {RANGE} tcp dport 1", f"ip saddr {RANGE} tcp dport 2"],
        ),
    ],
)
def test_what_a_rule_lets_in(rule: dict[str, Any], expected: list[str]):
    assert allowed(policy(ingress=[rule])) == expected


def test_several_policies_allow_together_what_each_allows():
    one = policy(ingress=[{"ports": [{"port": 1}]}])
    other = policy(None, ingress=[{"ports": [{"port": 2}, {"port": 1}]}])
    assert sorted(allowed(one, other)) == ["tcp dport 1", "tcp dport 2"]


def test_a_policy_concerns_its_own_namespace_only():
    assert "ingress-10.244.0.5" not in chains(policy("store"))


def test_what_a_pod_may_send_is_told_by_the_ports_of_those_it_calls():
    to = [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "store"}}}]
    given = policy("reader", policyTypes=["Egress"])
    given["spec"]["egress"] = [{"to": to, "ports": [{"port": "http"}]}]
    assert set(chains(given)) == {"egress-10.244.0.3", "forward"}
    assert allowed(given, chain="egress-10.244.0.3") == [
        "ip daddr 10.244.0.2 tcp dport 9090",
        "ip daddr 10.244.0.5 tcp dport 8080",
    ]
    given["spec"]["egress"] = [{"ports": [{"port": 53, "protocol": "UDP"}]}]
    assert allowed(given, chain="egress-10.244.0.3") == ["udp dport 53"]


def test_both_ways_are_asked_the_senders_first():
    forward = chains(policy(None, policyTypes=["Ingress", "Egress"]))["forward"]
    ways = [line.split()[1] for line in forward if "vmap" in line]
    assert ways == ["saddr", "daddr"]


@pytest.mark.parametrize(
    "changed",
    [
        {"status": {"podIP": None}},
        {"status": {"phase": "Succeeded"}},
        {"spec": {"hostNetwork": True}},
    ],
)
def test_pods_without_an_address_of_their_own_are_in_no_rule(changed: dict[str, Any]):
    gone = pod("store", 2, ports={"http": 9090}, **changed)
    assert set(chains(policy(None), pods=[gone, READER])) == {"ingress-10.244.0.3", "forward"}


def test_the_same_objects_in_another_order_give_the_same_table():
    policies = [policy(ingress=[{"ports": [{"port": number}]}]) for number in (1, 2)]
    for name, each in zip("ab", policies, strict=True):
        each["metadata"]["name"] = name
    pods = [STORE, READER, FRONT]
    there = table(pods, NAMESPACES, policies, RANGE)
    assert table(pods[::-1], NAMESPACES, policies[::-1], RANGE) == there


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"app": "a"}}, True),
        ({"matchLabels": {"app": "a", "tier": "x"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["a"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_labels_are_selected_as_kubernetes_selects_them(selector: Any, selected: bool):
    assert selects(selector, {"app": "a"}) is selected


def test_what_is_watched_changes_the_table():
    known = Known(RANGE)
    known.replace("pods", [STORE, READER])
    known.replace("namespaces", NAMESPACES)
    known.replace("policies", [policy(ingress=[{"from": [{"podSelector": {}}]}])])
    version, text = known.table(0)
    assert "ip saddr { 10.244.0.2, 10.244.0.3 } return" in text
    known.apply("pods", "DELETED", READER)
    version, text = known.table(version)
    assert "ip saddr { 10.244.0.2 } return" in text
    known.apply("pods", "ADDED", pod("late", 9))
    version, text = known.table(version)
    assert "ip saddr { 10.244.0.2, 10.244.0.9 } return" in text
