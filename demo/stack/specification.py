"""What the supervisor needs to know of a program: the border between translator and supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class HttpProbe:
    """An HTTP check of a program on the loopback interface, as a kubelet makes it.

    Attributes:
        port: the local port.
        path: what is asked for; a status from 200 to 399 is a success.
        period_seconds: the time between two checks.
        timeout_seconds: a slower answer is a failure.
        failure_threshold: so many failures in a row count as one verdict.
    """

    port: int
    path: str = "/"
    period_seconds: float = 10.0
    timeout_seconds: float = 1.0
    failure_threshold: int = 3

    @property
    def url(self) -> str:
        """The address that is asked."""
        return f"http://127.0.0.1:{self.port}{self.path}"


@dataclass(frozen=True)
class ProgramSpecification:
    """One program of the stack.

    Attributes:
        name: as in `stack.json`.
        command: the program and its arguments. They show in process lists: no secrets.
        environment: all of it; nothing of the supervisor's own environment is added.
        directory: the working directory.
        ports: the local ports by name.
        readiness: tells when the program takes work; without it a running program is ready.
        liveness: a program that fails it is restarted.
        after: programs that must be ready before this one is started.
        stop_seconds: how long SIGTERM may take before SIGKILL follows.
        held: the program is only started when somebody asks for it.
    """

    name: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    readiness: HttpProbe | None = None
    liveness: HttpProbe | None = None
    after: tuple[str, ...] = ()
    stop_seconds: float = 10.0
    held: bool = False

    @property
    def url(self) -> str | None:
        """The address a person opens, if the program has a port."""
        if not self.ports:
            return None
        named = self.ports.get("http") or self.ports.get("otlp-http")
        port = named or next(iter(self.ports.values()))
        return f"http://127.0.0.1:{port}"
