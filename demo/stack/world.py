"""The programs around the charts: the model, the protected system, where pages go, and the load."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.ports import PortBook
from stack.specification import HttpProbe, ProgramSpecification
from stack.state import STATE_FILE
from stack.surroundings import base_environment
from stack.translate import LocalService

NAMESPACE = "demo"
_MAIL_USER = "midwatch"
# The service ports under which the charts and the stack's values address these programs.
_SERVICE_PORTS = {"model-server": {8001: "http"}, "appliance": {8002: "http"}, "smtp": {25: "smtp"}}


@dataclass(frozen=True)
class World:
    """The programs around the charts.

    Attributes:
        specifications: the programs.
        services: what the charts reach of them.
        secrets: what the charts' Secrets would hold.
    """

    specifications: tuple[ProgramSpecification, ...]
    services: tuple[LocalService, ...]
    secrets: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Load:
    """What the traffic program plays.

    Attributes:
        seed: the same seed plays the same conversations.
        held: traffic only starts on request.
    """

    seed: int = 1
    held: bool = False


def build_world(directory: Path, ports: PortBook, load: Load) -> World:
    """Describe the programs; nothing is started."""
    webhook = f"/services/T{_word(8)}/B{_word(8)}/{secrets.token_urlsafe(18)}"
    password = secrets.token_urlsafe(18)
    builder = _Builder(directory, ports, load.seed)
    slack_port = ports.port("slack")
    specifications = (
        builder.python("model-server", "model_server", {"MODEL_SERVER_SEED": str(load.seed)}),
        builder.python("appliance", "appliance", {"APPLIANCE_SEED": str(load.seed)}),
        builder.python("slack", "stack.sinks.slack", {"SLACK_WEBHOOK_PATH": webhook}),
        builder.python(
            "smtp",
            "stack.sinks.smtp",
            {"SMTP_USERNAME": _MAIL_USER, "SMTP_PASSWORD": password},
            extra_port="smtp",
        ),
        builder.traffic(load),
    )
    return World(
        specifications=specifications,
        services=tuple(
            LocalService(name, NAMESPACE, {n: ports.port(name, key) for n, key in mapped.items()})
            for name, mapped in _SERVICE_PORTS.items()
        ),
        secrets={
            "midwatch-slack": {"url": f"http://127.0.0.1:{slack_port}{webhook}"},
            "midwatch-email": {"password": password},
        },
    )


@dataclass(frozen=True)
class _Builder:
    directory: Path
    ports: PortBook
    seed: int

    def python(
        self,
        name: str,
        module: str,
        environment: Mapping[str, str],
        extra_port: str | None = None,
    ) -> ProgramSpecification:
        """Describe a program that serves HTTP with a `/healthz`."""
        given = {"http": self.ports.port(name)}
        own = {"HOST": "127.0.0.1", "PORT": str(given["http"])}
        folder = self.directory / name
        if name in ("slack", "smtp"):
            own["MAILBOX_FILE"] = str(folder / "received.jsonl")
        if extra_port is not None:
            given[extra_port] = self.ports.port(name, extra_port)
            own[f"{extra_port.upper()}_PORT"] = str(given[extra_port])
        health = HttpProbe(given["http"], "/healthz", period_seconds=5, timeout_seconds=3)
        return ProgramSpecification(
            name=name,
            command=(sys.executable, "-m", module),
            directory=folder,
            environment={**base_environment(folder), **own, **environment},
            ports=given,
            readiness=health,
            stop_seconds=5,
        )

    def traffic(self, load: Load) -> ProgramSpecification:
        """Describe the load driver, which begins when the agents are ready."""
        port = self.ports.port("traffic")
        folder = self.directory / "traffic"
        state = self.directory.parent / STATE_FILE
        return ProgramSpecification(
            name="traffic",
            command=(
                *(sys.executable, "-m", "traffic"),
                *("--stack", str(state), "--seed", str(load.seed)),
            ),
            directory=folder,
            environment={**base_environment(folder), "HOST": "127.0.0.1", "PORT": str(port)},
            ports={"http": port},
            readiness=HttpProbe(port, "/healthz", period_seconds=5, timeout_seconds=3),
            after=("security-agent", "retail-simulation"),
            stop_seconds=8,
            held=load.held,
        )


def _word(length: int) -> str:
    return secrets.token_hex(length)[:length].upper()
