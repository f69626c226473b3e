"""Python, the settings, and who the service is."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from ipaddress import ip_address
from pathlib import Path

from midwatch.config import SETTINGS, ConfigFile
from midwatch.config.config_file import VARIABLE
from midwatch.config.kinds import Whole, WrongValueError
from midwatch.doctor.report import Finding, Patient
from midwatch.instrumentors.loader import installed_version

_UNNAMED = "unknown_service"
_PROMETHEUS_PORT = "9464"
_OURS = "MIDWATCH_"
_MIDWATCH = "midwatch"
_CHOSEN_BY = {
    "opentelemetry_distro": "OTEL_PYTHON_DISTRO",
    "opentelemetry_configurator": "OTEL_PYTHON_CONFIGURATOR",
}
_OF_THE_LEDGER = "MIDWATCH_LEDGER_"


def check_environment(patient: Patient) -> Iterator[Finding]:
    """The versions, whether telemetry is on, and the service's name."""
    settings = patient.settings
    version = installed_version("midwatch") or "unknown"
    told = f"midwatch {version} on Python {platform.python_version()}"
    yield Finding("environment", "versions", "ok", told, data={"midwatch": version})
    if not settings.enabled:
        told = "AGENT_OBSERVABILITY_ENABLED is false: nothing is recorded"
        yield Finding("environment", "enabled", "note", told)
    elif patient.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        told = "OTEL_SDK_DISABLED is true: nothing is recorded"
        yield Finding("environment", "enabled", "note", told)
    else:
        yield Finding("environment", "enabled", "ok", "telemetry is on")
    if settings.config_file is not None:
        yield from _config_file(settings.config_file)
    yield from _launcher(patient.environ)
    if settings.service_name == _UNNAMED:
        told = f"the service has no name, so that it is called {_UNNAMED}"
        yield Finding(
            "environment", "service name", "problem", told, "set OTEL_SERVICE_NAME=my-service"
        )
    else:
        yield Finding("environment", "service name", "ok", settings.service_name)


def _launcher(environ: Mapping[str, str]) -> Iterator[Finding]:
    """What `opentelemetry-instrument` may start instead: it takes the first that it finds."""
    others: set[str] = set()
    for group, variable in _CHOSEN_BY.items():
        chosen = environ.get(variable, "").strip()
        names = {chosen} if chosen else {one.name for one in entry_points(group=group)}
        others |= names - {_MIDWATCH}
    if others:
        told = (
            f"may start {' or '.join(sorted(others))} instead of Midwatch: set "
            f"{' and '.join(f'{variable}={_MIDWATCH}' for variable in _CHOSEN_BY.values())}, "
            "or use midwatch-run"
        )
        yield Finding("environment", "opentelemetry-instrument", "note", told)


def _config_file(file: ConfigFile) -> Iterator[Finding]:
    """OpenTelemetry's file of declarative configuration: what wins, and what is not taken."""
    data = {"path": file.path, "signals": [*file.exporters], "unused": [*file.unused]}
    if file.problem:
        remedy = f"mend the file, or unset {VARIABLE}"
        yield Finding("environment", VARIABLE, "problem", file.told(), remedy, data)
        return
    left_out = file.left_out()
    told = f"{file.told()}. {left_out}" if left_out else file.told()
    yield Finding("environment", VARIABLE, "note", told, data=data)


def check_settings(patient: Patient) -> Iterator[Finding]:
    """Every wrong value, which of the settings are set, and what they cannot have."""
    for problem in patient.settings.problems:
        yield Finding(
            "settings",
            problem.variable,
            "problem",
            f"{problem.variable}={problem.given!r} is not allowed",
            f"set it to {problem.allowed}, or unset it (in use now: {problem.used})",
        )
    given = [one.variable for one in SETTINGS if patient.environ.get(one.variable, "").strip()]
    told = f"set: {', '.join(given)}" if given else "all at their defaults"
    yield Finding("settings", "variables", "ok", told, data={"set": given})
    yield from _unknown(patient.environ)
    yield from _json_lines(patient.settings.trace_jsonl_path)
    yield from _port(patient)


def _unknown(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that look like ours and are none, such as one with a letter too few."""
    known = {one.variable for one in SETTINGS}
    for name in sorted(environ):
        if name in known or not name.startswith(_OURS) or name.startswith(_OF_THE_LEDGER):
            continue
        near = get_close_matches(name, known, 1, cutoff=0.85)
        hint = f"; is {near[0]} meant?" if near else ""
        yield Finding("settings", name, "note", f"is no setting of the shim{hint}")


def _json_lines(path: Path | None) -> Iterator[Finding]:
    if path is None:
        return
    problem = not_writable(path)
    if problem:
        remedy = "let AGENT_TRACE_JSONL_PATH name a file that this user may write"
        yield Finding("settings", "JSON lines", "problem", problem, remedy)
    else:
        yield Finding("settings", "JSON lines", "ok", f"events go to {path}")


def _port(patient: Patient) -> Iterator[Finding]:
    """The port on which OpenTelemetry's own Prometheus exporter would listen."""
    exporters = patient.environ.get("OTEL_METRICS_EXPORTER", "").split(",")
    if "prometheus" not in [name.strip() for name in exporters]:
        return
    host = patient.environ.get("OTEL_EXPORTER_PROMETHEUS_HOST", "").strip() or "localhost"
    port = patient.environ.get("OTEL_EXPORTER_PROMETHEUS_PORT", "").strip() or _PROMETHEUS_PORT
    try:
        number = Whole(1, 65535).parse(port)
        family, _, _, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except (OSError, WrongValueError) as error:
        yield Finding(
            "settings",
            "metrics port",
            "problem",
            f"{host}:{port} cannot be listened on ({str(error) or 'no port has this number'})",
            "set OTEL_EXPORTER_PROMETHEUS_PORT to a free port, or take prometheus out of "
            "OTEL_METRICS_EXPORTER: the application's own /metrics has the same",
        )
        return
    told = f"{host}:{port} is free; OpenTelemetry's exporter there has no exemplars"
    if ip_address(address[0]).is_loopback:
        told += ", and only this machine can scrape it (OTEL_EXPORTER_PROMETHEUS_HOST says where)"
    yield Finding("settings", "metrics port", "note", told)


def not_writable(path: Path) -> str:
    """Why a file could not be made at this path; empty if it could."""
    try:
        return _obstacle(path)
    except OSError as error:
        return f"{path} cannot be looked at ({error.strerror})"


def _obstacle(path: Path) -> str:
    if path.is_dir():
        return f"{path} is a folder"
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if existing != path and not existing.is_dir():
        return f"{existing} is no folder"
    if not os.access(existing, os.W_OK):
        return f"{existing} may not be written by this user"
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        return f"{existing} is on a read-only file system"
    return ""
