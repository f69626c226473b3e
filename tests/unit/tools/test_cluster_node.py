"""What of a node without Docker shows without starting one; `make test-cluster` starts it."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cluster import host, pki
from cluster.errors import ClusterUnavailable
from cluster.node import Node


def test_without_root_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "needs root" in (host.why_not() or "needs Linux, needs root")


def test_on_another_system_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert "needs Linux" in (host.why_not() or "")
    with pytest.raises(ClusterUnavailable, match="needs Linux"):
        Node(Path("unused")).start()


@pytest.mark.skipif(host.why_not() is not None, reason="this machine can't run a node anyway")
@pytest.mark.skipif(shutil.which("runc") is not None, reason="runc is on PATH")
def test_where_a_program_of_the_distribution_is_not_to_be_had_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("unshare", "mount"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("MIDWATCH_CACHE_DIR", str(tmp_path / "cache"))
    assert "install runc" in (host.why_not() or "")


def test_a_node_that_was_never_started_does_not_run_and_stops_quietly(tmp_path: Path) -> None:
    node = Node(tmp_path / "node")
    assert not node.running
    with pytest.raises(ClusterUnavailable, match="does not run"):
        node.enter("true")


def test_every_certificate_is_signed_by_its_authority_and_keys_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    pki.write_all(folder, "node", "10.0.0.2", "10.96.0.1")
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.glob("*.key"))
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.glob("*.kubeconfig"))
    for name in ("apiserver", "kubelet-serving", "metrics-server-serving", "admin"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(folder / "ca.crt")
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    config = yaml.safe_load((folder / "admin.kubeconfig").read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://10.0.0.2:6443"


def test_the_clusters_tests_are_no_part_of_the_main_ones() -> None:
    tests = Path(__file__).resolve().parents[2]
    others = [f"--ignore={path}" for path in tests.iterdir() if path.name != "cluster"]
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", tests, *others],
        cwd=tests.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no tests" in listed.stdout
