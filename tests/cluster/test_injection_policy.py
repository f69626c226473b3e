"""The policy of injection on a real API server: which pods it changes, and into what.

The API server and its store are enough for that; they start in seconds, without root.
"""

from __future__ import annotations

import copy
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests.plan import repository_root
from toolchain import program_path

ROOT = repository_root()
SECONDS = 120.0
ENTRY = "/opt/midwatch/python/entry"
TOKEN = "only-on-the-loopback"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}

Pod = dict[str, Any]


class ApiServer:
    """An API server with its store, each on a free port of the loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kube = str(program_path("kube"))
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start both and wait until requests are answered."""
        store, peers, port = free_port(), free_port(), free_port()
        peer = f"http://127.0.0.1:{peers}"
        self._run(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{store}",
            f"--advertise-client-urls=http://127.0.0.1:{store}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        key = self._folder / "key"
        made = ["openssl", "genrsa", "-out", str(key), "2048"]
        subprocess.run(made, check=True, capture_output=True, timeout=60)
        (self._folder / "tokens").write_text(f"{TOKEN},admin,admin,system:masters\n")
        self._run(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{store}",
            f"--secure-port={port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self._folder / 'certificates'}",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self._folder / 'tokens'}",
            # Nobody here makes the account that pods would need.
            "--disable-admission-plugins=ServiceAccount",
        )
        self._write_kubeconfig(port)
        deadline = time.monotonic() + SECONDS
        while self.kubectl("get", "--raw", "/readyz", fails=True).returncode:
            assert time.monotonic() < deadline, (self._folder / "log").read_text()[-2000:]
            time.sleep(0.2)

    def kubectl(
        self, *arguments: str, given: object = None, fails: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Ask the API server; `given` goes to its input as YAML."""
        command = [self._kube, "kubectl", f"--kubeconfig={self._folder / 'kubeconfig'}", *arguments]
        text = given if isinstance(given, str) else yaml.safe_dump(given)
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        assert fails or done.returncode == 0, done.stderr
        return done

    def admitted(self, pod: Pod, namespace: str) -> Pod:
        """The pod as it would be stored."""
        arguments = ("create", "--dry-run=server", "-f", "-", "-o", "yaml", "-n", namespace)
        stored: Pod = yaml.safe_load(self.kubectl(*arguments, given=pod).stdout)
        return stored

    def stop(self) -> None:
        """End both, the store last."""
        for one in reversed(self._running):
            one.terminate()
            try:
                one.wait(timeout=10)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait(timeout=10)

    def _run(self, *arguments: str) -> None:
        with (self._folder / "log").open("ab") as log:
            self._running.append(subprocess.Popen([self._kube, *arguments], stdout=log, stderr=log))

    def _write_kubeconfig(self, port: int) -> None:
        server = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
        named = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": server}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
            "current-context": "here",
        }
        (self._folder / "kubeconfig").write_text(yaml.safe_dump(named))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def policy(way: str) -> str:
    """The policy as the chart renders it, but refusing pods where it fails, so that it is seen."""
    command: list[str | Path] = [program_path("helm"), "template", "midwatch"]
    command += [ROOT / "charts/midwatch", "--namespace", "watch"]
    command += ["--set", f"injection.mode={way}", "--set", "injection.failurePolicy=Fail"]
    command += ["--show-only", "templates/injection/policy.yaml"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def in_force(server: ApiServer) -> bool:
    return "midwatch.dev/injected" in server.admitted(pod(), "labelled")["metadata"]["labels"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("api-server"))
    try:
        started.start()
        for namespace in ("labelled", "plain"):
            started.kubectl("create", "namespace", namespace)
            enforced = "pod-security.kubernetes.io/enforce=restricted"
            started.kubectl("label", "namespace", namespace, enforced)
        for namespace in ("labelled", "kube-system"):
            started.kubectl("label", "namespace", namespace, "midwatch.dev/inject=python")
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module", params=["image-volume", "init-container"])
def admitted(server: ApiServer, request: pytest.FixtureRequest) -> Iterator[Callable[..., Pod]]:
    text = policy(request.param)
    server.kubectl("apply", "-f", "-", given=text)
    deadline = time.monotonic() + SECONDS
    while not in_force(server):
        assert time.monotonic() < deadline
        time.sleep(0.2)

    def stored(pod: Pod, namespace: str = "labelled") -> Pod:
        found = server.admitted(pod, namespace)
        found["way"] = request.param
        return found

    yield stored
    server.kubectl("delete", "-f", "-", given=text)
    while in_force(server):
        assert time.monotonic() < deadline + SECONDS
        time.sleep(0.2)


def pod(*containers: dict[str, Any], annotations: dict[str, str] | None = None, **spec: Any) -> Pod:
    """A pod as the restricted standard wants it."""
    each = containers or ({"name": "web"},)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "shop",
            "labels": {"app.kubernetes.io/name": "shop"},
            "annotations": annotations or {},
        },
        "spec": {
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{"image": "shop", "securityContext": RESTRICTED, **one} for one in each],
            **spec,
        },
    }


def variables(stored: Pod, name: str = "web") -> dict[str, str | None]:
    (found,) = (one for one in stored["spec"]["containers"] if one["name"] == name)
    return {one["name"]: one.get("value") for one in found.get("env", [])}


def injected(stored: Pod) -> set[str]:
    return {
        one["name"]
        for one in stored["spec"]["containers"]
        if ENTRY in (variables(stored, one["name"]).get("PYTHONPATH") or "")
    }


def test_a_pod_of_a_labelled_namespace_gets_volume_path_and_settings(admitted):
    stored = admitted(pod())
    assert variables(stored) == {
        "PYTHONPATH": ENTRY,
        "MIDWATCH_DEFAULT_MIDWATCH_CONTENT": "off",
        "MIDWATCH_DEFAULT_OTEL_EXPORTER_OTLP_ENDPOINT": "http://midwatch-collector.watch.svc:4318",
        "MIDWATCH_DEFAULT_OTEL_SERVICE_NAME": "shop",
    }
    (container,) = stored["spec"]["containers"]
    mount = {"name": "midwatch-injection", "mountPath": "/opt/midwatch", "readOnly": True}
    assert mount in container["volumeMounts"]
    (volume,) = (one for one in stored["spec"]["volumes"] if one["name"] == mount["name"])
    copying = [one["name"] for one in stored["spec"].get("initContainers", [])]
    if stored["way"] == "image-volume":
        assert volume["image"]["reference"].startswith("ghcr.io/midwatch/midwatch-injection:")
        assert copying == []
    else:
        assert volume["emptyDir"] == {}
        assert copying == ["midwatch-injection"]


@pytest.mark.parametrize(
    ("namespace", "annotations", "expected"),
    [
        ("labelled", {}, {"web", "worker"}),
        ("plain", {}, set()),
        ("plain", {"midwatch.dev/inject": "python"}, {"web", "worker"}),
        ("labelled", {"midwatch.dev/inject": "false"}, set()),
        ("labelled", {"inject.midwatch.dev/worker": "false"}, {"web"}),
        ("plain", {"inject.midwatch.dev/worker": "python"}, {"worker"}),
        (
            "plain",
            {"midwatch.dev/inject": "python", "inject.midwatch.dev/web": "false"},
            {"worker"},
        ),
        ("kube-system", {"midwatch.dev/inject": "python"}, set()),
    ],
)
def test_namespace_pod_and_container_choose_the_nearer_first(
    admitted, namespace, annotations, expected
):
    stored = admitted(pod({"name": "web"}, {"name": "worker"}, annotations=annotations), namespace)
    assert injected(stored) == expected
    assert ("midwatch.dev/injected" in stored["metadata"]["labels"]) == bool(expected)


def test_what_a_container_has_is_kept(admitted):
    own = [
        {"name": "PYTHONPATH", "value": "/app:/lib"},
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://own:4318"},
        {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]
    volumes = [{"name": "tmp", "emptyDir": {}}]
    before = [{"name": "first", "image": "shop", "securityContext": RESTRICTED}]
    web = {"name": "web", "env": own, "volumeMounts": mounts}
    stored = admitted(pod(web, volumes=volumes, initContainers=before))
    env = variables(stored)
    assert env["PYTHONPATH"] == f"{ENTRY}:/app:/lib"
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://own:4318"
    assert "ADDRESS" in env
    (container,) = stored["spec"]["containers"]
    assert {one["mountPath"] for one in container["volumeMounts"]} == {"/tmp", "/opt/midwatch"}
    assert stored["spec"]["initContainers"][0]["name"] == "first"


def test_variables_that_are_there_twice_are_no_obstacle(admitted):
    twice = [{"name": "LEVEL", "value": "1"}, {"name": "LEVEL", "value": "2"}]
    assert injected(admitted(pod({"name": "web", "env": twice}))) == {"web"}


def test_a_path_that_comes_from_elsewhere_is_left_and_so_is_its_container(admitted):
    source = {"configMapKeyRef": {"name": "settings", "key": "path"}}
    web = {"name": "web", "env": [{"name": "PYTHONPATH", "valueFrom": source}]}
    stored = admitted(pod(web, {"name": "worker"}))
    assert injected(stored) == {"worker"}
    (found,) = (one for one in stored["spec"]["containers"] if one["name"] == "web")
    assert found["env"] == web["env"]
    assert not found.get("volumeMounts")


def test_a_pod_that_has_it_is_not_given_it_twice(admitted):
    once = admitted(pod())
    again = copy.deepcopy(once)
    for key in ("status", "way"):
        again.pop(key)
    for key in ("uid", "creationTimestamp", "generation"):
        again["metadata"].pop(key, None)
    twice = admitted(again)
    assert twice["spec"] == once["spec"]


def test_the_path_of_an_image_and_the_name_of_a_service_can_be_told(admitted):
    told = {
        "midwatch.dev/python-path": "/srv/lib",
        "resource.opentelemetry.io/service.name": "front",
    }
    env = variables(admitted(pod(annotations=told)))
    assert env["PYTHONPATH"] == f"{ENTRY}:/srv/lib"
    assert env["MIDWATCH_DEFAULT_OTEL_SERVICE_NAME"] == "front"


def test_midwatch_itself_and_windows_are_left_alone(admitted):
    own = pod()
    own["metadata"]["labels"]["app.kubernetes.io/name"] = "midwatch"
    assert injected(admitted(own)) == set()
    windows = pod(os={"name": "windows"})
    windows["spec"]["securityContext"] = {"runAsNonRoot": True}
    windows["spec"]["containers"][0].pop("securityContext")
    assert injected(admitted(windows)) == set()


@pytest.mark.parametrize("way", ["image-volume", "init-container"])
def test_the_manifests_without_helm_are_taken_as_well(server, way):
    text = (ROOT / "k8s/injection" / way / "policy.yaml").read_text(encoding="utf-8")
    server.kubectl("apply", "--dry-run=server", "-f", "-", given=text)
