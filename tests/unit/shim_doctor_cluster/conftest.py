"""Prometheus servers with and without Midwatch's wishes, and a cluster that they are in."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

# Tests are imported by file: their folder is on no path.
if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))

from fake_cluster import ApiServer, prometheus

SOUND = """
storage: {tsdb: {out_of_order_time_window: 2h}}
otlp: {promote_all_resource_attributes: true}
rule_files: [rules.yaml]
alerting: {alertmanagers: [{static_configs: [{targets: [alerts.example:9093]}]}]}
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Prometheus as it is without Midwatch's wishes."""
    with prometheus(tmp_path_factory.mktemp("bare") / "p", "global: {}\n") as port:
        yield port


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    flags = (
        "--web.enable-otlp-receiver",
        "--enable-feature=exemplar-storage,memory-snapshot-on-shutdown",
    )
    with prometheus(tmp_path_factory.mktemp("sound") / "p", SOUND, *flags) as port:
        yield port


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    server = ApiServer()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    kubeconfig = {
        "clusters": [
            {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        ],
        "users": [{"name": "u", "user": {"token": "secret-token"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "here",
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    yield server
    server.shutdown()
    server.server_close()
