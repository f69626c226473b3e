"""The file of OpenTelemetry's declarative configuration, `OTEL_CONFIG_FILE`.

OpenTelemetry would build its SDK from that file alone, and so without redaction, spool and
accounts. Midwatch builds the SDK itself. It takes from the file what a variable could say as well,
where telemetry goes above all, and names every other part, so that nothing is lost unsaid.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from midwatch.config.config_file_parts import SIGNALS, translated

VARIABLE = "OTEL_CONFIG_FILE"

_MAJOR_VERSION = "1"
_REFERENCE = re.compile(r"\$\$|\$\{(?:env:)?([A-Za-z_]\w*)(?::-([^}]*))?\}", re.ASCII)
_OTLP = "OTEL_EXPORTER_OTLP_"


@dataclass(frozen=True)
class ConfigFile:
    """What Midwatch has from the file.

    Args:
        path: where the file is.
        variables: what it says of the process, as OpenTelemetry's variables.
        exporters: the same of each signal that it sends somewhere; may hold keys.
        propagators: what carries traces on, as `OTEL_PROPAGATORS` has it; empty for the usual ones.
        unused: the parts that are not taken, as paths within the file.
        problem: why the whole file is not used; empty if it is.
    """

    path: str
    variables: Mapping[str, str] = field(default_factory=dict)
    exporters: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    propagators: str = ""
    unused: tuple[str, ...] = ()
    problem: str = ""

    def environ_of(self, signal: str, environ: Mapping[str, str]) -> Mapping[str, str]:
        """The environment that says where a signal goes.

        For a signal of the file no variable says anything: headers that are meant for one receiver
        must not reach the other.
        """
        if signal not in self.exporters:
            return environ
        others = {name: value for name, value in environ.items() if not name.startswith(_OTLP)}
        return {**others, **self.exporters[signal]}

    def told(self) -> str:
        """What wins, in one sentence."""
        named = f"{VARIABLE}={self.path}"
        if self.problem:
            return f"{named} is not used ({self.problem}): the OTEL_* variables decide"
        here = [signal for signal in SIGNALS if signal in self.exporters]
        elsewhere = [signal for signal in SIGNALS if signal not in self.exporters]
        words = []
        if here:
            words.append(f"{_listing(here)} go where it says, whatever OTEL_* variables say")
        if elsewhere:
            told = f"{_listing(elsewhere)} go where the OTEL_* variables say"
            words.append(f"{told}, since it names no exporter for them that Midwatch takes")
        return f"{named}: {'; '.join(words)}"

    def left_out(self) -> str:
        """What is not taken, in one sentence; empty if there is nothing."""
        if not self.unused:
            return ""
        parts = ", ".join(self.unused)
        return f"Midwatch sets OpenTelemetry up itself and does not take from the file: {parts}"


def read_config_file(environ: Mapping[str, str]) -> ConfigFile | None:
    """The file that the environment names, None without one; never raises."""
    path = environ.get(VARIABLE, "").strip()
    if not path:
        return None
    try:
        found = _parsed(Path(path), environ)
        rest = copy.deepcopy(found)
        translation = translated(rest, environ)
        unused = tuple(_left(found, rest))
    except Exception as error:
        return ConfigFile(path, problem=_reason(error))
    return ConfigFile(
        path, translation.variables, translation.exporters, translation.propagators, unused
    )


def _listing(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


class _UnfitError(ValueError):
    """The file is there, and is no configuration that is known."""


def _parsed(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    # Only who names a file pays for the import.
    import yaml

    # JSON is YAML too.
    found = _substituted(yaml.safe_load(path.read_text("utf-8")), environ)
    if not isinstance(found, dict):
        raise _UnfitError("it holds no mapping")
    version = str(found.pop("file_format", "")).strip()
    if version.split(".")[0] != _MAJOR_VERSION:
        raise _UnfitError(f"its file_format is {version or 'missing'!r}; known is '1.0'")
    return found


def _substituted(value: Any, environ: Mapping[str, str]) -> Any:
    """The same with `${NAME}` and `${NAME:-default}` replaced in values, as OpenTelemetry does."""
    if isinstance(value, dict):
        return {str(key): _substituted(each, environ) for key, each in value.items()}
    if isinstance(value, list):
        return [_substituted(each, environ) for each in value]
    if not isinstance(value, str):
        return value
    replaced = _REFERENCE.sub(
        lambda found: environ.get(found[1], found[2] or "") if found[1] else "$", value
    )
    # What stands alone and is empty is as if it were not there.
    return replaced if replaced or not value else None


def _left(found: Any, rest: Any, path: str = "") -> Iterator[str]:
    """Where in the file there is something that nobody took, below its sections as a whole."""
    if rest is None or rest in ({}, []):
        return
    if ("." in path and rest == found) or not isinstance(rest, dict | list):
        yield path
    elif isinstance(rest, dict):
        for key, value in rest.items():
            yield from _left(found[key], value, f"{path}.{key}" if path else key)
    else:
        for place, (before, after) in enumerate(zip(found, rest, strict=True)):
            yield from _left(before, after, f"{path}[{place}]")


def _reason(error: Exception) -> str:
    """Why, without a word of the file's content: it may hold keys."""
    if isinstance(error, _UnfitError):
        return str(error)
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else type(error).__name__
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f" in line {mark.line + 1}"
    return f"it is no YAML or JSON that can be read: {type(error).__name__}{where}"
