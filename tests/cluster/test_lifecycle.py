"""After upgrades, rollbacks, killed pods and drained nodes what was kept is still there."""

from __future__ import annotations

from typing import Any

import pytest
from bundle import MIDWATCH, Bundle, eventually
from cluster.access import CommandFailed


@pytest.fixture(scope="module")
def before(bundle: Bundle) -> set[str]:
    """The executions that the ledger has before anything is disturbed."""
    assert bundle.chat("What is the current protection status?", "before").status_code == 200
    return eventually(lambda: _known(bundle), "executions in the ledger")


def test_an_upgrade_keeps_data_and_keys_and_takes_the_new_values(
    bundle: Bundle, before: set[str]
) -> None:
    key = bundle.ledger_key("admin-key")
    bundle.settings["collector"] = {"logLevel": "debug"}
    bundle.install()
    config = bundle.cluster.helm("get", "values", "midwatch", "--namespace", MIDWATCH)
    assert "logLevel: debug" in config
    assert bundle.ledger_key("admin-key") == key
    assert before <= _known(bundle)


def test_a_rollback_keeps_data_and_takes_the_former_values(
    bundle: Bundle, before: set[str]
) -> None:
    arguments = ["rollback", "midwatch", "--namespace", MIDWATCH, "--wait", "--timeout", "5m"]
    bundle.cluster.helm(*arguments)
    config = bundle.cluster.helm("get", "values", "midwatch", "--namespace", MIDWATCH)
    assert "logLevel: debug" not in config
    assert before <= _known(bundle)


def test_killed_pods_come_back_and_what_agents_did_meanwhile_arrives(
    bundle: Bundle, before: set[str]
) -> None:
    known = _known(bundle)
    bundle.cluster.kubectl("delete", "pods", "--all", "--wait=false", namespace=MIDWATCH)
    assert bundle.chat("Show me the latest alerts, please.", "meanwhile").status_code == 200

    def arrived() -> set[str]:
        return _known(bundle) - known

    eventually(arrived, "the execution that ended while nothing of Midwatch ran")
    assert known <= _known(bundle)


def test_a_drained_node_leaves_the_bundle_ready_to_go_on(bundle: Bundle, before: set[str]) -> None:
    node = bundle.cluster.json("nodes")["items"][0]["metadata"]["name"]
    drain = ["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"]
    drain += [f"--pod-selector=app.kubernetes.io/instance={MIDWATCH}"]
    bundle.cluster.kubectl(*drain)
    assert not [pod for pod in bundle.pods(MIDWATCH) if pod["status"]["phase"] == "Running"]
    bundle.cluster.kubectl("uncordon", node)
    _await_ready(bundle)
    assert before <= eventually(lambda: _known(bundle), "the ledger after the drain")


def test_uninstalling_leaves_the_volumes_and_the_keys_to_whoever_installs_again(
    bundle: Bundle, before: set[str]
) -> None:
    key = bundle.ledger_key("admin-key")
    bundle.cluster.helm("uninstall", "midwatch", "--namespace", MIDWATCH, "--wait")
    claims = bundle.cluster.json("persistentvolumeclaims", namespace=MIDWATCH)["items"]
    assert claims
    bundle.install()
    assert bundle.ledger_key("admin-key") == key
    assert before <= eventually(lambda: _known(bundle), "the ledger after the second install")


def _await_ready(bundle: Bundle) -> None:
    wait = ["wait", "pods", "--all", "--for=condition=Ready", "--timeout=10s"]

    def ready() -> bool:
        try:
            bundle.cluster.kubectl(*wait, namespace=MIDWATCH)
        except CommandFailed:
            return False
        return True

    eventually(ready, "every pod ready again")


def _known(bundle: Bundle) -> set[str]:
    found: list[dict[str, Any]] = bundle.ledger("/execution-logs/executions", limit=200)
    return {each["id"] for each in found}
