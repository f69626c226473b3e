"""What a node's result changes in the state of its graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Update = Mapping[str, Any]


def updates_of(outputs: object) -> Iterator[Update]:
    """The updates in a result: a mapping, a command with one, or several of them."""
    for item in outputs if isinstance(outputs, list | tuple) else (outputs,):
        if isinstance(item, Mapping):
            yield item
            continue
        update = getattr(item, "update", None)
        if isinstance(update, Mapping):
            yield update


def gotos_of(outputs: object) -> Iterator[object]:
    """Where the commands in a result go to."""
    for item in outputs if isinstance(outputs, list | tuple) else (outputs,):
        goto = getattr(item, "goto", None)
        if goto:
            yield goto


def read(item: object, names: Iterable[str]) -> Any:
    """The first of these fields that an item has, whether it is a mapping or an object."""
    for name in names:
        value = item.get(name) if isinstance(item, Mapping) else getattr(item, name, None)
        if value is not None and not callable(value):
            return value
    return None
