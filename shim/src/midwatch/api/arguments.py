"""What an application hands over, made safe: whatever it is, and without looking at all of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

MAX_NAME = 256
"""The characters of a name or an id."""

MAX_TEXT = 16_384
"""The characters of any other text."""

_MAX_ITEMS = 100
_MAX_DEPTH = 6
_MAX_NODES = 2_000
_MAX_CHARACTERS = 4 * MAX_TEXT
_CUT = "…"
_CONTAINERS = (Mapping, list, tuple, set, frozenset)


def name(value: object, default: str = "") -> str:
    """A name or an id as a short text; the default for None and for what is empty."""
    return text(value, MAX_NAME) or default


def text(value: object, longest: int = MAX_TEXT) -> str:
    """The value as a text that every encoding can hold, no longer than that; empty for None."""
    if value is None:
        return ""
    try:
        if isinstance(value, Enum) and not isinstance(value, str):
            value = value.value
        if isinstance(value, str):
            # The characters themselves, whatever a subclass makes of them.
            found = str.__str__(value)
        elif isinstance(value, bytes | bytearray):
            found = bytes(value[:longest]).decode("utf-8", "replace")
        elif isinstance(value, _CONTAINERS):
            # Its own text would be made of all that it holds.
            found = _json(value)
        else:
            found = str(value)
    except Exception:
        return f"<{type(value).__name__}>"[:longest]
    found = found if len(found) <= longest else found[: longest - 1] + _CUT
    return found if found.isascii() else found.encode("utf-8", "replace").decode("utf-8")


def optional_text(value: object) -> str | None:
    """The value as a text; None for None."""
    return None if value is None else text(value)


def number(value: object) -> float | None:
    """The value as a finite number; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        found = float(value)
    except (OverflowError, ValueError):
        return None
    return found if math.isfinite(found) else None


def seconds(value: object) -> float | None:
    """The value as a duration from zero on; None if it is none."""
    found = number(value)
    return None if found is None or found < 0 else found


def count(value: object) -> int | None:
    """The value as a whole number from zero on; None if it is none."""
    found = number(value)
    return None if found is None or not 0 <= found < 2**63 else int(found)


def shown(value: object) -> str:
    """The value as a message may quote it."""
    return repr(text(value, 80)) if isinstance(value, str) else text(value, 80) or "None"


def flag(value: object, default: bool = False) -> bool:
    """Whether the value is true; the default if it does not say."""
    try:
        return bool(value)
    except Exception:
        return default


def names(values: object) -> list[str]:
    """The names in a sequence; one alone is a sequence of one."""
    if values is None:
        return []
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        return [name(values)]
    try:
        return [name(one) for one, _ in zip(values, range(_MAX_ITEMS), strict=False)]
    except Exception:
        return []


def plain(value: object) -> Any:
    """The value as JSON can hold it: only so deep and so much, and never the same container twice.

    What JSON does not know becomes its text.
    """
    return _Plain().of(value, 0)


def mapping(value: object) -> dict[str, Any]:
    """The value's items as JSON can hold them; empty if it is no mapping."""
    found = plain(value) if isinstance(value, Mapping) else {}
    return found if isinstance(found, dict) else {}


def as_json(value: object, longest: int = _MAX_CHARACTERS) -> str:
    """The value as JSON text; a text stays as it is."""
    if isinstance(value, str):
        return text(value, longest)
    return text(_json(value), longest)


def _json(value: object) -> str:
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


class _Plain:
    """One conversion, with what is left of its limits."""

    def __init__(self) -> None:
        self._left = _MAX_NODES
        self._characters = _MAX_CHARACTERS
        self._within: set[int] = set()

    def of(self, value: object, depth: int) -> Any:
        self._left -= 1
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if -(2**63) <= value < 2**63 else text(value, MAX_NAME)
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, date):
            return self._text(value.isoformat())
        if isinstance(value, Mapping):
            return self._inside(value, depth, self._mapping)
        if isinstance(value, list | tuple | set | frozenset):
            return self._inside(value, depth, self._sequence)
        return self._text(value)

    def _text(self, value: object) -> str:
        found = text(value, min(MAX_TEXT, max(self._characters, 1)))
        self._characters -= len(found)
        return found

    def _inside(self, value: object, depth: int, convert: Callable[[Any, int], object]) -> object:
        if depth >= _MAX_DEPTH or id(value) in self._within or self._left <= 0:
            return _CUT
        self._within.add(id(value))
        try:
            return convert(value, depth + 1)
        except Exception:
            return f"<{type(value).__name__}>"
        finally:
            self._within.discard(id(value))

    def _mapping(self, value: Mapping[object, object], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in value.items():
            if len(found) >= _MAX_ITEMS or self._left <= 0:
                found[_CUT] = _CUT
                break
            found[name(key)] = self.of(item, depth)
        return found

    def _sequence(self, value: Any, depth: int) -> list[Any]:
        found: list[Any] = []
        for item in value:
            if len(found) >= _MAX_ITEMS or self._left <= 0:
                found.append(_CUT)
                break
            found.append(self.of(item, depth))
        return found
