"""A cluster for the doctor: an API server that answers as real ones, and real Prometheus."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from toolchain import program_path

from tests.free_ports import free_port

PROXIED = re.compile(r"/api/v1/namespaces/([\w-]+)/services/(?:https:)?([\w-]+):(\d+)/proxy(/.*)")
RULES = """
groups: [{name: midwatch-watchdog, rules: [{alert: Watchdog, expr: vector(1)}]}]
"""


class ApiServer(http.server.ThreadingHTTPServer):
    """What a cluster answers by path; a service is another server, or an answer by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.services: dict[str, dict[str, Any] | int] = {}
        self.asked: list[str | None] = []
        self.answers: dict[str, Any] = {
            "/version": {"gitVersion": "v1.36.3"},
            "/api/v1/services": listed(),
            "/api/v1/nodes": listed(node("containerd://2.4.2")),
            "/api/v1/namespaces": listed(named("midwatch"), named("monitoring")),
            "/apis/storage.k8s.io/v1/storageclasses": listed(
                named("fast", annotations={"storageclass.kubernetes.io/is-default-class": "true"})
            ),
            "/apis/admissionregistration.k8s.io/v1": {
                "resources": [{"name": "mutatingadmissionpolicies"}]
            },
        }

    def offer(self, name: str, port: int, behind: dict[str, Any] | int, **labels: str) -> None:
        """Add a Service of the namespace monitoring and what is behind it."""
        self.services[f"{name}:{port}"] = behind
        service = named(name, "monitoring", labels={"app.kubernetes.io/name": name, **labels})
        service["spec"] = {"clusterIP": "10.0.0.1", "ports": [{"port": port, "name": "http"}]}
        service["spec"]["selector"] = {"app": name}
        self.answers["/api/v1/services"]["items"].append(service)

    def answer(self, path: str, data: bytes | None) -> tuple[int, Any]:
        found = PROXIED.fullmatch(path)
        if found is None:
            return (200, self.answers[path]) if path in self.answers else (404, {})
        behind = self.services[f"{found[2]}:{found[3]}"]
        if isinstance(behind, int):
            return passed_on(f"http://127.0.0.1:{behind}{found[4]}", data)
        answer = behind.get(found[4], 404)
        return (answer, {}) if isinstance(answer, int) else (200, answer)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"] or 0)))

    def _answer(self, data: bytes | None) -> None:
        self.server.asked.append(self.headers["Authorization"])
        status, body = self.server.answer(self.path, data)
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def passed_on(url: str, data: bytes | None) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/x-protobuf"} if data is not None else {}
    method = "GET" if data is None else "POST"
    answer = httpx.request(method, url, content=data, headers=headers)
    return answer.status_code, answer.content


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(items)}


def named(name: str, namespace: str = "", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "spec": {}}


def node(runtime: str) -> dict[str, Any]:
    return {"status": {"nodeInfo": {"containerRuntimeVersion": runtime}}}


def settled(url: str, has_alertmanagers: bool) -> bool:
    """Whether a Prometheus is ready and knows its Alertmanagers, of which it hears later."""
    try:
        if httpx.get(f"{url}/-/ready").status_code != 200:
            return False
        known = httpx.get(f"{url}/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"]
    except httpx.HTTPError:
        return False
    return bool(known) or not has_alertmanagers


@contextmanager
def prometheus(folder: Path, config: str, *arguments: str) -> Iterator[int]:
    folder.mkdir()
    (folder / "prometheus.yaml").write_text(config)
    (folder / "rules.yaml").write_text(RULES)
    port = free_port()
    command = [str(program_path("prometheus")), f"--config.file={folder / 'prometheus.yaml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", *arguments]
    command += [f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not settled(f"http://127.0.0.1:{port}", "alertmanagers" in config):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)
