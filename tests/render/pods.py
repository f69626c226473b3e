"""A component's pod as a process on this machine: its files, its command, its probes."""

from __future__ import annotations

import http.client
import subprocess
import time
from pathlib import Path
from typing import Any

from toolchain import program_path

from tests.free_ports import free_port

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
        self.port = free_port()
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


class Pods:
    """Pods that run at once, each in its folder; ended together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        rendered: list[dict[str, Any]],
        component: str,
        secrets: dict[str, str] | None = None,
    ) -> int:
        """Start a component's program as its pod would; gives the port on which it got ready.

        `secrets` are texts by mount and key, such as `slack/url`.
        """
        pod = Pod(rendered, component, self._folder)
        pod.write_files()
        for name, text in (secrets or {}).items():
            file = self._folder / "etc/midwatch/secrets" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        with (self._folder / "log").open("wb") as log:
            self._running.append(subprocess.Popen(pod.command, stdout=log, stderr=log))
        ready = pod.container["readinessProbe"]["httpGet"]["path"]
        deadline = time.monotonic() + SECONDS
        while answers(pod.port, ready) != 200:
            said = (self._folder / "log").read_text(encoding="utf-8")
            assert self._running[-1].poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        assert answers(pod.port, pod.container["livenessProbe"]["httpGet"]["path"]) == 200
        return pod.port

    def end(self) -> None:
        """End them all."""
        for process in self._running:
            process.terminate()
            process.wait(timeout=20)
