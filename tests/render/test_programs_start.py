"""The real programs start with the rendered arguments, and get ready by the rendered probes."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toolchain import program_path

pytestmark = pytest.mark.programs
SECONDS = 30


def answers(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


class Pod:
    """A component's pod, as files and a command on this machine."""

    def __init__(self, rendered: list[dict[str, Any]], component: str, folder: Path) -> None:
        name = f"midwatch-{component}"
        (workload,) = [
            item
            for item in rendered
            if item["kind"] == "StatefulSet" and item["metadata"]["name"] == name
        ]
        self._spec = workload["spec"]["template"]["spec"]
        (self.container,) = self._spec["containers"]
        self._maps = {
            item["metadata"]["name"]: item["data"]
            for item in rendered
            if item["kind"] == "ConfigMap"
        }
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.command = [str(program_path(component)), *map(self._local, self.container["args"])]

    def _local(self, text: str) -> str:
        for folder in ("/etc/midwatch", "/var/lib/midwatch"):
            text = text.replace(folder, f"{self._folder}{folder}")
        listen = f"0.0.0.0:{self.container['ports'][0]['containerPort']}"
        return text.replace(listen, f"127.0.0.1:{self.port}")

    def write_files(self) -> None:
        """Write what its volumes hold."""
        volumes = {one["name"]: one.get("configMap", {}) for one in self._spec["volumes"]}
        for mount in self.container["volumeMounts"]:
            folder = self._folder / mount["mountPath"].removeprefix("/")
            folder.mkdir(parents=True, exist_ok=True)
            source = self._maps.get(volumes.get(mount["name"], {}).get("name"), {})
            for name, text in source.items():
                (folder / name).write_text(self._local(text), encoding="utf-8")


@pytest.fixture
def start(objects, tmp_path: Path) -> Iterator[Callable[[str, dict[str, Any]], int]]:
    """Starts a component's program as its pod would; gives the port on which it got ready."""
    running: list[subprocess.Popen[bytes]] = []

    def started(component: str, values: dict[str, Any]) -> int:
        pod = Pod(objects(values), component, tmp_path)
        pod.write_files()
        with (tmp_path / "log").open("wb") as log:
            running.append(subprocess.Popen(pod.command, stdout=log, stderr=log))
        ready = pod.container["readinessProbe"]["httpGet"]["path"]
        deadline = time.monotonic() + SECONDS
        while answers(pod.port, ready) != 200:
            said = (tmp_path / "log").read_text(encoding="utf-8")
            assert running[-1].poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        assert answers(pod.port, pod.container["livenessProbe"]["httpGet"]["path"]) == 200
        return pod.port

    yield started
    for process in running:
        process.terminate()
        process.wait(timeout=20)


def test_prometheus_starts_with_its_otlp_receiver_and_exemplars(start, everything):
    port = start("prometheus", everything)
    assert answers(port, "/api/v1/query_exemplars?query=up&start=0&end=1") == 200
    # Without the flag it would be 404; a GET is the wrong method, or an empty body the wrong one.
    assert answers(port, "/api/v1/otlp/v1/metrics") in {400, 405}


def test_alertmanager_starts_with_every_receiver(start, everything):
    port = start("alertmanager", everything)
    assert answers(port, "/api/v2/status") == 200
