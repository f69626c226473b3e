"""Label selectors, as Kubernetes means them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_OPERATORS: dict[str, Callable[[str | None, Sequence[str]], bool]] = {
    "In": lambda value, allowed: value in allowed,
    "NotIn": lambda value, refused: value not in refused,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether an object with these labels is selected; an empty selector selects all.

    Raises:
        KeyError: it has an operator that no label selector has.
    """
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        _OPERATORS[each["operator"]](labels.get(each["key"]), each.get("values") or ())
        for each in expressions
    )
