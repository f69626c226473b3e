"""Midwatch and the demo's agents on a cluster, as the tests install, question and disturb them."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml
from cluster.access import Cluster
from cluster.errors import ClusterUnavailable
from manifests.plan import repository_root
from toolchain import find_program

ROOT = repository_root()
MIDWATCH = "midwatch"
AGENTS = "demo"
SHOP = "shop"
"""Where every Python pod is instrumented by the namespace's label alone."""
AGENT_PLACES = {"security-agent": AGENTS, "retail-simulation": SHOP}
CHART = ROOT / "charts" / "midwatch"
VALUES = (CHART / "examples" / "kind" / "values.yaml", ROOT / "kind" / "midwatch-values-node.yaml")
PATIENCE_SECONDS = 240.0
Found = TypeVar("Found")

# Prints what it is sent, one JSON document a line, so that its log is what was received.
_RECEIVER = """
import http.server
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200); self.end_headers()
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Receiver).serve_forever()
"""


def eventually(
    ask: Callable[[], Found | None], what: str, seconds: float = PATIENCE_SECONDS
) -> Found:
    """Return the first answer that is something; fails, naming what, when none comes in time."""
    deadline = time.monotonic() + seconds
    problem: Exception | None = None
    while time.monotonic() < deadline:
        try:
            answer = ask()
        except (httpx.HTTPError, ClusterUnavailable) as refused:
            answer, problem = None, refused
        if answer:
            return answer
        time.sleep(0.5)
    raise AssertionError(
        f"not within {seconds:.0f} s: {what}" + (f" ({problem})" if problem else "")
    )


