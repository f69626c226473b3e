"""What `midwatch doctor` finds out: settings, prices, libraries, rivals and versions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from midwatch.config import load_settings
from midwatch.instrumentors.libraries import GENAI_TRAIN, LIBRARIES, Library
from midwatch.instrumentors.loader import disabled_names, installed_version, is_present
from midwatch.instruments.price_file import PriceFileError, read_price_file

_PROTOCOLS = ("http/protobuf", "grpc")


@dataclass
class Diagnosis:
    """What was found: problems make the program exit with 1, notes do not."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    libraries: list[tuple[str, str]] = field(default_factory=list)


def diagnose(environ: Mapping[str, str] | None = None) -> Diagnosis:
    """Look at the environment and at what is installed; nothing is instrumented by it."""
    environ = os.environ if environ is None else environ
    found = Diagnosis()
    settings = load_settings(environ)
    found.problems.extend(str(problem) for problem in settings.problems)
    found.problems.extend(_otel_problems(environ))
    found.problems.extend(_price_problems(settings.prices_file))
    found.problems.extend(_version_problems())
    if not settings.enabled:
        found.notes.append("AGENT_OBSERVABILITY_ENABLED is false: nothing is recorded")
    if settings.service_name == "unknown_service":
        found.notes.append("OTEL_SERVICE_NAME is not set: the service is called unknown_service")
    disabled = disabled_names()
    for library in LIBRARIES:
        found.libraries.append((library.name, _state(library, disabled)))
        if library.name not in disabled:
            found.problems.extend(_rival_problems(library))
    return found


def _state(library: Library, disabled: frozenset[str]) -> str:
    if "*" in disabled or library.name in disabled:
        return "disabled"
    return "instrumented on import" if is_present(library.module) else "absent"


def _rival_problems(library: Library) -> list[str]:
    return [
        f"{rival} {version} is installed and would record {library.name} a second time; "
        f"uninstall it, or keep it and set OTEL_PYTHON_DISABLED_INSTRUMENTATIONS={library.name}"
        for rival in library.rivals
        if (version := installed_version(rival)) is not None
    ]


def _version_problems() -> list[str]:
    problems: list[str] = []
    for distribution, wanted in GENAI_TRAIN:
        version = installed_version(distribution)
        if version != wanted:
            given = f"is {version}" if version else "is not installed"
            problems.append(
                f"{distribution} {given}, needed is exactly {wanted}, else model calls yield no "
                f"spans; install {distribution}=={wanted}"
            )
    return problems


def _price_problems(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        read_price_file(path)
    except PriceFileError as error:
        return [f"MIDWATCH_PRICES_FILE={path}: {problem}" for problem in error.problems]
    return []


def _otel_problems(environ: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    endpoint = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    protocol = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip()
    if protocol and protocol not in _PROTOCOLS:
        allowed = " or ".join(_PROTOCOLS)
        problems.append(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol!r} is not allowed; set it to {allowed}"
        )
    if endpoint and urlsplit(endpoint).scheme not in {"http", "https"}:
        problems.append(
            f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoint!r} is not allowed; set it to a URL that begins "
            "with http:// or https://, such as http://collector:4318"
        )
    return problems
