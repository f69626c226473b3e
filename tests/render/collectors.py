"""The rendered collector as a process on this machine, for tests and for benchmarks."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from toolchain import program_path

from tests.free_ports import free_port
from tests.render.rendering import files_of

SECONDS = 30
INGEST_KEY = "what-the-secret-holds"


def wait_until(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """What a condition gives once it gives something; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


class Collector:
    """A tier's rendered pipeline as a process on free ports, which it keeps when it restarts."""

    def __init__(self, folder: Path, component: str = "collector") -> None:
        self._folder = folder
        self._component = component
        self._process: subprocess.Popen[bytes] | None = None
        self.ended_by_itself = False
        self._ports = {name: free_port() for name in ("4317", "4318", "13133", "8888")}
        self.url = f"http://127.0.0.1:{self._ports['4318']}"
        self.grpc_address = f"127.0.0.1:{self._ports['4317']}"

    @property
    def process_id(self) -> int:
        """Of the running program."""
        assert self._process is not None
        return self._process.pid

    def start(
        self,
        values: dict[str, Any],
        addresses: dict[str, str],
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start it with values and the addresses of stores, and wait until it takes work."""
        ports = self._ports
        config = self._folder / "collector.yaml"
        (self._folder / "ingest-key").write_text(INGEST_KEY, encoding="utf-8")
        config.write_text(self._localized(values, addresses, ports), encoding="utf-8")
        command: list[str | Path] = [program_path("otelcol"), f"--config={config}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | (environment or {})
            )
        health = f"http://127.0.0.1:{ports['13133']}/"
        wait_until(lambda: request("GET", health) == 200, "the collector is up")

    def send(
        self,
        attributes: dict[str, str],
        *,
        trace: int = 1,
        number: int | None = None,
        failed: bool = False,
    ) -> None:
        """Send one span, as an agent would; further ones of a trace have a number."""
        span = {
            "traceId": f"{trace:032x}",
            "spanId": f"{trace if number is None else number:016x}",
            "name": "chat",
            "kind": 3,
            "status": {"code": 2 if failed else 1},
            "startTimeUnixNano": str(time.time_ns() - 10**9),
            "endTimeUnixNano": str(time.time_ns()),
            "attributes": [
                {"key": key, "value": {"stringValue": value}} for key, value in attributes.items()
            ],
        }
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "agent"}}]}
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
        assert request("POST", f"{self.url}/v1/traces", body) == 200

    def _localized(
        self, values: dict[str, Any], addresses: dict[str, str], ports: dict[str, int]
    ) -> str:
        own = {"kubernetesAttributes": {"enabled": False}} | values.get("collector", {})
        files = files_of(values | {"collector": own})
        text = files[f"midwatch-{self._component}"]["collector.yaml"]
        for name, port in ports.items():
            text = text.replace(f"0.0.0.0:{name}", f"127.0.0.1:{port}")
        text = text.replace("port: 8888", f"port: {ports['8888']}")
        # What is summed up of spans goes out as ever, without the tests waiting for it.
        text = text.replace("metrics_flush_interval: 5s", "metrics_flush_interval: 1s")
        text = re.sub(r"\b0(\.0){3}\b", "127.0.0.1", text)
        for cluster, local in addresses.items():
            text = text.replace(cluster, local)
        text = text.replace("/etc/midwatch/secrets/ledger", str(self._folder))
        return text.replace("/var/lib/midwatch/collector", str(self._folder))

    def stop(self, *, kill: bool = False, seconds: float = 10) -> None:
        """End it, cleanly or not; after these seconds it has to."""
        if self._process is None:
            return
        (self._process.kill if kill else self._process.terminate)()
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.ended_by_itself = self._process.returncode == 0
        self._process = None


def request(method: str, url: str, body: Any = None) -> int:
    """Status of a request to a loopback address; 0 when nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request(method, parts.path, json.dumps(body) if body else None, headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