@dataclass
class Bundle:
    """What is installed, and when the install began (`time.monotonic`)."""

    cluster: Cluster
    say: Callable[[str], None]
    begun: float = 0.0
    settings: dict[str, Any] = field(default_factory=lambda: {"tempo": {"enabled": has_tempo()}})

    def receive_pages(self) -> None:
        """Start what gets the pages, and tell Alertmanager's values of it."""
        self.cluster.kubectl("apply", "--filename=-", given=_receiver_objects())
        secret = ["create", "secret", "generic", "pages"]
        url = f"http://pages.{AGENTS}.svc:8080/"
        self.cluster.kubectl(*secret, f"--from-literal=url={url}", namespace=MIDWATCH)
        self.settings["alertmanager"] = {"webhook": {"enabled": True, "existingSecret": "pages"}}

    def install(self, *more: str) -> None:
        """Install or upgrade Midwatch and wait until it is ready."""
        self.say("installing midwatch")
        self.begun = self.begun or time.monotonic()
        arguments = ["upgrade", "--install", "midwatch", str(CHART), "--namespace", MIDWATCH]
        for values in VALUES:
            arguments += ["--values", str(values)]
        arguments += ["--values", "-", "--wait", "--timeout", "5m", *more]
        self.cluster.helm(*arguments, given=yaml.safe_dump(self.settings))
        self.say(
            f"midwatch is ready, {time.monotonic() - self.begun:.0f} s after its install began"
        )

    def install_world(self) -> None:
        """Start what is around the agents, and do not wait for it."""
        self.cluster.kubectl("apply", "--filename", str(ROOT / "kind" / "dependencies.yaml"))

    def install_agent(self, agent: str) -> None:
        """Install one of the demo's agents and wait until it is ready."""
        self.say(f"installing {agent}")
        arguments = ["upgrade", "--install", agent, str(ROOT / "charts" / agent)]
        arguments += ["--namespace", AGENT_PLACES[agent], "--wait", "--timeout", "5m"]
        values = ROOT / "kind" / f"{agent}-values-kind.yaml"
        self.cluster.helm(*arguments, "--values", str(values))

    def ask(
        self, namespace: str, service: str, port: int, path: str, **sent: Any
    ) -> httpx.Response:
        """Send one request to a Service: a GET, or a POST when `json` is given."""
        method = sent.pop("method", "POST" if "json" in sent else "GET")
        with ExitStack() as stack:
            url = stack.enter_context(self.cluster.port(namespace, f"service/{service}", port))
            return httpx.request(method, url + path, timeout=PATIENCE_SECONDS, **sent)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what Prometheus finds."""
        path = "/api/v1/query"
        answer = self.ask(MIDWATCH, "midwatch-prometheus", 9090, path, params={"query": expression})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["result"]
        return found

    def ledger(self, path: str, **parameters: Any) -> Any:
        """Return what the ledger answers to its admin."""
        headers = {"Authorization": f"Bearer {self.ledger_key('admin-key')}"}
        answer = self.ask(
            MIDWATCH, "midwatch-ledger", 8088, path, params=parameters, headers=headers
        )
        # A question that is wrong is no matter of patience.
        assert answer.status_code != 422, answer.text
        return answer.raise_for_status().json()

    def trace(self, trace_id: str) -> Any:
        """Return a trace as the ledger has it; None as long as it has none."""
        headers = {"Authorization": f"Bearer {self.ledger_key('admin-key')}"}
        path = f"/monitoring/traces/{trace_id}"
        answer = self.ask(MIDWATCH, "midwatch-ledger", 8088, path, headers=headers)
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    def ledger_key(self, name: str) -> str:
        """Return a key that the chart made."""
        secret = self.cluster.json("secret", "midwatch-ledger-keys", namespace=MIDWATCH)
        return base64.b64decode(secret["data"][name]).decode()

    def chat(self, message: str, session: str = "cluster") -> httpx.Response:
        """Ask the security agent."""
        sent = {"message": message, "session_id": session}
        return self.ask(AGENTS, "security-agent", 8080, "/chat", json=sent)

    def pages(self) -> list[dict[str, Any]]:
        """Return the alerts that were sent to the receiver, the oldest first."""
        log = self.cluster.kubectl("logs", "deployment/pages", namespace=AGENTS)
        return [alert for line in log.splitlines() if line for alert in json.loads(line)["alerts"]]

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        """Return the pods of a namespace."""
        found: list[dict[str, Any]] = self.cluster.json("pods", namespace=namespace)["items"]
        return found


def passed_checks(bundle: Bundle) -> set[str]:
    """Run `helm test` and return what it found well."""
    arguments = ["test", "midwatch", "--namespace", MIDWATCH, "--timeout", "5m", "--logs"]
    said = bundle.cluster.helm(*arguments)
    assert "Succeeded" in said
    return set(re.findall(r"^ok +(.*)$", said, re.MULTILINE))


def has_tempo() -> bool:
    """Whether this machine has a Tempo, of which an image is made."""
    return find_program("tempo") is not None


def wanted_checks() -> set[str]:
    """What `helm test` must find well, by the stores that there are."""
    tempo = {"the trace is in Tempo"} if has_tempo() else set()
    return tempo | {
        "the metric is in Prometheus",
        "its exemplar leads to the trace",
        "the turn is in the ledger",
        "an alert fires in Alertmanager",
    }


def rendered(chart: Path, values: Path, namespace: str, program: Path) -> str:
    """Return what helm renders from a values file."""
    command = [str(program), "template", chart.name, str(chart), "--namespace", namespace]
    run = subprocess.run(
        [*command, "--values", str(values)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def _receiver_objects() -> str:
    closed = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
    container = {
        "name": "pages",
        "image": "midwatch-dependencies:kind",
        "imagePullPolicy": "Never",
        "command": ["python", "-c", _RECEIVER],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "securityContext": {**closed, "capabilities": {"drop": ["ALL"]}},
    }
    security = {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    name = {"name": "pages", "namespace": AGENTS}
    labels = {"app": "pages"}
    pod = {"securityContext": security, "containers": [container]}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": name,
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": name,
        "spec": {"selector": labels, "ports": [{"port": 8080}]},
    }
    return yaml.safe_dump_all([deployment, service])
