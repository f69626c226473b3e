"""Injection on a node: what never heard of Midwatch is watched, whichever way the shim comes."""

from __future__ import annotations

from typing import Any

import pytest
from bundle import SHOP, Bundle, eventually

WAYS = {"image-volume": [], "init-container": ["midwatch-injection"]}


@pytest.mark.parametrize("way", WAYS)
def test_an_image_that_never_heard_of_midwatch_is_watched_in_either_way(
    bundle: Bundle, way: str
) -> None:
    bundle.settings["injection"] = {"mode": way}
    bundle.install()
    bundle.install_agent("retail-simulation")
    pod = eventually(lambda: _new_pod(bundle, way), f"a pod that is injected by {way}")
    assert "midwatch.dev/injected" in pod["metadata"]["labels"]
    began = {each["id"] for each in _executions(bundle)}
    days = bundle.ask(SHOP, "retail-simulation", 8090, "/simulation/days", json={"days": 1})
    assert days.status_code == 200, days.text

    def rows() -> list[dict[str, Any]]:
        return [each for each in _executions(bundle) if each["id"] not in began]

    new = eventually(rows, "executions of the pod in the ledger")
    assert any(each["llm_calls"] for each in new)


def _new_pod(bundle: Bundle, way: str) -> dict[str, Any] | None:
    """Return the shop's pod when it is ready; one of another way is made again."""
    found = [pod for pod in bundle.pods(SHOP) if "deletionTimestamp" not in pod["metadata"]]
    for pod in found:
        initial = [each["name"] for each in pod["spec"].get("initContainers", ())]
        if initial != WAYS[way] or "midwatch.dev/injected" not in pod["metadata"]["labels"]:
            bundle.cluster.kubectl(
                "delete", "pod", pod["metadata"]["name"], "--grace-period=1", namespace=SHOP
            )
            return None
    ready = [pod for pod in found if _is_ready(pod)]
    return ready[0] if len(ready) == 1 else None


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _executions(bundle: Bundle) -> list[dict[str, Any]]:
    found = bundle.ledger("/execution-logs/executions", limit=200, include_llm_calls=True)
    return [each for each in found if each["service"] == "retail-simulation"]
