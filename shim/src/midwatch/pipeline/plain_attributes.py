"""Attributes that a span may keep as they are given, which nearly all are; told quickly."""

from __future__ import annotations

from collections.abc import Collection

PLAIN = frozenset({str, bool, int, float})
"""Types of values that need no look at what is in them."""

_MOST_NAMES = 1_000
GOOD_NAMES: set[object] = set()
"""Names of attributes that were seen; a few dozen, unless an application makes them up."""


def are_names(names: Collection[object]) -> bool:
    """Whether all of them can be names of attributes; they are known from then on."""
    if not all(isinstance(name, str) and name for name in names):
        return False
    if len(GOOD_NAMES) < _MOST_NAMES:
        GOOD_NAMES.update(names)
    return True


def are_plain(values: Collection[object]) -> bool:
    """Whether none of the values has to be made another: they are simple, or tuples of such."""
    kinds = set(map(type, values))
    if tuple not in kinds:
        return kinds <= PLAIN
    kinds.remove(tuple)
    return kinds <= PLAIN and all(
        PLAIN.issuperset(map(type, value)) for value in values if isinstance(value, tuple)
    )
