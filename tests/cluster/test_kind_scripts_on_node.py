"""The scripts of `kind/` on the node without Docker: all comes up, and one screen says so."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest
from bundle import AGENTS, MIDWATCH, ROOT, Bundle, eventually
from cluster import Node
from strangers import pod_of_python


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "kind" / script],
        env={**os.environ, "MIDWATCH_CLUSTER": "node"},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def shown(bundle: Bundle) -> str:
    """What `kind_demo_up.sh` prints, on the cluster that the other tests have begun."""
    if bundle.cluster.kubeconfig != Node.here().kubeconfig:
        pytest.skip("the scripts take the node of this machine, and these tests another cluster")
    bundle.say("running kind/kind_demo_up.sh")
    done = run("kind_demo_up.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_up_brings_midwatch_and_both_agents_and_says_where_to_click(shown: str) -> None:
    assert "Everything is up." in shown
    screen = shown[shown.index("== midwatch") :]
    for pod in ("collector", "prometheus", "alertmanager", "ledger"):
        assert f"midwatch-{pod}-0" in screen
    for agent in ("security-agent", "retail-simulation"):
        assert f"  {agent}-" in screen
    assert "port-forward service/midwatch-prometheus 9090" in screen
    assert "docs/runbooks" in screen or "  none" in screen


def test_the_screen_names_the_agents_that_are_seen(bundle: Bundle, shown: str) -> None:
    def seen() -> bool:
        bundle.chat("What is the current protection status?", "scripts")
        screen = run("kind_demo_status.sh").stdout
        return "\n  security-agent\n" in screen[screen.index("== Agents that are seen") :]

    eventually(seen, "the security agent on the screen", 60)


def test_the_screen_says_what_each_pod_uses(shown: str) -> None:
    def said() -> bool:
        _, _, used = run("kind_demo_status.sh").stdout.partition("== What Midwatch's pods use")
        return re.search(r"midwatch-prometheus-0 +\d+m +\d+Mi", used) is not None

    eventually(said, "CPU and memory on the screen", 60)


def test_the_screen_says_what_is_wrong_and_fails(bundle: Bundle, shown: str) -> None:
    broken = pod_of_python("broken", "pass", {})
    broken["spec"]["containers"][0]["image"] = "midwatch-no-such-image:kind"
    bundle.cluster.kubectl("apply", "--filename=-", given=json.dumps(broken), namespace=AGENTS)
    try:

        def told() -> bool:
            done = run("kind_demo_status.sh")
            why = "midwatch-no-such-image:kind" in done.stdout
            return done.returncode == 1 and why and "not everything is up" in done.stderr

        eventually(told, "the pod without an image on the screen", 60)
    finally:
        remove = ["delete", "pod", "broken", "--grace-period=1"]
        bundle.cluster.kubectl(*remove, namespace=AGENTS)
        bundle.cluster.helm("uninstall", "retail-simulation", "--namespace", AGENTS)
    assert bundle.pods(MIDWATCH)
