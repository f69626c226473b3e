"""What a cluster says of the pods of which there are several."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from bundle import MIDWATCH, Bundle

ALERTMANAGER = "midwatch-alertmanager"


def evict(bundle: Bundle, pod: str) -> None:
    """Ask for a pod to go; refused while a disruption budget does not allow it."""
    named = {"name": pod, "namespace": MIDWATCH}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": named}
    path = f"/api/v1/namespaces/{MIDWATCH}/pods/{pod}/eviction"
    bundle.cluster.kubectl("create", f"--raw={path}", "--filename=-", given=json.dumps(eviction))


def allowed(bundle: Bundle) -> int:
    """How many Alertmanagers may go now."""
    budget = bundle.cluster.json("poddisruptionbudget", ALERTMANAGER, namespace=MIDWATCH)
    allowed: int = budget["status"].get("disruptionsAllowed", 0)
    return allowed


def ready(bundle: Bundle) -> int:
    """How many Alertmanagers are ready."""
    status = bundle.cluster.json("statefulset", ALERTMANAGER, namespace=MIDWATCH)["status"]
    ready: int = status.get("readyReplicas", 0)
    return ready


def pods(bundle: Bundle) -> list[dict[str, Any]]:
    """The pods of Alertmanager."""
    return [
        pod for pod in bundle.pods(MIDWATCH) if pod["metadata"]["name"].startswith(ALERTMANAGER)
    ]


def revisions(bundle: Bundle) -> set[str]:
    """The versions of Alertmanager of which there are pods."""
    label = "controller-revision-hash"
    return {pod["metadata"]["labels"][label] for pod in pods(bundle)}


def ledgers(bundle: Bundle) -> list[dict[str, Any]]:
    """The ledger's pods with PostgreSQL; the one with SQLite has another name and ends."""
    wanted = {"app.kubernetes.io/component": "ledger"}
    return [
        pod
        for pod in bundle.pods(MIDWATCH)
        if wanted.items() <= pod["metadata"].get("labels", {}).items()
        and "pod-template-hash" in pod["metadata"]["labels"]
        and "deletionTimestamp" not in pod["metadata"]
    ]


def use(bundle: Bundle, tier: str) -> int | None:
    """What an autoscaler says its pods use, in per cent of what they ask for."""
    scaler = bundle.cluster.json("hpa", f"midwatch-{tier}", namespace=MIDWATCH)
    for metric in scaler["status"].get("currentMetrics") or ():
        said: int | None = metric.get("resource", {}).get("current", {}).get("averageUtilization")
        if said is not None:
            return said
    return None


def least_use(bundle: Bundle, tier: str, seconds: float = 30) -> int:
    """The least that its autoscaler says in this time, in which it looks twice."""
    said: list[int] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or not said:
        if (now := use(bundle, tier)) is not None:
            said.append(now)
        time.sleep(1)
    return min(said)


def samplers(bundle: Bundle) -> int:
    """How many there are, if they are as many as are wanted and all are ready."""
    found = bundle.cluster.json("statefulset", "midwatch-sampler", namespace=MIDWATCH)
    count: int = found["status"]["replicas"]
    wanted = (found["spec"]["replicas"], found["status"].get("readyReplicas"))
    return count if wanted == (count, count) else 0


def roll_out(bundle: Bundle, tier: str) -> None:
    """Have every pod of a tier replaced, and wait until the last one is."""
    replaced = f"statefulset/midwatch-{tier}"
    bundle.cluster.kubectl("rollout", "restart", replaced, namespace=MIDWATCH)
    bundle.cluster.kubectl("rollout", "status", replaced, "--timeout=180s", namespace=MIDWATCH)


def share_of_the_least(by: dict[str, list[str]]) -> int:
    """How many traces came from the sampler that sent fewest; 0 as long as there are two."""
    counts = Counter(sampler for samplers in by.values() for sampler in samplers)
    return min(counts.values()) if len(counts) >= 3 else 0


def spans_in_tempo(bundle: Bundle, trace_id: str) -> int:
    """How many spans of a trace Tempo finds."""
    answer = bundle.ask(MIDWATCH, "midwatch-tempo", 3200, f"/api/v2/traces/{trace_id}")
    return answer.text.count('"spanId"')


def waiting_to_migrate(bundle: Bundle) -> int:
    """How many ledgers are in the step of their start that migrates."""
    states = [pod["status"].get("initContainerStatuses", ()) for pod in ledgers(bundle)]
    return sum("running" in each["state"] for one in states for each in one)
