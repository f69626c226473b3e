"""What a setting's value may be: how it is read, shown, and described to who got it wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m)?$")
_DURATION_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}
_SIZE = re.compile(r"^(\d{1,18})\s*(B|KiB|MiB|GiB)?$", re.IGNORECASE)
_SIZE_BYTES = {"b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_WHOLE = re.compile(r"^[0-9]{1,18}$")
_NAMESPACE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")

Value_co = TypeVar("Value_co", covariant=True)


class WrongValueError(ValueError):
    """The value is not allowed.

    Args:
        allowed: what is, when there is more to say than the kind says of itself.
        value: what of it is usable all the same.
        used: how that is told.
    """

    def __init__(self, allowed: str = "", value: object = None, used: str = "") -> None:
        super().__init__(allowed)
        self.allowed = allowed
        self.value = value
        self.used = used


class Kind(Protocol[Value_co]):
    """One kind of value."""

    @property
    def allowed(self) -> str:
        """What may be given, in words that follow `set it to`."""

    def parse(self, given: str) -> Value_co:
        """The value of a text that is not empty.

        Raises:
            WrongValueError: the text is none of what is allowed.
        """


def shown(value: object) -> str:
    """A value as a person would have written it; `none` for nothing."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class Text:
    """Any text."""

    allowed: str = "any text"

    def parse(self, given: str) -> str:
        """The text itself."""
        return given


@dataclass(frozen=True)
class Boolean:
    """A truth value."""

    allowed: str = "true or false"

    def parse(self, given: str) -> bool:
        """True for `true`, `1`, `yes`, `on`."""
        if given.lower() not in _TRUE | _FALSE:
            raise WrongValueError
        return given.lower() in _TRUE


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The words."""
        return "one of " + ", ".join(self.words)

    def parse(self, given: str) -> str:
        """The word, in lower case."""
        if given.lower() not in self.words:
            raise WrongValueError
        return given.lower()


@dataclass(frozen=True)
class Number:
    """A number within bounds; `above` excludes the lower one."""

    low: float
    high: float = math.inf
    above: bool = False

    @property
    def allowed(self) -> str:
        """The bounds."""
        bounds = f"above {self.low:g}" if self.above else f"from {self.low:g}"
        return f"a number {bounds}" + (f" to {self.high:g}" if math.isfinite(self.high) else "")

    def parse(self, given: str) -> float:
        """The number, which is finite."""
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        within = self.low <= value <= self.high and math.isfinite(value)
        if not within or (self.above and value == self.low):
            raise WrongValueError
        return value


@dataclass(frozen=True)
class Whole:
    """A whole number within bounds."""

    low: int
    high: int = 1_000_000

    @property
    def allowed(self) -> str:
        """The bounds."""
        return f"a whole number from {self.low} to {self.high}"

    def parse(self, given: str) -> int:
        """The number."""
        value = int(given) if _WHOLE.match(given) else -1
        if not self.low <= value <= self.high:
            raise WrongValueError
        return value


@dataclass(frozen=True)
class Seconds:
    """A duration such as `5`, `5s` or `500ms`, in seconds."""

    low: float
    high: float

    @property
    def allowed(self) -> str:
        """The bounds."""
        return f"a duration from {self.low:g}s to {self.high:g}s"

    def parse(self, given: str) -> float:
        """The seconds."""
        match = _DURATION.match(given)
        value = float(match[1]) * _DURATION_SECONDS[match[2]] if match else -1.0
        if not self.low <= value <= self.high:
            raise WrongValueError
        return value


@dataclass(frozen=True)
class Size:
    """A size such as `1048576` or `256MiB`, in bytes."""

    low: int

    @property
    def allowed(self) -> str:
        """The bound."""
        return f"a size of at least {self.low} bytes, such as 256MiB"

    def parse(self, given: str) -> int:
        """The bytes."""
        match = _SIZE.match(given)
        value = int(match[1]) * _SIZE_BYTES[(match[2] or "B").lower()] if match else -1
        if value < self.low:
            raise WrongValueError
        return value


@dataclass(frozen=True)
class AnyPath:
    """A path, whether or not it exists."""

    allowed: str = "a path"

    def parse(self, given: str) -> Path:
        """The path, `~` expanded."""
        return _path(given)


@dataclass(frozen=True)
class ExistingPath:
    """A file or a folder that exists."""

    folder: bool = False

    @property
    def allowed(self) -> str:
        """Which of the two."""
        return f"the path of an existing {'folder' if self.folder else 'file'}"

    def parse(self, given: str) -> Path:
        """The path, `~` expanded."""
        path = _path(given)
        try:
            exists = path.is_dir() if self.folder else path.is_file()
        except OSError:
            # Not even a path, such as a name that is too long.
            exists = False
        if not exists:
            raise WrongValueError
        return path


@dataclass(frozen=True)
class Namespace:
    """A prefix of metric names."""

    allowed: str = "letters, digits and underscores, not beginning with a digit"

    def parse(self, given: str) -> str:
        """The prefix."""
        if not _NAMESPACE.match(given):
            raise WrongValueError
        return given


@dataclass(frozen=True)
class Url:
    """An http or https URL."""

    allowed: str = "a URL that begins with http:// or https://"

    def parse(self, given: str) -> str:
        """The URL as it was given."""
        try:
            parts = urlsplit(given)
            fits = parts.scheme in {"http", "https"} and bool(parts.hostname)
        except ValueError:
            fits = False
        if not fits:
            raise WrongValueError
        return given


@dataclass(frozen=True)
class Patterns:
    """Regular expressions, one a line."""

    allowed: str = "regular expressions, one a line"

    def parse(self, given: str) -> tuple[re.Pattern[str], ...]:
        """The compiled expressions."""
        patterns: list[re.Pattern[str]] = []
        wrong: list[str] = []
        for line in given.splitlines():
            try:
                patterns.append(re.compile(line.strip()))
            except (re.error, OverflowError, RecursionError) as error:
                wrong.append(f"{line!r}: {error}")
        if wrong:
            raise WrongValueError(
                f"{self.allowed} ({'; '.join(wrong)})", tuple(patterns), "the others"
            )
        return tuple(patterns)


@dataclass(frozen=True)
class Listed:
    """Items separated by commas, each of which must fit."""

    allowed: str
    fits: Callable[[str], bool]

    def parse(self, given: str) -> tuple[str, ...]:
        """The items."""
        items = tuple(item.strip() for item in given.split(",") if item.strip())
        if not items or not all(map(self.fits, items)):
            raise WrongValueError
        return items


def _path(given: str) -> Path:
    try:
        return Path(given).expanduser()
    except (RuntimeError, ValueError) as error:
        raise WrongValueError(f"a path ({error})") from error
