"""Charts rendered by the real helm once per set of values, and the rendered collector at work."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from manifests.plan import repository_root
from toolchain import program_path

# Tests are imported by file: their folder is on no path.
if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))

from chart_examples import example_names, values_in
from pods import Pods
from stores import Store

ROOT = repository_root()
SECONDS = 30
INGEST_KEY = "what-the-secret-holds"
Objects = list[dict[str, Any]]


@lru_cache
def _helm(chart: str, release: str, namespace: str, values: str) -> tuple[int, str, str]:
    command: list[str | Path] = [program_path("helm"), "template", release]
    command += [ROOT / "charts" / chart]
    command += ["--namespace", namespace, "--values", "-"]
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@lru_cache
def _parsed(text: str) -> Objects:
    # The loader in C: a rendering is half a megabyte. Many tests read the same; nobody changes it.
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


@pytest.fixture(scope="session")
def render() -> Callable[..., str]:
    """Text of a chart rendered with values; fails the test when helm refuses."""

    def rendered(values: Any = None, chart: str = "midwatch", **settings: str) -> str:
        text = yaml.safe_dump(values or {})
        release = settings.get("release", "midwatch")
        code, out, err = _helm(chart, release, settings.get("namespace", "midwatch"), text)
        assert code == 0, err
        return out

    return rendered


@pytest.fixture(scope="session")
def objects(render: Callable[..., str]) -> Callable[..., Objects]:
    """Objects of a chart rendered with values; read only, for they are parsed once."""

    def parsed(values: Any = None, chart: str = "midwatch", **settings: str) -> Objects:
        return _parsed(render(values, chart, **settings))

    return parsed


@pytest.fixture(scope="session")
def refusal() -> Callable[..., str]:
    """What helm says of values that it must refuse."""

    def refused(values: Any, chart: str = "midwatch") -> str:
        code, _, err = _helm(chart, "midwatch", "midwatch", yaml.safe_dump(values))
        assert code != 0, "helm took the values"
        return err

    return refused


@pytest.fixture(scope="session")
def files_of(objects: Callable[..., Objects]) -> Callable[..., dict[str, dict[str, str]]]:
    """Files of all ConfigMaps, by ConfigMap and file name."""

    def collected(values: Any = None) -> dict[str, dict[str, str]]:
        maps = (item for item in objects(values) if item["kind"] == "ConfigMap")
        return {item["metadata"]["name"]: item["data"] or {} for item in maps}

    return collected


@pytest.fixture(scope="session", params=[*example_names(), "everything"])
def example(request: pytest.FixtureRequest, everything: dict[str, Any]) -> dict[str, Any]:
    """Values of each example in turn, and then with every option on."""
    if request.param == "everything":
        return everything
    return values_in(ROOT / "charts/midwatch/examples" / request.param / "values.yaml")


@pytest.fixture(scope="session")
def everything() -> dict[str, Any]:
    """Values that switch every option on, so that every value has an effect."""
    return values_in(ROOT / "tests/render/everything.yaml")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {SECONDS} s: {what}")


@pytest.fixture
def store() -> Iterator[Callable[..., Store]]:
    running: list[Store] = []

    def start(metrics_page: str = "") -> Store:
        running.append(Store(metrics_page))
        threading.Thread(target=running[-1].serve_forever, args=(0.05,), daemon=True).start()
        return running[-1]

    yield start
    for one in running:
        one.shutdown()
        one.server_close()


class Collector:
    """A tier's rendered pipeline as a process on free ports, which it keeps when it restarts."""

    def __init__(
        self,
        files_of: Callable[..., dict[str, dict[str, str]]],
        folder: Path,
        component: str = "collector",
    ) -> None:
        self._files_of = files_of
        self._folder = folder
        self._component = component
        self._process: subprocess.Popen[bytes] | None = None
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
        files = self._files_of(values | {"collector": own})
        text = files[f"midwatch-{self._component}"]["collector.yaml"]
        for name, port in ports.items():
            text = text.replace(f"0.0.0.0:{name}", f"127.0.0.1:{port}")
        text = text.replace("port: 8888", f"port: {ports['8888']}")
        text = re.sub(r"\b0(\.0){3}\b", "127.0.0.1", text)
        for relay in set(re.findall(r"127\.0\.0\.1:143\d\d\b", text)):
            text = text.replace(relay, f"127.0.0.1:{free_port()}")
        for cluster, local in addresses.items():
            text = text.replace(cluster, local)
        text = text.replace("/etc/midwatch/secrets/ledger", str(self._folder))
        return text.replace("/var/lib/midwatch/collector", str(self._folder))

    def stop(self, *, kill: bool = False) -> None:
        """End it, cleanly or not."""
        if self._process is None:
            return
        (self._process.kill if kill else self._process.terminate)()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@pytest.fixture
def tier(files_of, tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Makes collectors of the two tiers, each with a folder of its own; ends them together."""
    made: list[Collector] = []

    def make(component: str) -> Collector:
        folder = tmp_path / f"{component}-{len(made)}"
        folder.mkdir()
        made.append(Collector(files_of, folder, component))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def collector(files_of, tmp_path: Path) -> Iterator[Collector]:
    process = Collector(files_of, tmp_path)
    yield process
    process.stop()


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


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], Any], str], Any]:
    """Waits for a condition and gives what it gave; fails with what was waited for."""
    return wait_until


@pytest.fixture
def unused_port() -> int:
    """A port where nobody listens."""
    return free_port()


@pytest.fixture
def start(objects, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts a component's program as its pod would; gives the port on which it got ready."""
    pods = Pods(tmp_path)
    yield lambda component, values, secrets=None: pods.start(objects(values), component, secrets)
    pods.end()
