"""The shim's settings, read from the environment at once, with every wrong value reported."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from midwatch.config.config_file import ConfigFile, read_config_file
from midwatch.config.direct import Langfuse, Langsmith
from midwatch.config.nodes import GraphSettings
from midwatch.config.reading import Problem, Setting, declared, read
from midwatch.config.settings import CONTENT_MODES, SPOOL_MODES, Settings

__all__ = [
    "CONTENT_MODES",
    "SETTINGS",
    "SETTING_GROUPS",
    "SPOOL_MODES",
    "ConfigFile",
    "GraphSettings",
    "Langfuse",
    "Langsmith",
    "ObservabilityConfig",
    "Problem",
    "Setting",
    "Settings",
    "load_settings",
    "service_name",
]

SETTING_GROUPS: Mapping[str, type[object]] = {
    "Midwatch": Settings,
    "What the parts of a graph are": GraphSettings,
    "Langfuse, without a collector": Langfuse,
    "LangSmith, without a collector": Langsmith,
}
"""The dataclasses whose fields are settings, under the headings of their documentation."""

SETTINGS: tuple[Setting, ...] = tuple(
    one for owner in SETTING_GROUPS.values() for _, one in declared(owner)
)
"""Every setting, in the order in which it is documented."""


@dataclass
class ObservabilityConfig:
    """The settings that an application may carry in its own configuration."""

    enabled: bool = field(default_factory=lambda: load_settings().enabled)
    metrics_namespace: str = field(default_factory=lambda: load_settings().metrics_namespace)
    trace_jsonl_path: str = field(
        default_factory=lambda: str(load_settings().trace_jsonl_path or "")
    )


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read all variables; never raises: a wrong value is in `problems`, its default in use."""
    environ = os.environ if environ is None else environ
    problems: list[Problem] = []
    config_file = read_config_file(environ)
    if config_file is not None:
        environ = {**environ, **config_file.variables}
    return Settings(
        **read(Settings, environ, problems),
        service_name=service_name(environ),
        graphs=GraphSettings(**read(GraphSettings, environ, problems)),
        langfuse=Langfuse(**read(Langfuse, environ, problems)),
        langsmith=Langsmith(**read(Langsmith, environ, problems)),
        config_file=config_file,
        problems=tuple(problems),
    )


def service_name(environ: Mapping[str, str]) -> str:
    """The service's name as OpenTelemetry reads it from the environment."""
    given = environ.get("OTEL_SERVICE_NAME", "").strip()
    if given:
        return given
    for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, _, value = pair.partition("=")
        if key.strip() == "service.name" and value.strip():
            return unquote(value.strip())
    return "unknown_service"
