"""The variables that a prompt declares: their types, and how their values look in it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

TYPES = ("str", "int", "float", "bool", "list", "enum")
ITEM_TYPES = ("str", "int", "float", "bool")
_KEYS = ("type", "description", "default", "values", "items", "format")

_LIST_FORMATS: Mapping[str, Callable[[Sequence[str]], str]] = {
    "comma": ", ".join,
    "lines": "\n".join,
    "bullets": lambda items: "\n".join(f"- {item}" for item in items),
    "json": lambda items: "[" + ", ".join(items) + "]",
}


class _Required:
    """Stands for a default that there is not."""


REQUIRED = _Required()


@dataclass(frozen=True)
class Variable:
    """One declared variable.

    `values` are those of an enum; `items` is the type of a list's items and `format` how a list
    looks: comma, lines, bullets or json.
    """

    name: str
    type: str = "str"
    description: str = ""
    default: object = REQUIRED
    values: tuple[str, ...] = ()
    items: str = "str"
    format: str = "comma"

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is REQUIRED

    @property
    def wanted(self) -> str:
        """Its type in words."""
        if self.type == "enum":
            return "one of " + ", ".join(map(repr, self.values))
        return f"list of {self.items}" if self.type == "list" else self.type

    def problem(self, value: object) -> str:
        """What is wrong with a value, empty if nothing is."""
        if self._fits(value):
            return ""
        given = f"{value!r:.80}"
        return f"{self.name}: needs {self.wanted}, given {given} ({type(value).__name__})"

    def text(self, value: object) -> str:
        """The value, which fits, as it looks in the prompt."""
        if isinstance(value, list | tuple):
            scalar = _json_scalar if self.format == "json" else _scalar
            return _LIST_FORMATS[self.format]([scalar(item) for item in value])
        return _scalar(value)

    def _fits(self, value: object) -> bool:
        if self.type == "enum":
            return isinstance(value, str) and value in self.values
        if self.type == "list":
            return isinstance(value, list | tuple) and all(_is(self.items, item) for item in value)
        return _is(self.type, value)


def declared_variables(given: object) -> tuple[tuple[Variable, ...], list[str]]:
    """The variables of a declaration, and everything that is wrong with it."""
    if given is None:
        return (), []
    if not isinstance(given, Mapping):
        return (), ["variables: needs a map of names to types, such as `customer: str`"]
    variables, problems = [], []
    for name, declaration in given.items():
        where = f"variables.{name}"
        if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
            problems.append(f"{where}: a name has letters, digits and underscores only")
            continue
        variable, wrong = _variable(name, declaration)
        problems.extend(f"{where}: {problem}" for problem in wrong)
        variables.append(variable)
    return tuple(variables), problems


def _variable(name: str, given: object) -> tuple[Variable, list[str]]:
    declaration = {"type": given} if isinstance(given, str) else given
    if not isinstance(declaration, Mapping):
        return Variable(name), [f"needs a type, one of {', '.join(TYPES)}, or a map with `type`"]
    problems = [
        f"unknown key {key!r}; allowed are {', '.join(_KEYS)}"
        for key in declaration
        if key not in _KEYS
    ]
    values = declaration.get("values") or ()
    if not isinstance(values, list | tuple) or not all(isinstance(one, str) for one in values):
        problems.append("`values` needs a list of texts; put quotes around numbers and yes/no")
        values = ()
    kind = declaration.get("type", "enum" if values else "str")
    items, form = declaration.get("items", "str"), declaration.get("format", "comma")
    problems.extend(_outside("type", kind, TYPES))
    problems.extend(_outside("items", items, ITEM_TYPES))
    problems.extend(_outside("format", form, tuple(_LIST_FORMATS)))
    if (kind == "enum") != bool(values):
        problems.append("`values` belongs to type enum, and enum needs it")
    if problems:
        return Variable(name), problems
    variable = Variable(
        name,
        kind,
        str(declaration.get("description", "")),
        declaration.get("default", REQUIRED),
        tuple(values),
        items,
        form,
    )
    wrong = "" if variable.required else variable.problem(variable.default)
    return variable, [f"default of {wrong}"] if wrong else []


def _outside(key: str, given: object, allowed: tuple[str, ...]) -> list[str]:
    return [] if given in allowed else [f"{key} {given!r}: allowed are {', '.join(allowed)}"]


def _is(kind: str, value: object) -> bool:
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    if kind == "str":
        return isinstance(value, str)
    if kind == "int":
        return isinstance(value, int)
    return isinstance(value, int | float | Decimal) and math.isfinite(value)


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json_scalar(value: object) -> str:
    return (
        json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else _scalar(value)
    )
