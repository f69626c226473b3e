"""One real cluster for all tests here, with the bundle and the demo's agents in it.

MIDWATCH_TEST_KUBECONFIG names a cluster to use instead of a node of our own; the images must be in
it, or MIDWATCH_TEST_KIND_CLUSTER names the kind cluster that they are to be loaded into.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import ClusterUnavailable, Node
from cluster.access import Cluster
from cluster.database_image import postgresql_image
from cluster.demo_images import demo_images, injection_image, program_images
from cluster.host import why_not
from cluster.images import write_archive

# Tests are imported by file: their folder is on no path.
if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))

from bundle import AGENT_PLACES, AGENTS, MIDWATCH, SHOP, Bundle

# On a terminal and in CI alike, one sees what the cluster waits for.
_BEGUN = time.monotonic()


def _say(words: str) -> None:
    os.write(2, f"\n[cluster {time.monotonic() - _BEGUN:5.0f} s] {words}\n".encode())


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with the images in it."""
    archive = tmp_path_factory.mktemp("images") / "images.tar"
    given = os.environ.get("MIDWATCH_TEST_KUBECONFIG")
    if given:
        yield _given_cluster(Path(given).expanduser(), archive)
        return
    reason = why_not()
    if reason is not None:
        pytest.skip(f"{reason}; or name a cluster in MIDWATCH_TEST_KUBECONFIG")
    node = Node.here()
    if node.running:
        raise ClusterUnavailable("the node runs for something else; end it: kind/kind_demo_down.sh")
    _say("starting the node (the first time, its programs are built: 5 to 20 minutes)")
    begun = time.monotonic()
    node.start()
    _say(f"FIGURE start of the node: {time.monotonic() - begun:.1f} s")
    try:
        _make_images(archive)
        node.load([archive])
        yield Cluster(node.kubeconfig, node.kubectl)
    finally:
        node.stop()
        _say("the node is gone")


@pytest.fixture(scope="session")
def bundle(cluster: Cluster) -> Iterator[Bundle]:
    """Midwatch in a namespace that enforces the restricted standard, and the agents beside it."""
    for namespace in (MIDWATCH, AGENTS, SHOP):
        cluster.kubectl("create", "namespace", namespace)
        label = "pod-security.kubernetes.io/enforce=restricted"
        cluster.kubectl("label", "namespace", namespace, label)
    cluster.kubectl("label", "namespace", SHOP, "midwatch.dev/inject=python")
    made = Bundle(cluster, say=_say)
    made.receive_pages()
    made.install_world()
    made.install()
    made.install_agent("security-agent")
    yield made
    for release, namespace in AGENT_PLACES.items():
        cluster.helm("uninstall", release, "--namespace", namespace, "--ignore-not-found")
    cluster.helm("uninstall", "midwatch", "--namespace", MIDWATCH, "--ignore-not-found")
    cluster.kubectl("delete", "namespace", MIDWATCH, AGENTS, SHOP, "--wait=false")


def _make_images(archive: Path) -> None:
    _say("making the images")
    own = [*demo_images(), injection_image(), postgresql_image()]
    write_archive(archive, [*own, *program_images()])
    _say("loading the images")


def _given_cluster(kubeconfig: Path, archive: Path) -> Cluster:
    kubectl = shutil.which("kubectl")
    if not kubeconfig.is_file() or kubectl is None:
        raise ClusterUnavailable(
            f"MIDWATCH_TEST_KUBECONFIG is {kubeconfig}: "
            "it must be a kubeconfig, and kubectl must be on PATH"
        )
    kind = os.environ.get("MIDWATCH_TEST_KIND_CLUSTER")
    if kind:
        _make_images(archive)
        subprocess.run(["kind", "load", "image-archive", str(archive), "--name", kind], check=True)
    return Cluster(kubeconfig, Path(kubectl))
