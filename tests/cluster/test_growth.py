"""What runs several times goes one at a time: by evictions, and by the roll-out of an upgrade."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bundle import MIDWATCH, Bundle, eventually, passed_checks
from cluster.access import CommandFailed

NAME = "midwatch-alertmanager"
COUNT = 3


# The balancer that follows the autoscaler is in no collector that can be built from Go modules.
FIXED = {"replicas": 2, "autoscaling": {"enabled": False}}
HA = {
    "profile": "ha",
    "collector": {**FIXED, "sampler": {**FIXED, "balanceBy": "shards"}},
    # Two need a PostgreSQL, of which no image is made here.
    "ledger": {"replicas": 1},
}


@pytest.fixture(scope="module")
def grown(bundle: Bundle) -> Iterator[Bundle]:
    """The bundle by its profile for a cluster of many nodes, changed in place."""
    former = bundle.settings
    bundle.settings = {**former, **HA}
    bundle.install()
    eventually(lambda: _ready(bundle) == COUNT, "three Alertmanagers that are ready")
    yield bundle
    bundle.settings = former


def test_all_that_can_be_several_is(grown: Bundle) -> None:
    found = grown.cluster.json("statefulsets", namespace=MIDWATCH)["items"]
    ready = {one["metadata"]["name"]: one["status"].get("readyReplicas") for one in found}
    wanted = {"alertmanager": 3, "collector": 2, "sampler": 2, "prometheus": 2, "ledger": 1}
    assert {f"midwatch-{name}": count for name, count in wanted.items()}.items() <= ready.items()


def test_a_turn_reaches_every_store_through_both_tiers(grown: Bundle) -> None:
    assert passed_checks(grown) >= {
        "the metric is in Prometheus",
        "its exemplar leads to the trace",
        "the turn is in the ledger",
        "an alert fires in Alertmanager",
    }


def test_those_that_gossip_know_each_other(grown: Bundle) -> None:
    def peers() -> bool:
        answer = grown.ask(MIDWATCH, NAME, 9093, "/api/v2/status").raise_for_status().json()
        return len(answer["cluster"]["peers"]) == COUNT

    assert eventually(peers, "three peers")


def test_a_disruption_budget_lets_one_go_at_a_time(grown: Bundle) -> None:
    eventually(lambda: _allowed(grown) == 1, "the budget allows one eviction")
    _evict(grown, f"{NAME}-0")
    with pytest.raises(CommandFailed, match="disruption budget"):
        _evict(grown, f"{NAME}-1")
    eventually(lambda: _ready(grown) == COUNT, "the evicted one is back")


def test_an_upgrade_rolls_out_one_at_a_time_and_never_without_two(grown: Bundle) -> None:
    before = _revisions(grown)
    grown.settings["alertmanager"] = {
        **grown.settings["alertmanager"],
        "env": {"ROLLED_OUT": "once"},
    }
    least = COUNT
    command = ["rollout", "status", f"statefulset/{NAME}", "--timeout=1s"]
    grown.install("--wait=hookOnly")

    def rolled_out() -> bool:
        nonlocal least
        least = min(least, _ready(grown))
        try:
            grown.cluster.kubectl(*command, namespace=MIDWATCH)
        except CommandFailed:
            return False
        return True

    eventually(rolled_out, "the roll-out")
    assert before.isdisjoint(_revisions(grown))
    assert least >= COUNT - 1


def _evict(bundle: Bundle, pod: str) -> None:
    named = {"name": pod, "namespace": MIDWATCH}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": named}
    path = f"/api/v1/namespaces/{MIDWATCH}/pods/{pod}/eviction"
    bundle.cluster.kubectl("create", f"--raw={path}", "--filename=-", given=json.dumps(eviction))


def _allowed(bundle: Bundle) -> int:
    budget = bundle.cluster.json("poddisruptionbudget", NAME, namespace=MIDWATCH)
    allowed: int = budget["status"].get("disruptionsAllowed", 0)
    return allowed


def _ready(bundle: Bundle) -> int:
    status = bundle.cluster.json("statefulset", NAME, namespace=MIDWATCH)["status"]
    ready: int = status.get("readyReplicas", 0)
    return ready


def _pods(bundle: Bundle) -> list[dict[str, Any]]:
    return [pod for pod in bundle.pods(MIDWATCH) if pod["metadata"]["name"].startswith(NAME)]


def _revisions(bundle: Bundle) -> set[str]:
    label = "controller-revision-hash"
    return {pod["metadata"]["labels"][label] for pod in _pods(bundle)}
