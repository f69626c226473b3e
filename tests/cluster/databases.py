"""A PostgreSQL in the cluster, as somebody has it who brings the ledger's database."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psycopg
from cluster.access import Cluster

PLACE = "databases"
NAME = "postgresql"
PORT = 5432
_LABELS = {"app.kubernetes.io/name": NAME}
_OWN = {"name": NAME, "namespace": PLACE}
# Who reads and writes it, and nobody else: as docs/security.md has it.
_POLICY = f"""
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {NAME}, namespace: {PLACE}}}
spec:
  podSelector: {{matchLabels: {{app.kubernetes.io/name: {NAME}}}}}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports: [{{port: {NAME}, protocol: TCP}}]
      from:
        - namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: midwatch}}}}
          podSelector:
            matchLabels: {{app.kubernetes.io/name: midwatch}}
            matchExpressions:
              - {{key: app.kubernetes.io/component, operator: In, values: [ledger, backup]}}
"""


@dataclass(frozen=True)
class PostgreSql:
    """One server with one database, on a volume.

    Attributes:
        cluster: where it runs.
        password: of its user.
    """

    cluster: Cluster
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def url(self) -> str:
        """What the ledger connects to."""
        return f"postgresql+psycopg://midwatch:{self.password}@{NAME}.{PLACE}.svc:{PORT}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.cluster.kubectl("create", "namespace", PLACE)
        label = "pod-security.kubernetes.io/enforce=restricted"
        self.cluster.kubectl("label", "namespace", PLACE, label)
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": _OWN}
        secret["stringData"] = {"password": self.password}
        for given in (json.dumps(secret), _POLICY, json.dumps(_service()), json.dumps(_server())):
            self.cluster.kubectl("apply", "--filename=-", given=given)
        self.await_ready()

    def await_ready(self) -> None:
        """Wait until it answers."""
        status = ["rollout", "status", f"statefulset/{NAME}", "--timeout=120s"]
        self.cluster.kubectl(*status, namespace=PLACE)

    def kill(self) -> None:
        """Kill its pod, without a word to it."""
        self.cluster.kubectl(
            "delete", "pod", f"{NAME}-0", "--grace-period=0", "--force", namespace=PLACE
        )

    def remove(self) -> None:
        """Remove it, and its data."""
        self.cluster.kubectl("delete", "namespace", PLACE, "--wait=false", "--ignore-not-found")

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield a connection of an administrator."""
        with self.cluster.port(PLACE, f"service/{NAME}", PORT) as url:
            port = urlsplit(url).port
            with psycopg.connect(
                host="127.0.0.1",
                port=port,
                user="midwatch",
                password=self.password,
                dbname="postgres",
                autocommit=True,
            ) as connection:
                yield connection


def _service() -> dict[str, Any]:
    spec = {"selector": _LABELS, "ports": [{"name": NAME, "port": PORT, "targetPort": NAME}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _OWN, "spec": spec}


def _server() -> dict[str, Any]:
    container = {
        "name": NAME,
        "image": "midwatch-postgresql:kind",
        "imagePullPolicy": "Never",
        "args": ["/data/postgresql", "/secret/password"],
        "ports": [{"name": NAME, "containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": NAME}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "secret", "mountPath": "/secret"},
        ],
    }
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory"}},
            {"name": "secret", "secret": {"secretName": NAME}},
        ],
    }
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": _OWN,
        "spec": {
            "serviceName": NAME,
            "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": pod},
            "volumeClaimTemplates": [claim],
        },
    }
