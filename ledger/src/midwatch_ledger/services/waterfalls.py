"""A trace as rows beneath each other: how deep, from when, how long."""

from __future__ import annotations

from typing import Any

Record = dict[str, Any]

MOST_ROWS = 500
_DEEPEST = 12
_THINNEST_PERCENT = 0.4


def rows(trace: Record) -> list[Record]:
    """Return the spans of a tree in the order of reading, with their places in percent.

    Of very long traces the first rows only.
    """
    waiting = [(span, 0) for span in reversed(trace["spans"])]
    found: list[Record] = []
    whole = 0.0
    while waiting and len(found) < MOST_ROWS:
        span, depth = waiting.pop()
        found.append({**span, "depth": min(depth, _DEEPEST), "sort": _sort(span)})
        whole = max(whole, span["offset_ms"] + span["duration_ms"])
        waiting.extend((child, depth + 1) for child in reversed(span["children"]))
    for row in found:
        row["left"], row["width"] = _place(row, whole)
    return found


def _place(row: Record, whole: float) -> tuple[float, float]:
    if whole <= 0:
        return 0.0, 100.0
    width = max(_THINNEST_PERCENT, 100 * row["duration_ms"] / whole)
    left = min(100 * row["offset_ms"] / whole, 100 - _THINNEST_PERCENT)
    return round(max(0.0, left), 2), round(min(width, 100 - max(0.0, left)), 2)


def _sort(span: Record) -> str:
    """Return what a span is, as its color tells."""
    if span["tool"]:
        return "tool"
    if span["model"]:
        return "model"
    return "agent" if span["operation"] in ("invoke_agent", "invoke_workflow") else "other"
