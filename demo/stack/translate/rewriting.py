"""Replaces what is true in a pod by what is true on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stack.translate.addresses import ServiceMap

LOOPBACK = "127.0.0.1"
_EVERY_INTERFACE = ("0.0.0.0", "[::]", "::")  # noqa: S104 - replaced, never listened on
_PORT_KEY = re.compile(r"(?:^|[_.-])port$", re.IGNORECASE)
_LISTEN_KEY = re.compile(r"listen_port$|bind_port$", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"^(\s*[\w.-]+\s*=\s*)(.*?)(\s*)$")
_CLUSTER_ADDRESS = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.svc(?![\w-])[\w.]*(?::\d+)?")
_POD_PATH = re.compile(r"(?<![\w.-])/(?:etc|var/lib)/midwatch\b[\w./-]*")


class Rewriter:
    """Rewrites the arguments, environment and configuration of one pod.

    All replacements of a text are made in one pass: what was put in is never looked at again.

    Args:
        owner: names the pod in problems.
        namespace: of the pod; short service names are looked up there.
        ports: the local port for each container port.
        mounts: the local path for each mount path.
        services: the local ports of all services.
        problems: where everything is written that can't be replaced.
    """

    def __init__(
        self,
        owner: str,
        namespace: str,
        ports: Mapping[int, int],
        mounts: Mapping[str, Path],
        services: ServiceMap,
        problems: list[str],
    ) -> None:
        self._owner = owner
        self._namespace = namespace
        self._ports = ports
        self._mounts = mounts
        self._services = services
        self._problems = problems
        self._pattern = re.compile(
            "|".join((_mount_pattern(mounts), _LISTEN_PATTERN, services.pattern()))
        )

    def text(self, value: str, where: str) -> str:
        """Return a string with paths, listen addresses and service addresses replaced."""
        if value in _EVERY_INTERFACE:
            return LOOPBACK
        result = self._pattern.sub(lambda found: self._replacement(found, where), value)
        self._refuse_leftovers(result, where)
        return result

    def setting(self, key: str, value: str, where: str) -> str:
        """Return a named string; a bare number under a name that ends in "port" is a port."""
        if _PORT_KEY.search(key) and value.isdecimal():
            return str(self._port(key, int(value), where))
        return self.text(value, where)

    def lines(self, text: str, where: str) -> str:
        """Return text whose lines are `key = value` settings or anything else."""
        return "".join(self._line(line, where) for line in text.splitlines(keepends=True))

    def tree(self, node: Any, where: str) -> Any:
        """Return parsed YAML or JSON with every string and port in it replaced."""
        if isinstance(node, dict):
            return {key: self._entry(key, value, f"{where}.{key}") for key, value in node.items()}
        if isinstance(node, list):
            return [self.tree(item, f"{where}[{number}]") for number, item in enumerate(node)]
        return self.text(node, where) if isinstance(node, str) else node

    def _entry(self, key: Any, value: Any, where: str) -> Any:
        if isinstance(key, str):
            if isinstance(value, int) and not isinstance(value, bool) and _PORT_KEY.search(key):
                return self._port(key, value, where)
            if isinstance(value, str):
                return self.setting(key, value, where)
        return self.tree(value, where)

    def _line(self, line: str, where: str) -> str:
        body = line.rstrip("\r\n")
        assignment = _ASSIGNMENT.match(body)
        if assignment is None:
            return self.text(body, where) + line[len(body) :]
        head, value, tail = assignment.groups()
        key = head.split("=")[0].strip()
        return head + self.setting(key, value, f"{where}: {key}") + tail + line[len(body) :]

    def _port(self, key: str, port: int, where: str) -> int:
        if port in self._ports:
            return self._ports[port]
        if port != 0 and _LISTEN_KEY.search(key):
            self._refuse(where, f"listens on port {port}, which is no containerPort of the pod")
        return port

    def _replacement(self, found: re.Match[str], where: str) -> str:
        if found["mount"] is not None:
            return str(self._mounts[found["mount"]])
        if found["listen_port"] is not None:
            return self._listen(found, where)
        local, wrong = self._services.locate(found, self._namespace)
        if wrong is not None:
            self._refuse(where, wrong)
        return local if local is not None else found[0]

    def _listen(self, found: re.Match[str], where: str) -> str:
        port = int(found["listen_port"])
        own = found["listen"] in (LOOPBACK, "localhost")
        if port in self._ports:
            return f"{LOOPBACK}:{self._ports[port]}"
        if not own:
            self._refuse(where, f"listens on {found[0]!r}, which is no containerPort of the pod")
        return found[0]

    def _refuse_leftovers(self, text: str, where: str) -> None:
        for found in _CLUSTER_ADDRESS.finditer(text):
            self._refuse(where, f"{found[0]!r} is an address inside a cluster without a Service")
        for found in _POD_PATH.finditer(text):
            self._refuse(where, f"{found[0]!r} is a path inside the pod that nothing is mounted on")

    def _refuse(self, where: str, what: str) -> None:
        self._problems.append(f"{self._owner}, {where}: {what}")


# An empty host means every interface; it counts only where a value or an option's value begins.
_LISTEN_PATTERN = (
    r"(?:(?<![\w.])(?P<listen>0\.0\.0\.0|\[::\]|127\.0\.0\.1|localhost)|(?:^|(?<==))(?=:\d+$))"
    r":(?P<listen_port>\d+)(?!\d)"
)


def _mount_pattern(mounts: Mapping[str, Path]) -> str:
    if not mounts:
        return r"(?P<mount>(?!))"
    paths = "|".join(re.escape(path) for path in sorted(mounts, key=len, reverse=True))
    return rf"(?<![\w.-])(?P<mount>{paths})(?![\w.-])"
