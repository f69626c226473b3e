"""Settings declared as the fields of a dataclass, and read from an environment.

One line declares all there is to know of a setting; the reference page is generated from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from midwatch.config.kinds import Kind, WrongValueError, shown

_Value = TypeVar("_Value")
_KEY = "setting"


@dataclass(frozen=True)
class Setting:
    """One variable: what it means, what it may be, what it is when nobody sets it.

    `origin` is the source document that asks for it. `fallback` makes the default from the
    environment where it is not always the same; `default_text` then tells it.
    """

    variable: str
    kind: Kind[object]
    default: object
    description: str
    origin: str
    secret: bool = False
    fallback: Callable[[Mapping[str, str]], object] | None = None
    default_text: str = ""

    @property
    def default_shown(self) -> str:
        """The default as a person would have written it."""
        return self.default_text or shown(self.default)


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


def setting(
    variable: str,
    kind: Kind[_Value],
    default: _Value,
    description: str,
    *,
    origin: str = "midwatch",
    secret: bool = False,
    fallback: Callable[[Mapping[str, str]], _Value] | None = None,
    default_text: str = "",
) -> _Value:
    """Declare a field of a settings dataclass; the arguments are those of `Setting`."""
    declared = Setting(variable, kind, default, description, origin, secret, fallback, default_text)
    return field(default=default, repr=not secret, metadata={_KEY: declared})


def declared(owner: type[Any]) -> Iterator[tuple[str, Setting]]:
    """The settings of a dataclass with the names of their fields, in order."""
    for one in fields(owner):
        if _KEY in one.metadata:
            yield one.name, one.metadata[_KEY]


def read(owner: type[Any], environ: Mapping[str, str], problems: list[Problem]) -> dict[str, Any]:
    """The values of a dataclass's fields; a wrong one is its default, and in `problems`.

    An empty value counts as unset.
    """
    return {name: _value(one, environ, problems) for name, one in declared(owner)}


def _value(one: Setting, environ: Mapping[str, str], problems: list[Problem]) -> object:
    default = one.fallback(environ) if one.fallback else one.default
    given = environ.get(one.variable, "").strip()
    if not given:
        return default
    try:
        return one.kind.parse(given)
    except WrongValueError as wrong:
        value = default if wrong.value is None else wrong.value
        told = "(not shown)" if one.secret else given
        problems.append(
            Problem(
                one.variable, told, wrong.allowed or one.kind.allowed, wrong.used or shown(value)
            )
        )
        return value
