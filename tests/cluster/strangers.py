"""A pod that is none of Midwatch's, and what it reaches."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.access import Cluster

REACHED = "reached"
DENIED = "denied"
NOBODY = "nobody listens"
# A plugin of the network that drops says nothing, and one that rejects says so at once.
_PROBE = """
import concurrent.futures, errno, json, socket, sys
def ask(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        return "reached"
    except (TimeoutError, OSError) as problem:
        if isinstance(problem, socket.gaierror):
            return str(problem)
        refused = isinstance(problem, ConnectionRefusedError)
        return "nobody listens" if refused else "denied"
asked = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(json.dumps(dict(zip(asked, pool.map(ask, asked)))))
"""
_SLEEP = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit()); signal.pause()"


@dataclass(frozen=True)
class Stranger:
    """A pod that only connects.

    Attributes:
        cluster: where it runs.
        namespace: its namespace.
        name: its name.
    """

    cluster: Cluster
    namespace: str
    name: str = "stranger"

    def start(
        self,
        labels: Mapping[str, str] | None = None,
        command: str = _SLEEP,
        env: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Make the pod, of a line of Python, and wait until it runs."""
        pod = pod_of_python(self.name, command, labels or {}, env)
        self.cluster.kubectl(
            "apply", "--filename=-", given=json.dumps(pod), namespace=self.namespace
        )
        ready = ["wait", f"pod/{self.name}", "--for=condition=Ready", "--timeout=60s"]
        self.cluster.kubectl(*ready, namespace=self.namespace)

    def remove(self) -> None:
        """Remove the pod."""
        self.cluster.kubectl(
            "delete",
            "pod",
            self.name,
            "--grace-period=1",
            "--ignore-not-found",
            namespace=self.namespace,
        )

    def said(self) -> str:
        """Return what the pod printed."""
        return self.cluster.kubectl("logs", self.name, namespace=self.namespace)

    def reaches(self, addresses: Sequence[str]) -> dict[str, str]:
        """Return what became of a connection to each `host:port`."""
        run = ["exec", self.name, "--namespace", self.namespace, "--", "python", "-c", _PROBE]
        found: dict[str, str] = json.loads(self.cluster.kubectl(*run, json.dumps(list(addresses))))
        return found


def pod_of_python(
    name: str, command: str, labels: Mapping[str, str], env: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return a pod that runs a line of Python, as the restricted standard wants it."""
    container = {
        "name": "main",
        "image": "midwatch-dependencies:kind",
        "imagePullPolicy": "Never",
        "command": ["python", "-c", command],
        "env": list(env),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    security = {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec = {"securityContext": security, "containers": [container]}
    metadata = {"name": name, "labels": dict(labels)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
