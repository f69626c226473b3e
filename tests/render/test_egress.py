"""What Midwatch's own pods may call, where that is limited."""

from __future__ import annotations

from typing import Any

import pytest


def policies(rendered: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in rendered if each["kind"] == "NetworkPolicy"]


def egress_of(objects, component: str, allow: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    values = {"networkPolicy": {"egress": {"restricted": True, "allow": allow}}, **more}
    (policy,) = (
        each["spec"]
        for each in policies(objects(values))
        if each["metadata"]["name"] == f"midwatch-{component}"
    )
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    rules: list[dict[str, Any]] = policy["egress"]
    return rules


def test_by_default_it_is_not_limited(objects):
    for policy in policies(objects()):
        assert policy["spec"]["policyTypes"] == ["Ingress"]
        assert "egress" not in policy["spec"]


def test_limited_each_calls_names_and_the_release_and_the_collector_the_api(objects):
    names, own = egress_of(objects, "ledger", {})
    assert {port["port"] for port in names["ports"]} == {53, 5353}
    (peer,) = own["to"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "midwatch"
    *_, api = egress_of(objects, "collector", {})
    assert {port["port"] for port in api["ports"]} == {443, 6443}
    alone = {"collector": {"kubernetesAttributes": {"enabled": False}}}
    assert len(egress_of(objects, "collector", {}, **alone)) == 2


@pytest.mark.parametrize(
    ("allowed", "rule"),
    [
        ({}, {}),
        ({"cidr": "203.0.113.7/32"}, {"to": [{"ipBlock": {"cidr": "203.0.113.7/32"}}]}),
        ({"ports": {"443": True, "80": False}}, {"ports": [{"port": 443, "protocol": "TCP"}]}),
        (
            {"namespace": "databases", "components": {"ledger": True}},
            {
                "to": [
                    {
                        "namespaceSelector": {
                            "matchLabels": {"kubernetes.io/metadata.name": "databases"}
                        }
                    }
                ]
            },
        ),
    ],
)
def test_what_is_allowed_besides(objects, allowed: dict[str, Any], rule: dict[str, Any]):
    assert egress_of(objects, "ledger", {"added": allowed})[2:] == [rule]


@pytest.mark.parametrize(
    "allowed",
    [
        {"components": {"grafana": True}},
        {"ports": {"443": False}},
        {"components": {"ledger": False}},
    ],
)
def test_what_is_for_others_or_switched_off_allows_nothing(objects, allowed: dict[str, Any]):
    assert egress_of(objects, "ledger", {"added": allowed})[2:] == []


@pytest.mark.parametrize("component", ["sampler", "scraper"])
def test_what_the_collector_may_call_all_of_its_roles_may(objects, component: str):
    shards = {"balanceBy": "shards", "autoscaling": {"enabled": False}}
    ha = {"profile": "ha", "ledger": {"replicas": 1}}
    ha["collector"] = {"sampler": shards, "scrape": {"enabled": True}}
    allow = {"shop": {"namespace": "shop", "components": {"collector": True}}}
    *_, last = egress_of(objects, component, allow, **ha)
    assert last["to"][0]["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "shop"
    }
