"""One node of Kubernetes in namespaces of its own, without Docker."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from toolchain import ensure_programs
from toolchain.pins import load_pins
from toolchain.programs import cache_folder

from cluster import control_groups, pki
from cluster.errors import ClusterUnavailable
from cluster.host import gather_programs, why_not
from cluster.images import Image

_FILES = Path(__file__).resolve().parent / "files"
# What the machine shows of a node: one network namespace, one link, one control group.
_NAME = "midwatch-node"
_LINK = "midwatch0"
_GATEWAY = "10.199.0.1"
_ADDRESS = "10.199.0.2"
_FACTS = {
    "ADDRESS": _ADDRESS,
    "NODE": "node",
    "CGROUP": _NAME,
    "PODS": "10.244.0.0/16",
    "NODE_PODS": "10.244.0.0/24",
    "SERVICES": "10.96.0.0/16",
    "DNS": "10.96.0.10",
}
_VOLUMES = 24
_COREDNS_READY = ["rollout", "status", "deployment/coredns", "-n=kube-system", "--timeout=5s"]
_METRICS = "apiservice/v1beta1.metrics.k8s.io"


@dataclass(frozen=True)
class Node:
    """A node, whether it runs or not. There is one on a machine: its addresses are fixed.

    Attributes:
        folder: everything that the node writes.
    """

    folder: Path

    @classmethod
    def here(cls) -> Node:
        """Return this machine's node."""
        return cls(cache_folder() / "node")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "pki" / "admin.kubeconfig"

    @property
    def kubectl(self) -> Path:
        """The kubectl that fits the node."""
        return self.folder / "bin" / "kubectl"

    @property
    def running(self) -> bool:
        """Whether it was started and did not end."""
        return self._first_process() is not None

    def start(self, patience_seconds: float = 120.0) -> None:
        """Start the node and wait until it takes pods, with names and volumes.

        Raises:
            ClusterUnavailable: this machine can't run it, or it is not ready in time.
        """
        reason = why_not()
        if reason is not None:
            raise ClusterUnavailable(reason)
        if self.running:
            raise ClusterUnavailable(f"the node of this machine runs already, in {self.folder}")
        self.stop()
        programs = ensure_programs(load_pins().buildable("cluster"))
        self._lay_out(programs)
        self._connect()
        control_groups.make(_NAME)
        self._spawn()
        try:
            self._await_ready(time.monotonic() + patience_seconds)
        except BaseException:
            self._end()
            raise

    def stop(self) -> None:
        """End the node and remove all that it left on the machine. Does nothing twice."""
        self._end()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def load(self, archives: Iterable[Path]) -> None:
        """Import OCI archives as images.

        Raises:
            ClusterUnavailable: containerd refuses one.
        """
        for archive in archives:
            run = self.enter(
                "ctr", "--namespace", "k8s.io", "images", "import", str(archive.resolve())
            )
            if run.returncode != 0:
                raise ClusterUnavailable(f"{archive.name} can't be imported: {run.stderr.strip()}")

    def enter(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside the node."""
        first = self._first_process()
        if first is None:
            raise ClusterUnavailable("the node does not run")
        inside = ["nsenter", "--target", str(first), "--mount", "--net", "--pid", "--uts", "--ipc"]
        environment = {**os.environ, "PATH": f"{self.folder / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"}
        return _run([*inside, "--", *command], environment)

    def _lay_out(self, programs: Mapping[str, Path]) -> None:
        binaries = self.folder / "bin"
        binaries.mkdir(parents=True)
        found = {**programs, **gather_programs()}
        for name, path in found.items():
            (binaries / name).symlink_to(path)
        self.kubectl.symlink_to(programs["kube"])
        pki.write_all(self.folder / "pki", _FACTS["NODE"], _ADDRESS, "10.96.0.1")
        authority = base64.b64encode((self.folder / "pki" / "ca.crt").read_bytes()).decode()
        facts = _FACTS | {"FOLDER": str(self.folder), "BIN": str(binaries), "AUTHORITY": authority}
        for template in _FILES.rglob("*"):
            if template.is_file():
                text = template.read_text(encoding="utf-8")
                for name, value in facts.items():
                    text = text.replace(f"@{name}@", value)
                target = self.folder / "configuration" / template.relative_to(_FILES)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
        images = self.folder / "images"
        images.mkdir()
        Image("registry.local/pause:1", entrypoint=("/pause",), user="65535:65535").file(
            programs["pause"], "/pause"
        ).write(images / "pause.tar")
        Image("registry.local/coredns:1", entrypoint=("/coredns",), user="65534:65534").file(
            programs["coredns"], "/coredns"
        ).write(images / "coredns.tar")

    def _connect(self) -> None:
        for command in (
            f"ip netns add {_NAME}",
            f"ip link add {_LINK} type veth peer name eth0 netns {_NAME}",
            f"ip addr add {_GATEWAY}/24 dev {_LINK}",
            f"ip link set {_LINK} up",
            f"ip -n {_NAME} link set lo up",
            f"ip -n {_NAME} addr add {_ADDRESS}/24 dev eth0",
            f"ip -n {_NAME} link set eth0 up",
            f"ip -n {_NAME} route add default via {_GATEWAY}",
            f"nsenter --net=/run/netns/{_NAME} sysctl -qw net.ipv4.ip_forward=1",
        ):
            run = _run(command.split())
            if run.returncode != 0:
                self._disconnect()
                raise ClusterUnavailable(f"'{command}' failed: {run.stderr.strip()}")

    def _disconnect(self) -> None:
        _run(["ip", "link", "delete", _LINK])
        _run(["ip", "netns", "delete", _NAME])

    def _spawn(self) -> None:
        command = ["nsenter", f"--net=/run/netns/{_NAME}", "unshare", "--mount", "--pid", "--fork"]
        command += ["--kill-child=KILL", "--mount-proc", "--uts", "--ipc", "bash"]
        environment = {
            **os.environ,
            **_FACTS,
            "FOLDER": str(self.folder),
            "BIN": str(self.folder / "bin"),
            "PYTHON": sys.executable,
        }
        log = str(self.folder / "node.log")
        command.append(str(self.folder / "configuration" / "node.sh"))
        # It outlives whoever starts it, which a Popen would complain of.
        process = os.posix_spawn(
            shutil.which(command[0]) or command[0],
            command,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        (self.folder / "pid").write_text(str(process), encoding="ascii")

    def _await_ready(self, deadline: float) -> None:
        steps = (
            ("the API server", ["get", "--raw", "/readyz"]),
            ("the controllers", ["get", "serviceaccount", "default", "--namespace", "default"]),
            ("the node", ["wait", "node", _FACTS["NODE"], "--for=condition=Ready", "--timeout=2s"]),
            ("names and volumes", ["apply", "--filename", str(self._system())]),
            ("CoreDNS", _COREDNS_READY),
            ("what pods use", ["wait", _METRICS, "--for=condition=Available", "--timeout=2s"]),
        )
        for what, arguments in steps:
            command = [str(self.kubectl), "--kubeconfig", str(self.kubeconfig), *arguments]
            while (run := _run(command)).returncode != 0:
                if not self.running or time.monotonic() > deadline:
                    raise ClusterUnavailable(
                        f"{what} of the node did not come up: {run.stderr.strip()[-300:]}; "
                        f"{self._last_words()}"
                    )
                time.sleep(0.2)

    def _system(self) -> Path:
        file = self.folder / "configuration" / "system.yaml"
        # Folders of the node take any size; what is asked for decides nothing but which fits.
        # A hostPath ignores fsGroup, so that the folders are open to every user.
        volumes = self.folder / "volumes"
        if not volumes.exists():
            text = [file.read_text(encoding="utf-8")]
            for number in range(_VOLUMES):
                folder = volumes / str(number)
                folder.mkdir(parents=True)
                folder.chmod(0o777)
                text.append(_volume(number, folder))
            file.write_text("---\n".join(text), encoding="utf-8")
        return file

    def _last_words(self) -> str:
        said = []
        for log in sorted((self.folder / "log").glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            said += [f"{log.stem}: {line[:300]}" for line in lines[-2:]]
        return "its programs said last:\n  " + "\n  ".join(said)

    def _first_process(self) -> int | None:
        file = self.folder / "pid"
        if not file.exists():
            return None
        outer = int(file.read_text(encoding="ascii"))
        try:
            # A process that took over the number of one that ended is not ours to touch.
            if b"node.sh" not in Path(f"/proc/{outer}/cmdline").read_bytes():
                return None
        except OSError:
            return None
        return next((pid for pid, parent in _parents() if parent == outer), None)

    def _end(self) -> None:
        if self.running:
            process = int((self.folder / "pid").read_text(encoding="ascii"))
            os.kill(process, signal.SIGKILL)
            # Whoever did not start it has nothing to wait for.
            with suppress(ChildProcessError):
                os.waitpid(process, 0)
        control_groups.remove(_NAME)
        self._disconnect()


def _parents() -> Iterator[tuple[int, int]]:
    """Yield each process with its parent's number."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in brackets may hold anything, spaces and brackets too.
            after_name = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        except OSError:
            continue
        yield int(file.parent.name), int(after_name.split()[1])


def _volume(number: int, folder: Path) -> str:
    return f"""apiVersion: v1
kind: PersistentVolume
metadata: {{name: folder-{number}}}
spec:
  storageClassName: folders
  capacity: {{storage: 100Gi}}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {{path: {folder}, type: Directory}}
"""


def _run(
    command: list[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=None if environment is None else dict(environment),
    )
