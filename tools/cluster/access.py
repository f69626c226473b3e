"""What tests and scripts do with a cluster, whichever it is: kubectl, helm and ports."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain import program_path

from cluster.errors import ClusterUnavailable

_LISTENS = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


class CommandFailed(Exception):  # noqa: N818 - reads as what it says
    """kubectl or helm refused; the text is what they said."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up.

    Attributes:
        kubeconfig: the file that leads to it.
        kubectl_program: the kubectl to use.
    """

    kubeconfig: Path
    kubectl_program: Path

    def kubectl(self, *arguments: str, given: str | None = None, namespace: str = "") -> str:
        """Run kubectl and return what it printed.

        Args:
            *arguments: its arguments.
            given: its standard input.
            namespace: where; empty for none.

        Raises:
            CommandFailed: it ended with another code than 0.
        """
        place = ["--namespace", namespace] if namespace else []
        return self._run([str(self.kubectl_program), *arguments, *place], given)

    def json(self, *arguments: str, namespace: str = "") -> Any:
        """Return what `kubectl get` finds, as JSON."""
        return json.loads(self.kubectl("get", *arguments, "--output=json", namespace=namespace))

    def helm(self, *arguments: str, given: str | None = None) -> str:
        """Run helm and return what it printed.

        Raises:
            CommandFailed: it ended with another code than 0.
        """
        return self._run([str(program_path("helm")), *arguments], given)

    @contextmanager
    def port(self, namespace: str, target: str, port: int) -> Iterator[str]:
        """Yield the URL of a port of a Service or pod on this machine.

        Raises:
            ClusterUnavailable: the port can't be forwarded.
        """
        command = [str(self.kubectl_program), "port-forward", target, f":{port}"]
        command += ["--namespace", namespace, "--address", "127.0.0.1"]
        with subprocess.Popen(
            command,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                line = process.stdout.readline() if process.stdout is not None else ""
                found = _LISTENS.search(line)
                if found is None:
                    raise ClusterUnavailable(f"{target} can't be reached: {line.strip()}")
                yield f"http://127.0.0.1:{found.group(1)}"
            finally:
                process.terminate()

    def _run(self, command: Sequence[str], given: str | None) -> str:
        run = subprocess.run(
            list(command),
            env=self._environment(),
            input=given or "",
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            raise CommandFailed(f"{' '.join(command[:4])} ...: {run.stderr.strip()}")
        return run.stdout

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
