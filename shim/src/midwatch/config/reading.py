"""Reading variables: each wrong value becomes a problem and its default is used."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m)?$")
_DURATION_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}
_SIZE = re.compile(r"^(\d+)\s*(B|KiB|MiB|GiB)?$", re.IGNORECASE)
_SIZE_BYTES = {"b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_NAMESPACE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


@dataclass(frozen=True)
class Problem:
    """A wrong value: what was given, what is allowed, and what is used in its place."""

    variable: str
    given: str
    allowed: str
    used: str

    def __str__(self) -> str:
        return (
            f"{self.variable}={self.given!r} is not allowed; set it to {self.allowed}, or unset it "
            f"(in use now: {self.used})"
        )


class Reader:
    """Reads typed values from an environment and gathers the problems.

    An empty value counts as unset.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[Problem] = []

    def text(self, name: str, default: str = "") -> str:
        """Any text."""
        return self._environ.get(name, "").strip() or default

    def boolean(self, name: str, default: bool) -> bool:
        """A truth value."""
        given = self.text(name).lower()
        if not given:
            return default
        if given in _TRUE | _FALSE:
            return given in _TRUE
        self.refuse(name, "true or false", default)
        return default

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of some words."""
        given = self.text(name).lower() or default
        if given in allowed:
            return given
        self.refuse(name, "one of " + ", ".join(allowed), default)
        return default

    def number(
        self, name: str, default: float, *, low: float, high: float = math.inf, above: bool = False
    ) -> float:
        """A number within bounds; `above` excludes the lower one."""
        given = self.text(name)
        if not given:
            return default
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if low <= value <= high and math.isfinite(value) and not (above and value == low):
            return value
        bounds = f"above {low:g}" if above else f"from {low:g}"
        upper = f" to {high:g}" if math.isfinite(high) else ""
        self.refuse(name, f"a number {bounds}{upper}", f"{default:g}")
        return default

    def whole(self, name: str, default: int, *, low: int, high: int = 1_000_000) -> int:
        """A whole number within bounds."""
        given = self.text(name)
        if not given:
            return default
        if given.isascii() and given.isdigit() and low <= int(given) <= high:
            return int(given)
        self.refuse(name, f"a whole number from {low} to {high}", default)
        return default

    def seconds(self, name: str, default: float, *, low: float, high: float) -> float:
        """A duration such as `5`, `5s` or `500ms`, in seconds."""
        given = self.text(name)
        if not given:
            return default
        match = _DURATION.match(given)
        if match:
            value = float(match[1]) * _DURATION_SECONDS[match[2]]
            if low <= value <= high:
                return value
        self.refuse(name, f"a duration from {low:g}s to {high:g}s", f"{default:g}s")
        return default

    def size(self, name: str, default: int, *, low: int) -> int:
        """A size such as `1048576` or `256MiB`, in bytes."""
        given = self.text(name)
        if not given:
            return default
        match = _SIZE.match(given)
        if match:
            value = int(match[1]) * _SIZE_BYTES[(match[2] or "B").lower()]
            if value >= low:
                return value
        self.refuse(name, f"a size of at least {low} bytes, such as 256MiB", default)
        return default

    def path(self, name: str) -> Path | None:
        """A path, whether or not it exists."""
        given = self.text(name)
        return Path(given).expanduser() if given else None

    def existing_path(self, name: str, *, folder: bool) -> Path | None:
        """A file or a folder that exists."""
        path = self.path(name)
        if path is None or (path.is_dir() if folder else path.is_file()):
            return path
        self.refuse(name, f"the path of an existing {'folder' if folder else 'file'}", "none")
        return None

    def namespace(self, name: str, default: str) -> str:
        """A prefix of metric names."""
        given = self.text(name)
        if not given or _NAMESPACE.match(given):
            return given or default
        self.refuse(
            name, "letters, digits and underscores, not beginning with a digit", default or "none"
        )
        return default

    def url(self, name: str, default: str = "") -> str:
        """An http or https URL."""
        given = self.text(name)
        if not given:
            return default
        try:
            parts = urlsplit(given)
            fits = parts.scheme in {"http", "https"} and bool(parts.hostname)
        except ValueError:
            fits = False
        if fits:
            return given
        self.refuse(name, "a URL that begins with http:// or https://", default or "none")
        return default

    def patterns(self, name: str) -> tuple[re.Pattern[str], ...]:
        """Regular expressions, one a line."""
        patterns: list[re.Pattern[str]] = []
        for line in self.text(name).splitlines():
            try:
                patterns.append(re.compile(line.strip()))
            except re.error as error:
                allowed = f"regular expressions, one a line ({line!r}: {error})"
                self.refuse(name, allowed, "the others")
        return tuple(patterns)

    def refuse(self, name: str, allowed: str, used: object) -> None:
        """Note that a value is wrong and what is used in its place."""
        shown = str(used).lower() if isinstance(used, bool) else str(used)
        self.problems.append(Problem(name, self.text(name), allowed, shown))
