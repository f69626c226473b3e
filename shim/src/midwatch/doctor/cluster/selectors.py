"""Selectors of labels, as Kubernetes evaluates them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Selector = Mapping[str, Any]


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether a selector takes something with these labels; an empty one takes everything."""
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in expressions
    )


def told(selector: Selector) -> str:
    """A selector in one line."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or ():
        values = f" ({', '.join(one['values'])})" if one.get("values") else ""
        parts.append(f"{one['key']} {one['operator']}{values}")
    return ", ".join(parts) or "everything"


def labels_for(selector: Selector) -> dict[str, str]:
    """Labels that the selector asks for; one of several that it allows."""
    found: dict[str, str] = dict(selector.get("matchLabels") or {})
    for one in selector.get("matchExpressions") or ():
        if one["operator"] in ("In", "Exists"):
            found.setdefault(one["key"], (one.get("values") or ["midwatch"])[0])
    return found


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
